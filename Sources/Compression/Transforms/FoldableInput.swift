import ModelGraph

/// A value that linear layers read and whose features can be divided by factors in what produces them, the readers' weights multiplied by the
/// same factors: the model computes what it did (SmoothQuant, Xiao et al. 2023; AWQ, Lin et al. 2024).
///
/// Producers are found from the graph: the gain of a norm, or the rows of a linear layer that lead to the value feature by feature.
struct FoldableInput {
  enum Producer: Hashable {
    case gain(ParameterID)
    case rows(weight: ParameterID, bias: ParameterID?, scope: String)
  }

  let value: ValueID
  /// The layers that read it; nothing else does.
  let readers: [(node: Node, weight: ParameterID)]
  let producer: Producer
  /// Which factor each feature is divided by: features that come from the same row of the producer share one.
  let channel: [Int]
  let channels: Int

  /// The inputs of a block's linear layers.
  /// - Returns: those that can be folded, and the first reader of each that cannot, with the reason.
  static func all(in block: Block, of graph: ModelGraph) -> (foldable: [FoldableInput], skipped: [(module: String, reason: String)]) {
    var foldable: [FoldableInput] = []
    var skipped: [(module: String, reason: String)] = []
    let shared = graph.sharedParameters
    var seen = Set<ValueID>()
    for (node, _) in graph.linears(of: block) {
      // Experts read rows of a value that the router reads as a whole.
      let value = graph.source(ofRows: node.inputs[0])
      guard seen.insert(value).inserted else { continue }
      do {
        foldable.append(try FoldableInput(value, of: graph, in: block, shared: shared))
      } catch {
        skipped.append((node.scope, error.reason))
      }
    }
    return (foldable, skipped)
  }

  private struct Unfoldable: Error { let reason: String }

  private init(_ value: ValueID, of graph: ModelGraph, in block: Block, shared: Set<ParameterID>) throws(Unfoldable) {
    self.value = value
    var readers: [(node: Node, weight: ParameterID)] = []
    let direct = graph.readers(of: value, in: block)
    let experts = direct.flatMap { node in
      if case .dispatch = node.operation { graph.readers(of: node.output, in: block) } else { [node] }
    }
    for node in experts {
      guard case .linear = node.operation, let weight = node.parameters.first else {
        throw Unfoldable(reason: "\(node.scope) reads its input too, and is not linear")
      }
      guard !shared.contains(weight), !graph[weight].isQuantized else {
        throw Unfoldable(reason: "the weight of \(node.scope) is shared or quantized")
      }
      readers.append((node, weight))
    }
    self.readers = readers
    let width = graph[value].width ?? 0
    (producer, channel) = try Self.trace(value, features: Array(0..<width), readers: nil, of: graph, in: block)
    channels = (channel.max() ?? -1) + 1
    let changed: [ParameterID] =
      switch producer {
      case .gain(let gain): [gain]
      case .rows(let weight, let bias, _): [weight] + (bias.map { [$0] } ?? [])
      }
    guard shared.isDisjoint(with: changed), changed.allSatisfy({ !graph[$0].isQuantized }),
      !readers.contains(where: { changed.contains($0.weight) })
    else { throw Unfoldable(reason: "what produces its input is shared or quantized") }
  }

  /// Follows features back to a gain or to rows that they are proportional to.
  private static func trace(
    _ value: ValueID, features: [Int], readers: Int?, of graph: ModelGraph, in block: Block
  ) throws(Unfoldable) -> (Producer, [Int]) {
    // Whoever else reads a value on the way would see it divided.
    if let readers, graph.readers(of: value, in: block).count != readers { throw Unfoldable(reason: "its input is used elsewhere as well") }
    guard value != graph.output, let node = graph.producer(of: value) else { throw Unfoldable(reason: "nothing before it can be scaled") }
    switch node.operation {
    case .rmsNorm(_, let width) where width == graph[value].width:
      guard let gain = node.parameters.first else { break }
      return (.gain(gain), features)
    case .linear:
      guard let weight = node.parameters.first else { break }
      return (.rows(weight: weight, bias: node.parameters.dropFirst().first, scope: node.scope), features)
    case .gatedActivation: return try trace(node.inputs[1], features: features, readers: 1, of: graph, in: block)
    case .attention(let attention):
      let (dimension, sharing) = (attention.valueDimension, attention.queryHeads / max(1, attention.keyValueHeads))
      let origins = features.map { $0 / dimension / sharing * dimension + $0 % dimension }
      return try trace(node.inputs[2], features: origins, readers: 1, of: graph, in: block)
    default: break
    }
    throw Unfoldable(reason: "its input comes from \(node.operation.name), which no factor passes through")
  }
}
