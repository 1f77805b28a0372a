import Diagnostics
import Distribution
import Foundation
import ModelGraph

extension PassRecord {
  /// How much a record held at some time.
  package struct Extent {
    fileprivate let counts: [Int]
    package init(_ record: PassRecord) {
      counts = [record.layers.count, record.inputs.count, record.warnings.count, record.rescaled.count]
    }
  }

  /// What came behind it.
  package struct News: Codable {
    let layers: [Layer]
    let inputs: [Inputs]
    let warnings: [String]
    let rescaled: [String]
  }

  package func since(_ extent: Extent) -> News {
    News(
      layers: Array(layers.dropFirst(extent.counts[0])), inputs: Array(inputs.dropFirst(extent.counts[1])),
      warnings: Array(warnings.dropFirst(extent.counts[2])), rescaled: Array(rescaled.dropFirst(extent.counts[3])))
  }

  package mutating func append(_ news: News) {
    layers += news.layers
    inputs += news.inputs
    warnings += news.warnings
    rescaled += news.rescaled
  }

  /// Hands the layers that each process has worked on to all others: weights into the graph, notes into the record, in the order in which one
  /// process would have come to them.
  /// - Parameters:
  ///   - layers: that were divided, in that order.
  ///   - first: where the notes of this block begin.
  mutating func exchange(
    _ layers: [(node: Node, weight: ParameterID)], _ division: LayerDivision, of graph: inout ModelGraph, notesFrom first: Int,
    in group: ProcessGroup
  ) throws {
    guard !group.isAlone else { return }
    let own = Array(self.layers[first...])
    self.layers.removeSubrange(first...)
    for (node, id) in layers {
      let root = division.rank(of: node.inputs[0])
      let isOwn = root == group.rank
      let weight = try group.broadcast(isOwn ? graph[id].load() : nil, from: root)
      if !isOwn { try graph.replace(id, with: weight) }
      self.layers += try group.broadcast(value: own.filter { $0.module == node.scope }, from: root)
    }
  }
}

extension ProcessGroup {
  /// Work that each process does for itself. Where one of them fails, all do, with its failure: none is left waiting for what it would have sent.
  package func settle(_ work: () throws -> Void) throws {
    guard !isAlone else { return try work() }
    let outcome = Result { try work() }
    var failure: SharedFailure?
    if case .failure(let error) = outcome {
      guard let known = error as? any Failure else { throw error }
      failure = SharedFailure(kind: known.kind.rawValue, subject: known.subject, problem: known.problem, remedy: known.remedy)
    }
    for root in 0..<count {
      guard let found = try broadcast(value: failure, from: root), let kind = FailureKind(rawValue: found.kind) else { continue }
      throw CompressionError(found.subject, found.problem, remedy: found.remedy, kind: kind)
    }
  }

  private struct SharedFailure: Codable {
    let kind: Int32
    let subject, problem, remedy: String
  }

  /// A value of one process, at all of them; what the others give counts for nothing.
  package func broadcast<Value: Codable>(value: Value, from root: Int) throws -> Value {
    guard !isAlone else { return value }
    let text = try broadcast(rank == root ? Array(JSONEncoder().encode(value)) : [], from: root)
    return rank == root ? value : try JSONDecoder().decode(Value.self, from: Data(text))
  }
}
