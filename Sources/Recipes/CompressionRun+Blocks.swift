import Compression
import ModelGraph
import Tensors

extension CompressionRun {
  /// Layers that have another block type than the one that was asked for, because its superblocks do not divide their rows.
  func blockWarnings(_ graph: ModelGraph) throws -> [String] {
    var counts: [[String]: (layers: Int, first: String)] = [:]
    for pass in recipe.passes {
      guard let pass = pass as? any TargetedPass else { continue }
      for (id, decision) in try pass.targets.decisions(for: graph).sorted(by: { $0.key.index < $1.key.index }) {
        guard case .smallerBlocks(let wanted) = decision.reason, let scheme = decision.scheme else { continue }
        counts[[wanted, scheme.name], default: (0, graph[id].module)].layers += 1
      }
    }
    return counts.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { names, found in
      "\(found.layers) layer\(found.layers == 1 ? "" : "s") (\(found.first)\(found.layers == 1 ? "" : " and others")) would be \(names[0]), whose "
        + "superblocks of \(ScaleEncoding.superblockSize) do not divide their rows: \(names[1]) instead"
    }
  }
}
