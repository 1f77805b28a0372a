/// `ByteLevel`: letters back to bytes, all tokens together; bytes that are no UTF-8 become U+FFFD.
struct ByteLevelDecoder: TokenDecoder {
  func decode(_ tokens: [[UInt8]]) -> [[UInt8]] {
    var output: [UInt8] = []
    for token in tokens {
      let start = output.count
      let isLetters = token.withUnsafeBufferPointer { bytes in
        var position = 0
        while position < bytes.count {
          let scalar = bytes.scalar(at: position)
          guard let byte = ByteLevelAlphabet.byte(of: scalar.value) else { return false }
          output.append(byte)
          position += scalar.length
        }
        return true
      }
      // A token with anything but letters (an added one) stands for itself.
      if !isLetters { output.replaceSubrange(start..., with: token) }
    }
    return [Array(String(decoding: output, as: UTF8.self).utf8)]
  }
}
