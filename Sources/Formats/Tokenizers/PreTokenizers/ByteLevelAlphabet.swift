/// GPT-2's letters for the 256 bytes: printable Latin-1 stands for itself, the other bytes take U+0100 and following.
enum ByteLevelAlphabet {
  /// The scalar of each byte.
  static let scalars: [UInt32] = {
    var next: UInt32 = 0x100
    return (0..<256).map { byte in
      if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte) { return UInt32(byte) }
      defer { next += 1 }
      return next
    }
  }()

  /// The byte of each letter, by scalar; nil for what is no letter.
  static func byte(of scalar: UInt32) -> UInt8? {
    scalar < bytes.count && bytes[Int(scalar)] >= 0 ? UInt8(truncatingIfNeeded: bytes[Int(scalar)]) : nil
  }

  private static let bytes: [Int16] = {
    var result = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { result[Int(scalar)] = Int16(byte) }
    return result
  }()

  /// Appends the letters of some bytes as UTF-8; each letter takes one byte or two.
  static func append(lettersOf bytes: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
    output.reserveCapacity(output.count + bytes.count * 2)
    for byte in bytes {
      let scalar = scalars[Int(byte)]
      if scalar < 0x80 {
        output.append(UInt8(scalar))
      } else {
        output.append(UInt8(0xC0 | scalar >> 6))
        output.append(UInt8(0x80 | scalar & 0x3F))
      }
    }
  }
}
