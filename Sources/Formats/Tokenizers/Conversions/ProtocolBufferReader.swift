/// The fields of a Protocol Buffers message, one after the other (the wire format of its documentation, groups left out).
struct ProtocolBufferReader {
  enum Content {
    case number(UInt64)
    case fixed64(UInt64)
    case bytes(UnsafeRawBufferPointer)
    case fixed32(UInt32)
  }

  private let bytes: UnsafeRawBufferPointer
  private let file: String
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer, file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// The next field; nil at the end.
  mutating func next() throws(TokenizerError) -> (number: Int, content: Content)? {
    guard position < bytes.count else { return nil }
    let key = try variableNumber()
    guard let number = Int(exactly: key >> 3), number > 0 else { throw damaged }
    switch key & 7 {
    case 0: return (number, .number(try variableNumber()))
    case 1: return (number, .fixed64(try fixed(8)))
    case 2:
      let length = try variableNumber()
      guard length <= UInt64(bytes.count - position) else { throw damaged }
      let range = position..<position + Int(length)
      position = range.upperBound
      return (number, .bytes(UnsafeRawBufferPointer(rebasing: bytes[range])))
    case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
    default: throw damaged
    }
  }

  private var damaged: TokenizerError { .malformed(file, "it is damaged at byte \(position), or no model of SentencePiece") }

  private mutating func fixed(_ width: Int) throws(TokenizerError) -> UInt64 {
    guard width <= bytes.count - position else { throw damaged }
    var value: UInt64 = 0
    for index in 0..<width { value |= UInt64(bytes[position + index]) << (8 * index) }
    position += width
    return value
  }

  private mutating func variableNumber() throws(TokenizerError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 64, by: 7) {
      guard position < bytes.count else { throw damaged }
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
    }
    throw damaged
  }
}
