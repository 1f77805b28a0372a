import Diagnostics
import ModelGraph
import Tensors

/// Rotates the model's features so that none stands out, without changing what the model computes; everything is folded into the weights
/// (QuaRot, Ashkboos et al. 2024, and SpinQuant, Liu et al. 2024: R1 on the residual stream, R2 between values and the output projection).
///
/// Weights are transformed as they are read and rounded to the type they are stored in. Gains of the norms on the stream move into the
/// layers that read them and become 1; a head that is tied to the embedding becomes a weight of its own, for gains act on it alone.
public struct HadamardRotation: CompressionPass {
  public static let identifier = "rotate"
  /// Weights are rotated as they are read, before any pass that works block by block: what smooths has to be listed behind it.
  public static let contract = PassContract(
    establishes: [.rotatedFeatures], forbids: [.quantizedWeights, .rotatedFeatures, .smoothedFeatures])

  /// The matrices that turn features.
  public enum Kind: String, Codable, Sendable, Hashable, CaseIterable {
    /// Random signs, then a Hadamard matrix: the whole width where one of that order is known, else blocks of a power of two.
    case hadamard
  }

  public var kind = Kind.hadamard
  /// What the random signs derive from.
  public var seed = 0

  public init() {}

  public init(seed: Int) { self.seed = seed }

  /// Refuses graphs whose residual stream is touched by more than linear layers and root-mean-square norms.
  public func validate(for graph: ModelGraph) throws(CompressionError) {
    let stream = try ResidualStream(of: graph)
    let size = HadamardTransform(width: stream.width, seed: 0).size
    guard size > 1 else {
      throw CompressionError(
        "rotate", "no Hadamard matrix fits \(stream.width) features", remedy: "leave the rotation out for this model", kind: .usage)
    }
  }

  public func prepare(_ graph: ModelGraph, using resources: PassResources) throws -> ModelGraph {
    var plan = try RotationPlan(graph, seed: UInt64(bitPattern: Int64(seed)))
    return try plan.rewritten()
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    // A rotation changes neither the shape of a graph nor what can be rotated.
    Worker(record: PassRecord(pass: Self.identifier, warnings: RotationPlan.shortfalls(of: graph)))
  }

  /// All was done when the model was prepared.
  private struct Worker: BlockPass {
    var record: PassRecord
    var plan: [ParameterID: WeightStorage] { [:] }
    var treatsLayersAlone: Bool { true }
    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) {}
  }
}

/// Which parameter takes part in which rotation.
private struct RotationPlan {
  private let graph: ModelGraph
  private let stream: ResidualStream
  private let seed: UInt64
  private var changes: [ParameterID: RotatedWeights.Change] = [:]
  /// A tied head, which gets a weight of its own.
  private var head: (node: Node, name: String, change: RotatedWeights.Change)?

  init(_ graph: ModelGraph, seed: UInt64) throws(CompressionError) {
    self.graph = graph
    self.seed = seed
    stream = try ResidualStream(of: graph)
    let turn = HadamardTransform(width: stream.width, seed: seed)
    edit(stream.embedding) { $0.inputs = turn }
    for gain in stream.gains { edit(gain) { $0.becomesOnes = true } }
    for reader in stream.readers {
      let gain = reader.gain.map { graph[$0] }
      if reader.weight == stream.embedding {
        var change = RotatedWeights.Change(graph[reader.weight])
        (change.inputs, change.gain) = (turn, gain)
        head = (reader.node, reader.node.scope + ".weight", change)
      } else {
        edit(reader.weight) { ($0.inputs, $0.gain) = (turn, gain) }
      }
    }
    for writer in stream.writers { editOutputs(of: writer, turn) }
    for node in graph.nodes { rotateHeads(node) }
  }

  private mutating func edit(_ id: ParameterID, _ body: (inout RotatedWeights.Change) -> Void) {
    var change = changes[id] ?? RotatedWeights.Change(graph[id])
    body(&change)
    changes[id] = change
  }

  private mutating func editOutputs(of node: Node, _ turn: HadamardTransform) {
    guard let weight = node.parameters.first else { return }
    edit(weight) { $0.outputs = turn }
    for bias in node.parameters.dropFirst() { edit(bias) { $0.inputs = turn } }
  }

  /// Values leave attention as sums of values: what turns every head's values is undone in the layer that reads them.
  private mutating func rotateHeads(_ node: Node) {
    guard case .attention(let attention) = node.operation, case .between(let values, let output) = Self.turn(of: node, in: graph) else {
      return
    }
    // Another stream of random signs than the residual's.
    let headSeed = SeededRandom.value(seed: seed, index: UInt64(node.output.index))
    let turn = { HadamardTransform(width: attention.valueDimension, seed: headSeed, repetitions: $0) }
    editOutputs(of: values, turn(attention.keyValueHeads))
    edit(output) { $0.inputs = turn(attention.queryHeads) }
  }

  /// What a rotation of the heads' values would be folded into.
  private enum HeadTurn {
    case between(values: Node, output: ParameterID)
    case impossible(reason: String)
  }

  private static func turn(of node: Node, in graph: ModelGraph) -> HeadTurn {
    guard node.inputs.count == 3, let values = graph.producer(of: node.inputs[2]), case .linear = values.operation else {
      return .impossible(reason: "values do not come from a linear layer")
    }
    guard graph.readers(of: values.output).count == 1 else { return .impossible(reason: "values are used elsewhere as well") }
    let readers = graph.readers(of: node.output)
    guard readers.count == 1, case .linear = readers[0].operation, let output = readers[0].parameters.first else {
      return .impossible(reason: "what attention gives is not read by one linear layer alone")
    }
    guard Set(values.parameters + [output]).isDisjoint(with: graph.sharedParameters) else {
      return .impossible(reason: "a weight beside them is shared")
    }
    return .between(values: values, output: output)
  }

  /// What of the rotations is left out or done in part, a sentence each.
  static func shortfalls(of graph: ModelGraph) -> [String] {
    var result: [String] = []
    if let width = graph.nodes.first.flatMap({ graph[$0.output].width }), let block = Self.blockSize(of: width) {
      result.append("features are rotated in blocks of \(block): no Hadamard matrix is known for all \(width)")
    }
    var layers: [String: [String]] = [:]
    for node in graph.nodes {
      guard case .attention(let attention) = node.operation else { continue }
      let dimension = attention.valueDimension
      if case .impossible(let reason) = Self.turn(of: node, in: graph) {
        layers["values of heads are not rotated: \(reason)", default: []].append(node.scope)
      } else if let block = Self.blockSize(of: dimension) {
        let what = block == 1 ? "are not rotated" : "are rotated in blocks of \(block)"
        layers["values of heads \(what): no Hadamard matrix is known for \(dimension)", default: []].append(node.scope)
      }
    }
    return result + layers.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value.joined(separator: ", ")))" }
  }

  /// Features that are rotated together; nil when it is all of them.
  private static func blockSize(of width: Int) -> Int? {
    let size = HadamardTransform(width: width, seed: 0).size
    return size < width ? size : nil
  }

  /// The graph that reads the rotated parameters.
  mutating func rewritten() throws -> ModelGraph {
    var result = graph
    var entries = changes.map { (name: graph[$0.key].name, change: $0.value) }
    if let head { entries.append((head.name, head.change)) }
    let source = RotatedWeights(entries)
    for id in changes.keys { try result.redirect(id, to: source) }
    if let head {
      try result.unshare(
        stream.embedding, ofNodeComputing: head.node.output, as: head.name, role: .languageModelHead, from: source)
    }
    return result
  }
}
