import Tensors

/// How the elements of a GGUF tensor are stored: plain numbers, or blocks of codes with their scales.
///
/// The raw value is the number in the file (ggml's `ggml_type`). Blocks run along the innermost axis.
public enum GGUFType: UInt32, Sendable, Hashable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q2_K = 10
  case q3_K = 11
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case iq4_NL = 20
  case i8 = 24
  case i16 = 25
  case i32 = 26
  case i64 = 27
  case f64 = 28
  case bf16 = 30
  case mxfp4 = 39

  /// As ggml writes it: `Q4_K`, `BF16`.
  public var name: String {
    switch self {
    case .f32: "F32"
    case .f16: "F16"
    case .q4_0: "Q4_0"
    case .q4_1: "Q4_1"
    case .q5_0: "Q5_0"
    case .q5_1: "Q5_1"
    case .q8_0: "Q8_0"
    case .q2_K: "Q2_K"
    case .q3_K: "Q3_K"
    case .q4_K: "Q4_K"
    case .q5_K: "Q5_K"
    case .q6_K: "Q6_K"
    case .iq4_NL: "IQ4_NL"
    case .i8: "I8"
    case .i16: "I16"
    case .i32: "I32"
    case .i64: "I64"
    case .f64: "F64"
    case .bf16: "BF16"
    case .mxfp4: "MXFP4"
    }
  }

  /// Whatever the case: `q4_k` is `Q4_K`.
  public init?(name: String) {
    guard let found = Self.allCases.first(where: { $0.name.lowercased() == name.lowercased() }) else { return nil }
    self = found
  }

  /// The type of plain elements; nil for blocks.
  public var dataType: DataType? {
    switch self {
    case .f32: .float32
    case .f16: .float16
    case .bf16: .bfloat16
    case .f64: .float64
    case .i8: .int8
    case .i16: .int16
    case .i32: .int32
    case .i64: .int64
    default: nil
    }
  }

  /// Elements of a block and its bytes; 1 and the width for plain elements.
  public var block: (elements: Int, bytes: Int) {
    switch self {
    case .i8: (1, 1)
    case .f16, .bf16, .i16: (1, 2)
    case .f32, .i32: (1, 4)
    case .f64, .i64: (1, 8)
    case .q4_0, .iq4_NL: (32, 18)
    case .q4_1: (32, 20)
    case .q5_0: (32, 22)
    case .q5_1: (32, 24)
    case .q8_0: (32, 34)
    case .mxfp4: (32, 17)
    case .q2_K: (256, 84)
    case .q3_K: (256, 110)
    case .q4_K: (256, 144)
    case .q5_K: (256, 176)
    case .q6_K: (256, 210)
    }
  }

  /// Bytes of a row of `elements`; nil when blocks do not divide it or the size overflows.
  public func byteCount(ofRow elements: Int) -> Int? {
    guard elements >= 0, elements % block.elements == 0 else { return nil }
    let (bytes, overflow) = (elements / block.elements).multipliedReportingOverflow(by: block.bytes)
    return overflow ? nil : bytes
  }
}
