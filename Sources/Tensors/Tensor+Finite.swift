import CKernels

extension Tensor {
  /// How many elements are infinite or not a number; 0 of types that have only numbers.
  package var notFiniteCount: Int {
    switch dataType {
    case .float64: count(width: 8, bits: 0x7ff0_0000_0000_0000)
    case .float32: count(width: 4, bits: 0x7f80_0000)
    case .bfloat16: count(width: 2, bits: 0x7f80)
    case .float16: count(width: 2, bits: 0x7c00)
    default: 0
    }
  }

  /// How many elements have all of these bits set, as an exponent that stands for no number has.
  private func count(width: Int, bits: UInt64) -> Int {
    withUnsafeBytes { bytes in
      bytes.baseAddress.map { Int(dso_count_with_bits($0, Int64(bytes.count / width), Int32(width), bits)) } ?? 0
    }
  }
}
