import Diagnostics
import Tensors

/// What a parameter does in the model. Passes choose by role, never by a family's tensor names.
public enum ParameterRole: String, Sendable, Hashable, Codable, CaseIterable {
  case tokenEmbedding
  /// Rows that are added to embeddings, by position, and by the part of the text that a token belongs to.
  case positionEmbedding
  case tokenTypeEmbedding
  case attentionQuery
  case attentionKey
  case attentionValue
  case attentionOutput
  /// To the latents of multi-head latent attention (DeepSeek-V2): those that queries are made of, and those of keys and values with the
  /// rotary key behind them.
  case attentionQueryDown
  case attentionKeyValueDown
  /// From the latents to keys and values, head by head.
  case attentionKeyValueUp
  case mlpGate
  case mlpUp
  case mlpDown
  /// What scores the experts for a token, and what choosing adds to the scores.
  case router
  case routerCorrection
  /// Of an expert that tokens are sent to.
  case expertGate
  case expertUp
  case expertDown
  /// Of the experts that see every token.
  case sharedExpertGate
  case sharedExpertUp
  case sharedExpertDown
  case normGain
  /// Gains of the norms of latents.
  case latentNormGain
  /// Gains of the per-head norms of queries and keys (Qwen3).
  case headNormGain
  /// What dynamic tanh multiplies by before the hyperbolic tangent, one number.
  case normSteepness
  case bias
  case languageModelHead
  /// The factors of an adapter: `[rank, inputs]` and `[outputs, rank]`.
  case adapterDown
  case adapterUp
  /// The lengths of a weight's rows that an adapter sets, and those that they have now.
  case adapterMagnitude
  case adapterNorm

  /// Whether it came with an adapter, rather than with the model.
  public var isAdapter: Bool {
    switch self {
    case .adapterDown, .adapterUp, .adapterMagnitude, .adapterNorm: true
    default: false
    }
  }

  /// Whether it is one of the matrices of attention.
  public var isAttention: Bool {
    switch self {
    case .attentionQuery, .attentionKey, .attentionValue, .attentionOutput, .attentionQueryDown, .attentionKeyValueDown,
      .attentionKeyValueUp:
      true
    default: false
    }
  }

  /// Whether it is one of the matrices of an expert that tokens are sent to.
  public var isRoutedExpert: Bool {
    switch self {
    case .expertGate, .expertUp, .expertDown: true
    default: false
    }
  }

  /// Whether it is one of the matrices of the experts that see every token.
  public var isSharedExpert: Bool {
    switch self {
    case .sharedExpertGate, .sharedExpertUp, .sharedExpertDown: true
    default: false
    }
  }

  /// Whether it is the gain of a norm.
  public var isNormGain: Bool {
    switch self {
    case .normGain, .headNormGain, .latentNormGain: true
    default: false
    }
  }
}

/// Where a parameter's values are.
public enum ParameterStorage: Sendable {
  /// In a checkpoint, read when asked for and not kept.
  case stored(in: any WeightSource)
  /// In memory: replaced by a pass.
  case memory(Weight)
  /// Handed on (written to the output) and let go; the storage tells what was written.
  case released(WeightStorage)
}

/// One tensor of the model.
public struct Parameter: Sendable {
  /// Its name in the checkpoint, `model.layers.3.self_attn.q_proj.weight`.
  public let name: String
  public let role: ParameterRole
  public internal(set) var shape: Shape
  public internal(set) var storage: ParameterStorage
  /// The floating-point type that its values had before a pass replaced them.
  var replacedType: DataType?
  /// What scales are stored as where the format of the output says so; nil for the type of the values.
  public internal(set) var requiredScaleType: DataType?
  /// Whether the format of the output has no codes of it.
  public internal(set) var staysDense = false

  /// The floating-point type that the checkpoint keeps its values in, whatever passes have put in their place; nil for codes.
  public var nativeType: DataType? {
    if let replacedType { return replacedType }
    if case .dense(let type)? = weightStorage { return type }
    return nil
  }

  /// The name without its last component: the module, as configurations and recipes write it.
  public var module: String {
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else { return name }
    return String(name[..<dot])
  }

  /// How the values are represented, without reading them.
  public var weightStorage: WeightStorage? {
    switch storage {
    case .stored(let source): source.describe(name)?.storage
    case .memory(.dense(let tensor)): .dense(tensor.dataType)
    case .memory(.quantized(let tensor)): .quantized(tensor.scheme)
    case .released(let storage): storage
    }
  }

  /// Whether the values are stored as codes and scales.
  public var isQuantized: Bool {
    if case .quantized? = weightStorage { return true }
    return false
  }

  /// Lets go of the memory that reading the values took, when they can be read again.
  public func releasePages() {
    if case .stored(let source) = storage { source.release(name) }
  }

  /// Reads the values. Throws the checkpoint's failure, or `GraphError` when they were released.
  /// - Parameter rows: the only ones that will be looked at; nil for all.
  public func load(rows: Range<Int>? = nil) throws -> Weight {
    switch storage {
    case .stored(let source):
      let weight = try rows.map { try source.load(name, rows: $0) } ?? source.load(name)
      guard weight.shape == shape else {
        throw GraphError(tensor: name, "has the shape \(weight.shape) where the model needs \(shape)")
      }
      return weight
    case .memory(let weight): return weight
    case .released: throw GraphError(tensor: name, "was written and let go; read it from the output")
    }
  }
}
