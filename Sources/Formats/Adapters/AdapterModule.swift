import Tensors

/// The adapter of one module: its output gains γ · B · A · x, and is then scaled row by row when there is a magnitude.
///
/// Under DoRA the adapted weight is m ⊙ (W + γ · B · A) / ‖·‖, the norm taken over each output row.
public struct AdapterModule: Sendable {
  public enum Kind: Sendable, Hashable {
    /// The weight is `[out, in]`.
    case linear
    /// A token embedding, whose weight `[in, out]` (`in` being the vocabulary) gains the transpose of γ · B · A.
    case embedding
  }

  /// The module's name in the base model: `model.layers.0.self_attn.q_proj`.
  public let name: String
  public let kind: Kind
  /// `[r, in]`: float32, float16 or bfloat16.
  public let a: Tensor
  /// `[out, r]`: float32, float16 or bfloat16.
  public let b: Tensor
  /// `[out]`; nil without DoRA.
  public let magnitude: Tensor?
  /// γ: finite and not zero.
  public let scaling: Double

  /// Nil when shapes or types do not go together, or γ is zero or not finite.
  public init?(name: String, kind: Kind = .linear, a: Tensor, b: Tensor, magnitude: Tensor? = nil, scaling: Double) {
    guard a.shape.rank == 2, b.shape.rank == 2, a.shape[0] == b.shape[1], a.shape[0] > 0, a.shape[1] > 0, b.shape[0] > 0,
      scaling.isFinite, scaling != 0, !name.isEmpty,
      ([a, b] + (magnitude.map { [$0] } ?? [])).allSatisfy({ Self.dataTypes.contains($0.dataType) })
    else { return nil }
    if let magnitude, magnitude.shape != [b.shape[0]] || kind == .embedding { return nil }
    self.name = name
    self.kind = kind
    self.a = a
    self.b = b
    self.magnitude = magnitude
    self.scaling = scaling
  }

  public var rank: Int { a.shape[0] }
  public var inputs: Int { a.shape[1] }
  public var outputs: Int { b.shape[0] }

  /// The shape of the base weight that it goes with.
  public var weightShape: Shape { kind == .linear ? [outputs, inputs] : [inputs, outputs] }

  /// What adapters are stored in.
  static let dataTypes: [DataType] = [.float32, .float16, .bfloat16]
}
