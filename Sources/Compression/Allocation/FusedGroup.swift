import ModelGraph
import Tensors

/// Layers that must have the same bits because runtimes fuse them into one product: those of a block that read the same value (the query,
/// key and value projections; gate and up).
public struct FusedGroup: Sendable, Equatable {
  public struct Layer: Sendable, Equatable {
    /// `model.layers.3.mlp.up_proj`.
    public let module: String
    public let weight: ParameterID

    package init(module: String, weight: ParameterID) {
      self.module = module
      self.weight = weight
    }
  }

  public let layers: [Layer]

  /// `model.layers.3.self_attn.{q_proj,k_proj,v_proj}`.
  public var name: String {
    guard layers.count > 1, let first = layers.first else { return layers.first?.module ?? "" }
    let parts = layers.map { $0.module.split(separator: ".", omittingEmptySubsequences: false) }
    let shortest = parts.map(\.count).min() ?? 0
    let common = (0..<shortest).prefix { index in parts.allSatisfy { $0[index] == parts[0][index] } }.count
    guard common > 0, common < shortest else { return layers.map(\.module).joined(separator: ", ") }
    let prefix = first.module.split(separator: ".", omittingEmptySubsequences: false).prefix(common).joined(separator: ".")
    return prefix + ".{" + parts.map { $0.dropFirst(common).joined(separator: ".") }.joined(separator: ",") + "}"
  }

  /// The groups of the layers that are quantized, in model order.
  public static func all(in graph: ModelGraph, of targeted: Set<ParameterID>) -> [FusedGroup] {
    graph.blocks.flatMap { block -> [FusedGroup] in
      var inputs: [ValueID] = []
      var members: [ValueID: [Layer]] = [:]
      for (node, weight) in graph.linears(of: block) where targeted.contains(weight) {
        if members[node.inputs[0]] == nil { inputs.append(node.inputs[0]) }
        members[node.inputs[0], default: []].append(Layer(module: node.scope, weight: weight))
      }
      return inputs.compactMap { members[$0].map(FusedGroup.init) }
    }
  }

  package init(layers: [Layer]) { self.layers = layers }
}
