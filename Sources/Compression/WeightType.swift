import Diagnostics
import Tensors

/// What codes and their scales are, where the width, the method and the group size alone do not say it.
///
/// `integer` is the only one that leaves these to the other settings; the block types bring theirs along, and `gguf` and `affine` take some.
public enum WeightType: String, Codable, Sendable, Hashable, CaseIterable {
  /// Integers with a scale per group, and with a whole zero point where the method is asymmetric.
  case integer
  /// Integers with a scale and a minimum per group, both real numbers: MLX's.
  case affine
  /// The type of GGUF that leads at the width: Q8_0, Q6_K, Q5_K, Q4_K, Q3_K, Q2_K.
  case gguf
  case q8_0
  case q6_K = "q6_k"
  case q5_K = "q5_k"
  case q5_0
  case q5_1
  case q4_K = "q4_k"
  case q4_0
  case q4_1
  case iq4_NL = "iq4_nl"
  case q3_K = "q3_k"
  case q2_K = "q2_k"
  /// Eight-bit floats (E4M3), a scale per output.
  case fp8
  /// Eight-bit floats, one scale for the whole weight.
  case fp8Tensor = "fp8-tensor"
  /// Eight-bit floats, a scale per square of 128 outputs and 128 inputs (DeepSeek-V3's).
  case fp8Block = "fp8-block"
  /// Four-bit floats in groups of 32 under powers of two (OCP Microscaling Formats 1.0).
  case mxfp4
  /// Four-bit floats in groups of 16 under eight-bit ones, and one float32 of the whole weight.
  case nvfp4

  /// Whether it is one of GGUF's.
  public var isGGUF: Bool {
    switch self {
    case .integer, .affine, .nvfp4, .fp8, .fp8Tensor, .fp8Block: false
    default: true
    }
  }

  /// The width that it has; nil where other settings say it.
  public var bits: Int? { blockScheme?.bits }

  /// Whether codes begin at zero points or minima; nil where other settings say it.
  public var method: QuantizationTargets.Method? { blockScheme.map { $0.offset == .none ? .symmetric : .asymmetric } }

  /// The block type that a scheme is one of; nil where it is none.
  package init?(blocks scheme: QuantizationScheme) {
    var plain = scheme
    plain.activations = .none
    guard let type = Self.allCases.first(where: { $0.blockScheme == plain }) else { return nil }
    self = type
  }

  /// Whether rounding with error feedback knows its codes.
  public var takesFeedback: Bool { blockScheme?.levels.takesFeedback ?? true }

  /// Whether 256 weights share a float16.
  var usesSuperblocks: Bool { if case .superblock? = blockScheme?.scales { true } else { false } }

  /// The type that stands in for another where superblocks do not divide a row, as llama.cpp chooses it.
  var inBlocksOf32: WeightType {
    switch self {
    case .q6_K: .q8_0
    case .q5_K: .q5_1
    case .q4_K: .q5_0
    case .q3_K, .q2_K: .iq4_NL
    default: self
    }
  }

  /// The block type that leads at a width, by the divergence that they cost at so many bits.
  static func leading(bits: Int) -> WeightType {
    switch bits {
    case 8...: .q8_0
    case 6, 7: .q6_K
    case 5: .q5_K
    case 4: .q4_K
    case 3: .q3_K
    default: .q2_K
    }
  }

  private static func float8(_ granularity: Granularity) -> QuantizationScheme {
    QuantizationScheme(bits: 8, offset: .none, granularity: granularity, levels: .float8)
  }

  /// Whether activations may be eight-bit floats with it.
  var isFloat8: Bool { self == .fp8 || self == .fp8Tensor || self == .fp8Block }

  /// What it is, in words, where neither bits nor groups can be chosen; nil where they can.
  public var fixedForm: String? {
    switch self {
    case .integer, .affine, .gguf: nil
    case .fp8: "8 bits with a scale per output"
    case .fp8Tensor: "8 bits with one scale"
    case .fp8Block: "8 bits with a scale per 128x128"
    case .nvfp4: "4 bits in groups of 16"
    case .mxfp4: "4 bits in groups of 32"
    default: "a block type with bits and groups of its own"
    }
  }

  /// The scheme of a block type; nil for those that leave width or groups open.
  var blockScheme: QuantizationScheme? {
    switch self {
    case .integer, .affine, .gguf: nil
    case .q8_0: QuantizationScheme(bits: 8, granularity: .group(32))
    case .q5_0: QuantizationScheme(bits: 5, granularity: .group(32))
    case .q4_0: QuantizationScheme(bits: 4, granularity: .group(32))
    case .q5_1: QuantizationScheme(bits: 5, offset: .minimum, granularity: .group(32))
    case .q4_1: QuantizationScheme(bits: 4, offset: .minimum, granularity: .group(32))
    case .iq4_NL: QuantizationScheme(bits: 4, granularity: .group(32), levels: .nonlinear4)
    case .q6_K: QuantizationScheme(bits: 6, offset: .none, granularity: .group(16), scales: .superblock(bits: 8))
    case .q5_K: QuantizationScheme(bits: 5, offset: .minimum, granularity: .group(32), scales: .superblock(bits: 6))
    case .q4_K: QuantizationScheme(bits: 4, offset: .minimum, granularity: .group(32), scales: .superblock(bits: 6))
    case .q3_K: QuantizationScheme(bits: 3, offset: .none, granularity: .group(16), scales: .superblock(bits: 6))
    case .q2_K: QuantizationScheme(bits: 2, offset: .minimum, granularity: .group(16), scales: .superblock(bits: 4))
    case .fp8: Self.float8(.channel)
    case .fp8Tensor: Self.float8(.tensor)
    case .fp8Block: Self.float8(.block(128))
    case .mxfp4: QuantizationScheme(bits: 4, offset: .none, granularity: .group(32), levels: .float4, scales: .powerOfTwo)
    case .nvfp4: QuantizationScheme(bits: 4, offset: .none, granularity: .group(16), levels: .float4, scales: .float8)
    }
  }
}
