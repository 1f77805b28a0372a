import Distribution
import ModelGraph
import Tensors

/// Which process works on which layers of a block: those that read the same input go together, for they share what is known of it.
///
/// It follows from the graph alone, so that every process comes to the same.
public struct LayerDivision: Sendable {
  private let group: ProcessGroup
  private var ranks: [ValueID: Int] = [:]

  /// - Parameters:
  ///   - layers: that are worked on.
  ///   - cost: of all layers that read an input, in any unit.
  init(
    _ layers: [(node: Node, weight: ParameterID)], of group: ProcessGroup, cost: (_ inputs: Int, _ weights: [Shape]) -> Double,
    in graph: ModelGraph
  ) {
    self.group = group
    if !group.isAlone { ranks = Self.ranks(of: layers, among: group.count, cost: cost, in: graph) }
  }

  /// Who works on the layers that read each value, of as many processes: the largest first, each to whoever has least to do.
  package static func ranks(
    of layers: [(node: Node, weight: ParameterID)], among count: Int, cost: (_ inputs: Int, _ weights: [Shape]) -> Double,
    in graph: ModelGraph
  ) -> [ValueID: Int] {
    var readers: [ValueID: [Shape]] = [:]
    var order: [ValueID] = []
    for (node, weight) in layers {
      if readers[node.inputs[0]] == nil { order.append(node.inputs[0]) }
      readers[node.inputs[0], default: []].append(graph[weight].shape)
    }
    let costs = order.map { value in
      let shapes = readers[value] ?? []
      return cost(shapes.first.map { $0[$0.rank - 1] } ?? 0, shapes)
    }
    var shares = WorkShares(among: count)
    var ranks: [ValueID: Int] = [:]
    for index in order.indices.sorted(by: { (costs[$1], $0) < (costs[$0], $1) }) { ranks[order[index]] = shares.take(costs[index]) }
    return ranks
  }

  /// Who works on the layers that read this value.
  public func rank(of value: ValueID) -> Int { ranks[value] ?? 0 }

  /// Whether anybody does.
  func hasOwner(_ value: ValueID) -> Bool { ranks[value] != nil }

  /// Whether this process does.
  public func owns(_ value: ValueID) -> Bool { group.isAlone || rank(of: value) == group.rank }
}

extension GPTQ {
  /// What all layers that read an input cost together, in any unit: by it they are divided among processes.
  package static func divisionCost(ofInputs inputs: Int, weights: [Shape], tokens: Int) -> Double {
    weights.reduce(WorkEstimate.gram(inputs, tokens: tokens) + WorkEstimate.factor(inputs)) {
      $0 + WorkEstimate.feedback(rows: $1[0], columns: inputs, isTwoSided: false)
    }
  }
}

extension BlockCalibration {
  /// Divides layers of the block among the processes.
  /// - Parameter cost: of all layers that read an input together, in any unit.
  func division(
    of layers: [(node: Node, weight: ParameterID)], in graph: ModelGraph, cost: (_ inputs: Int, _ weights: [Shape]) -> Double
  ) -> LayerDivision {
    LayerDivision(layers, of: group, cost: cost, in: graph)
  }
}
