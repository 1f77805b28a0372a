import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Adapters for linear layers: which ones, of what rank, and where they start (LoRA, Hu et al. 2021).
public struct LowRankAdaptation: Codable, Sendable, Hashable {
  /// How γ follows from alpha and rank.
  public enum Scaling: String, Codable, Sendable, Hashable, CaseIterable {
    /// alpha / rank.
    case standard
    /// alpha / √rank (rsLoRA, Kalajdzievski 2023).
    case rankStabilized = "rank-stabilized"
  }

  public var rank: Int
  public var alpha: Float
  public var scaling: Scaling
  /// Whether the lengths of the weight's rows are trained on their own (DoRA, Liu et al. 2024).
  public var magnitude: Bool
  /// The layers; empty for the projections of queries, keys and values.
  public var targets: [ModulePattern]

  public init(
    rank: Int = 16, alpha: Float = 32, scaling: Scaling = .standard, magnitude: Bool = false, targets: [ModulePattern] = []
  ) {
    self.rank = rank
    self.alpha = alpha
    self.scaling = scaling
    self.magnitude = magnitude
    self.targets = targets
  }

  public var factor: Float { scaling == .standard ? alpha / Float(rank) : alpha / Float(rank).squareRoot() }

  /// What adapters are attached to when nothing is named.
  public static let defaultRoles: Set<ParameterRole> = [.attentionQuery, .attentionKey, .attentionValue]

  /// In place of a pattern: every linear layer but the head.
  public static let allLayers = ModulePattern("all")

  /// The layers that get an adapter, in the order of the model.
  /// - Throws: for a pattern that matches nothing, options out of range, and a rank that is not below both of a layer's dimensions.
  public func layers(of graph: ModelGraph) throws(CompressionError) -> [(module: String, weight: ParameterID)] {
    guard rank > 0, rank <= 65_536 else { throw usage("--rank \(rank)", "is not above 0") }
    guard alpha.isFinite, alpha > 0 else { throw usage("--alpha \(alpha)", "is not above 0") }
    var matchers: [(pattern: ModulePattern, matches: (String) -> Bool)] = []
    for pattern in targets { matchers.append((pattern, try pattern.matcher())) }
    var (layers, used) = ([(module: String, weight: ParameterID)](), Set<ModulePattern>())
    for block in graph.blocks {
      for (node, weight) in graph.linears(of: block) {
        let naming = matchers.filter { $0.pattern == Self.allLayers ? block.kind != .head : $0.matches(node.scope) }.map(\.pattern)
        used.formUnion(naming)
        guard targets.isEmpty ? Self.defaultRoles.contains(graph[weight].role) : !naming.isEmpty else { continue }
        let shape = graph[weight].shape
        guard rank <= min(shape[0], shape[1]) else {
          throw usage(node.scope, "of \(shape) cannot have an adapter of rank \(rank)", "use a lower --rank")
        }
        layers.append((node.scope, weight))
      }
    }
    if let pattern = targets.first(where: { !used.contains($0) }) {
      throw usage(pattern.text, "matches no layer of the model", "`inspect` lists the layers; a regular expression starts with re:")
    }
    guard !layers.isEmpty else { throw usage("--target", "leaves no layer to adapt", "name layers with --target") }
    return layers
  }

  private func usage(_ subject: String, _ problem: String, _ remedy: String = "") -> CompressionError {
    CompressionError(subject, problem, remedy: remedy, kind: .usage)
  }

  /// Attaches adapters to a model, so that it computes what it computed before: A is drawn evenly within ±1/√inputs, B is zero.
  /// - Parameter seed: of what is drawn; a layer's numbers depend on its place among the adapted ones, not on the others.
  public func attach(to graph: inout ModelGraph, seed: UInt64, pool: ThreadPool) throws -> [AttachedAdapter] {
    var adapters: [String: LowRankAdapter] = [:]
    for (index, layer) in try layers(of: graph).enumerated() {
      try Interruption.check()
      let parameter = graph[layer.weight]
      let (outputs, inputs) = (parameter.shape[0], parameter.shape[1])
      let down = Matrix(rows: rank, columns: inputs)
      let up = Matrix(rows: outputs, columns: rank)
      var random = SeededRandom(seed: SeededRandom.value(seed: seed, index: UInt64(index)))
      let bound = 1 / Double(inputs).squareRoot()
      for place in 0..<rank * inputs { down.pointer[place] = Float((2 * random.nextUnit() - 1) * bound) }
      var lengths: Tensor?
      if magnitude {
        let norms = Matrix(rows: 1, columns: outputs)
        try AdaptedWeight(parameter, down: down, up: up, scaling: factor).norms(into: norms, pool: pool)
        lengths = Tensor(norms.values(ofRow: 0), shape: [outputs])
      }
      adapters[layer.module] = LowRankAdapter(
        down: down.tensor([rank, inputs]), up: up.tensor([outputs, rank]), scaling: factor, magnitude: lengths)
    }
    return try graph.attach(adapters)
  }
}
