extension Tensor {
  /// How many elements are infinite or not a number; 0 of types that have only numbers.
  package var notFiniteCount: Int {
    switch dataType {
    case .float64: count(of: UInt64.self, withBits: 0x7ff0_0000_0000_0000)
    case .float32: count(of: UInt32.self, withBits: 0x7f80_0000)
    case .bfloat16: count(of: UInt16.self, withBits: 0x7f80)
    case .float16: count(of: UInt16.self, withBits: 0x7c00)
    default: 0
    }
  }

  /// How many elements have all of these bits set, as an exponent that stands for no number has.
  private func count<Bits: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(of type: Bits.Type, withBits bits: Bits) -> Int {
    withUnsafeBytes { bytes in
      var count = 0
      for offset in stride(from: 0, to: bytes.count, by: MemoryLayout<Bits>.size) {
        // A file keeps its values where it likes.
        if bytes.loadUnaligned(fromByteOffset: offset, as: Bits.self) & bits == bits { count += 1 }
      }
      return count
    }
  }
}
