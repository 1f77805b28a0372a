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

  /// `model.layers.3.self_attn.{q_proj,k_proj,v_proj}`, or `model.layers.3.mlp.experts.*.{gate_proj,up_proj}`.
  public var name: String {
    guard layers.count > 1, let first = layers.first else { return layers.first?.module ?? "" }
    let parts = layers.map { $0.module.split(separator: ".", omittingEmptySubsequences: false) }
    if let name = Self.numbered(parts) { return name }
    let shortest = parts.map(\.count).min() ?? 0
    let common = (0..<shortest).prefix { index in parts.allSatisfy { $0[index] == parts[0][index] } }.count
    guard common > 0, common < shortest else { return layers.map(\.module).joined(separator: ", ") }
    let prefix = first.module.split(separator: ".", omittingEmptySubsequences: false).prefix(common).joined(separator: ".")
    return prefix + ".{" + parts.map { $0.dropFirst(common).joined(separator: ".") }.joined(separator: ",") + "}"
  }

  /// The name of layers that differ by a number and by what stands last, if they are all that there are of those; nil for others.
  private static func numbered(_ parts: [[Substring]]) -> String? {
    guard let first = parts.first, parts.allSatisfy({ $0.count == first.count }) else { return nil }
    let differing = first.indices.filter { index in parts.contains { $0[index] != first[index] } }
    guard let number = differing.first, differing.dropFirst().allSatisfy({ $0 == first.count - 1 }), number < first.count - 1,
      parts.allSatisfy({ Int($0[number]) != nil })
    else { return nil }
    var kinds: [Substring] = []
    for part in parts.compactMap(\.last) where !kinds.contains(part) { kinds.append(part) }
    guard kinds.count * Set(parts.map { $0[number] }).count == parts.count, let only = kinds.first else { return nil }
    let last = kinds.count == 1 ? String(only) : "{\(kinds.joined(separator: ","))}"
    return (first[..<number] + ["*"] + first[(number + 1)..<(first.count - 1)]).joined(separator: ".") + "." + last
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
