import Diagnostics
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

  /// Where factors start. All but the zero start leave the model's weights changed: what is trained belongs to the changed ones.
  public enum Start: String, Codable, Sendable, Hashable, CaseIterable {
    /// A is random, B zero: the model starts as it was, its weights too.
    case zero
    /// The leading singular vectors of the weight, which keeps the rest in float32 (PiSSA, Meng et al. 2024): the model starts as it was.
    case principal = "pissa"
    /// What quantizing the weight loses, as far as the rank allows (LoftQ, Li et al. 2023): the model starts close to what it was.
    case quantizationResidual = "loftq"
  }

  public var rank: Int
  public var alpha: Float
  public var scaling: Scaling
  /// Whether the lengths of the weight's rows are trained on their own (DoRA, Liu et al. 2024).
  public var magnitude: Bool
  public var start: Start
  /// The layers; empty for the projections of queries, keys and values.
  public var targets: [ModulePattern]

  public init(
    rank: Int = 16, alpha: Float = 32, scaling: Scaling = .standard, magnitude: Bool = false, start: Start = .zero,
    targets: [ModulePattern] = []
  ) {
    self.rank = rank
    self.alpha = alpha
    self.scaling = scaling
    self.magnitude = magnitude
    self.start = start
    self.targets = targets
  }

  public var factor: Float { scaling == .standard ? alpha / Float(rank) : alpha / Float(rank).squareRoot() }

  /// What adapters are attached to when nothing is named.
  public static let defaultRoles: Set<ParameterRole> = [
    .attentionQuery, .attentionKey, .attentionValue, .attentionQueryDown, .attentionKeyValueDown, .attentionKeyValueUp,
  ]

  /// In place of a pattern: every linear layer but the head and routers.
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
        let naming = matchers.filter {
          $0.pattern == Self.allLayers ? block.kind != .head && graph[weight].role != .router : $0.matches(node.scope)
        }.map(\.pattern)
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
      throw usage(pattern.text, "matches no layer of the model", pattern.remedy(in: graph))
    }
    guard !layers.isEmpty else { throw usage("--target", "leaves no layer to adapt", "name layers with --target") }
    return layers
  }

  func usage(_ subject: String, _ problem: String, _ remedy: String = "") -> CompressionError {
    CompressionError(subject, problem, remedy: remedy, kind: .usage)
  }
}
