import ModelGraph
import Tensors

/// Why a weight is stored as a plan says.
public enum StorageReason: Sendable, Hashable {
  /// It is a linear layer, and the recipe quantizes those so.
  case setting
  /// Every token uses it, which `mixed-precision: roles` gives more bits.
  case usedByEveryToken
  /// A rule of the recipe names it; the pattern.
  case overridden(by: String)
  /// The recipe leaves it out; the pattern.
  case ignored(by: String)
  /// The head and routers stay unless an override names them.
  case keptHead
  case keptRouter
  /// Attention stays as a whole (`mixed-precision: attention-fp16`).
  case keptAttention
  /// The output's format has no codes of it.
  case keptByFormat
  /// Its rows are no whole number of the superblocks of the type that was asked for, which is named.
  case smallerBlocks(insteadOf: String)
  /// A norm, a bias, an embedding.
  case notLinear
  /// Another pass than one with targets stores it so; its identifier.
  case pass(String)
  /// No pass of the recipe quantizes.
  case noPass
  /// The output's format holds no codes.
  case decoded
  /// The graph does not run it: what predicts several tokens ahead, for one.
  case notRun

  /// What a program tells reasons apart by.
  public var code: String {
    switch self {
    case .setting: "setting"
    case .usedByEveryToken: "used-by-every-token"
    case .overridden: "override"
    case .ignored: "ignore"
    case .keptHead: "head"
    case .keptRouter: "router"
    case .keptAttention: "attention"
    case .keptByFormat: "format"
    case .smallerBlocks: "smaller-blocks"
    case .notLinear: "not-linear"
    case .pass: "pass"
    case .noPass: "no-pass"
    case .decoded: "decoded"
    case .notRun: "not-run"
    }
  }
}

extension StorageReason: CustomStringConvertible {
  public var description: String {
    switch self {
    case .setting: "as the recipe quantizes linear layers"
    case .usedByEveryToken: "used by every token: more bits"
    case .overridden(let pattern): "override \(pattern)"
    case .ignored(let pattern): "ignored by \(pattern)"
    case .keptHead: "head: kept by default"
    case .keptRouter: "router: kept by default"
    case .keptAttention: "attention: kept"
    case .keptByFormat: "kept: the format has no codes of it"
    case .smallerBlocks(let type): "rows do not divide into \(type)'s superblocks"
    case .notLinear: "not a linear layer"
    case .pass(let identifier): "by \(identifier)"
    case .noPass: "no pass quantizes"
    case .decoded: "the format holds no codes"
    case .notRun: "passed on: not run by the graph"
    }
  }
}

extension QuantizationTargets {
  /// What becomes of a linear layer's weight.
  public struct Decision: Sendable, Hashable {
    /// Nil where it stays as it is.
    public let scheme: QuantizationScheme?
    public let reason: StorageReason
  }
}
