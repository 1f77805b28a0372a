import Execution
import ModelGraph

/// The cases of `Operation` without what they carry. No default: a new operation has to be listed here, and is then asked for a check.
/// What only decoding has has no gradient.
enum OperationKind: String, CaseIterable, Sendable {
  case embedding, linear, rmsNorm, rotary, attention, gatedActivation, add, scale, magnitude, slice, joinHeads, route, dispatch, combine,
    layerNorm, dynamicTanh, addRow,
    activation

  init?(_ operation: Operation) {
    switch operation {
    case .embedding: self = .embedding
    case .linear: self = .linear
    case .rmsNorm: self = .rmsNorm
    case .rotary: self = .rotary
    case .attention: self = .attention
    case .gatedActivation: self = .gatedActivation
    case .add: self = .add
    case .scale: self = .scale
    case .magnitude: self = .magnitude
    case .layerNorm: self = .layerNorm
    case .dynamicTanh: self = .dynamicTanh
    case .addRow: self = .addRow
    case .activation: self = .activation
    case .slice: self = .slice
    case .joinHeads: self = .joinHeads
    case .route: self = .route
    case .dispatch: self = .dispatch
    case .combine: self = .combine
    case .latentAttention: return nil
    }
  }
}

/// The cases of `LossTarget`, likewise.
enum LossKind: String, CaseIterable, Sendable {
  case tokens, drawn, teacher, partial, policy

  init(_ target: LossTarget) {
    switch target {
    case .tokens: self = .tokens
    case .drawn: self = .drawn
    case .teacher: self = .teacher
    case .partial: self = .partial
    case .policy: self = .policy
    }
  }
}
