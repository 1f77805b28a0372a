/// `Replace`: the normalizer of that name, on each token.
struct ReplaceDecoder: TokenDecoder {
  let pattern: Pattern
  let content: [UInt8]

  func decode(_ tokens: [[UInt8]]) -> [[UInt8]] {
    let normalizer = ReplaceNormalizer(pattern: pattern, content: content)
    let scratch = PatternScratch()
    return tokens.map { token in
      var text = NormalizedText(bytes: token, startLength: 0)
      normalizer.normalize(&text, with: scratch)
      return text.bytes
    }
  }
}

/// `Fuse`: all tokens become one.
struct FuseDecoder: TokenDecoder {
  func decode(_ tokens: [[UInt8]]) -> [[UInt8]] { [Array(tokens.joined())] }
}

/// `Strip`: drops up to so many of one character from both ends of each token.
struct StripDecoder: TokenDecoder {
  let content: [UInt8]
  let start: Int
  let stop: Int

  func decode(_ tokens: [[UInt8]]) -> [[UInt8]] {
    tokens.map { token in
      var rest = token[...]
      var left = start
      while left > 0, rest.starts(with: content) {
        rest = rest.dropFirst(content.count)
        left -= 1
      }
      left = stop
      while left > 0, rest.count >= content.count, rest.suffix(content.count).elementsEqual(content) {
        rest = rest.dropLast(content.count)
        left -= 1
      }
      return Array(rest)
    }
  }
}
