import Execution
import ModelGraph
import Tensors

extension ModelBundle {
  /// A merged checkpoint as it was before its adapter: every weight is bit by bit what it was, or an error says that it is not.
  public func unmerged(threads: Int? = nil) throws -> ModelBundle {
    var copy = self
    let record = try MergeRecord(beside: self)
    let source = try RestoredWeights(record, of: self, pool: ThreadPool(threads: threads))
    let merged = Set(record.entries.map { TensorName($0.name) })
    for id in graph.parameterIDs where merged.contains(TensorName(graph[id].name)) { try copy.graph.redirect(id, to: source) }
    copy.originalDigests = record.digests
    return copy
  }
}
