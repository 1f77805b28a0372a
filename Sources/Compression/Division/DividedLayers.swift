import Distribution
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
