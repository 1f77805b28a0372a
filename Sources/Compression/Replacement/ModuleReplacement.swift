import Diagnostics
import ModelGraph

/// Modular replacement: modules give way to cheaper ones of the same shape around the weights that are there. Attention to a sliding window or to
/// the tokens that a gate selects, another activation, other norms, and experts merged into fewer. What it costs is healed by distillation.
public struct ModuleReplacement: RecipePass {
  public static let identifier = "replace"
  public static let contract = PassContract(
    forbids: [.quantizedWeights, .adapters, .zeroWeights, .smoothedFeatures, .rotatedFeatures])

  /// What attention becomes.
  public enum AttentionKind: String, Sendable, Codable, CaseIterable {
    /// What it is.
    case keep
    /// Every token sees all before it.
    case global
    /// The last `window` tokens (Beltagy et al., Longformer, 2020).
    case slidingWindow = "sliding-window"
    /// At most `tokens` tokens, in the blocks that the query's product with their mean keys selects.
    case topTokens = "top-tokens"
  }

  /// What the activation of MLPs becomes.
  public enum ActivationKind: String, Sendable, Codable, CaseIterable {
    case keep, relu, relu2, gelu, silu
    case geluTanh = "gelu-tanh"

    var activation: Activation? {
      switch self {
      case .keep: nil
      case .relu: .relu
      case .relu2: .reluSquared
      case .gelu: .geluErf
      case .geluTanh: .geluTanh
      case .silu: .silu
      }
    }
  }

  /// What the norms of the residual stream become.
  public enum NormalizationKind: String, Sendable, Codable, CaseIterable {
    case keep
    case layerNorm = "layer-norm"
    case dynamicTanh = "dynamic-tanh"
  }

  public var attention = AttentionKind.keep
  /// Tokens of a sliding window, the query's own included.
  public var window = 0
  /// Tokens that the gate selects at most; a multiple of `block`.
  public var tokens = 0
  /// Tokens that are selected together. With 1 the gate is the exact score: that saves work with values only.
  public var block = 32
  /// The layers whose attention is replaced, `0-3,5`; all where it is empty.
  public var layers = ""
  public var activation = ActivationKind.keep
  public var normalization = NormalizationKind.keep
  /// How many routed experts every mixture is merged into; 0 to leave them.
  public var mergeExperts = 0

  public init() {}

  private enum CodingKeys: String, CodingKey {
    case attention, window, tokens, block, layers, activation, normalization
    case mergeExperts = "merge-experts"
  }

  /// The layers whose attention is replaced.
  func attentionLayers(of graph: ModelGraph) -> [Int]? {
    layers.isEmpty ? Array(0..<graph.layerBlocks.count) : LayerList.parse(layers, below: graph.layerBlocks.count)
  }

  /// Which keys the replaced attention sees; nil to keep what there is.
  var reach: AttentionReach? {
    switch attention {
    case .keep: nil
    case .global: .full
    case .slidingWindow: .window(window)
    case .topTokens: .blocks(BlockSelection(block: block, count: tokens / max(1, block)))
    }
  }

  /// The model with everything replaced that takes no other weights.
  package func replacingOperations(_ graph: ModelGraph) throws(CompressionError) -> ModelGraph {
    let layers = Set(attentionLayers(of: graph) ?? [])
    do {
      return try graph.replacingOperations { layer, operation in
        switch operation {
        case .attention(var attention):
          guard let reach, let layer, layers.contains(layer) else { return operation }
          attention.reach = reach
          return .attention(attention)
        case .gatedActivation: return activation.activation.map { .gatedActivation($0) } ?? operation
        case .activation: return activation.activation.map { .activation($0) } ?? operation
        default: return operation
        }
      }
    } catch {
      throw CompressionError(error.subject, error.problem, remedy: error.remedy, kind: error.kind)
    }
  }
}

extension ModuleReplacement {
  /// Whether it looks at text where there is some.
  package var usesText: Bool { mergeExperts > 0 || normalization == .dynamicTanh }

  /// What there must be text for.
  public var needs: Set<PassNeed> { normalization == .dynamicTanh ? [.calibration] : [] }
}
