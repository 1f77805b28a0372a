/// `Metaspace`: marks become spaces; those of the first token vanish when the pre-tokenizer may have put one there.
struct MetaspaceDecoder: TokenDecoder {
  let mark: [UInt8]
  let dropsLeading: Bool

  func decode(_ tokens: [[UInt8]]) -> [[UInt8]] {
    tokens.enumerated().map { index, token in
      token.replacing(mark, with: index == 0 && dropsLeading ? [] : [0x20])
    }
  }
}

/// `BPEDecoder`: the end-of-word suffix becomes a space, and nothing in the last token.
struct SuffixDecoder: TokenDecoder {
  let suffix: [UInt8]

  func decode(_ tokens: [[UInt8]]) -> [[UInt8]] {
    tokens.enumerated().map { index, token in
      token.replacing(suffix, with: index == tokens.count - 1 ? [] : [0x20])
    }
  }
}

extension [UInt8] {
  /// Every occurrence replaced, from the left. An empty pattern occurs before each scalar and at the end.
  func replacing(_ pattern: [UInt8], with content: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(count)
    var position = 0
    while position < count {
      if pattern.isEmpty {
        if self[position] & 0xC0 != 0x80 { output += content }
      } else if self[position] == pattern[0], self[position...].starts(with: pattern) {
        output += content
        position += pattern.count
        continue
      }
      output.append(self[position])
      position += 1
    }
    return pattern.isEmpty ? output + content : output
  }
}
