/// Turns the texts of tokens back into readable text, in the order given. Texts are UTF-8; `ByteLevel` and `ByteFallback`
/// repair what is not.
protocol TokenDecoder: Sendable {
  func decode(_ tokens: [[UInt8]]) -> [[UInt8]]
}

extension TokenizerComponent {
  static let supportedDecoders = "Sequence, ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip, BPEDecoder and WordPiece decoders"

  /// The decoders of a component in the order they run; a Sequence is taken apart.
  func decoders() throws(TokenizerError) -> [any TokenDecoder] {
    switch try type() {
    case "Sequence":
      var result: [any TokenDecoder] = []
      for part in try list("decoders") { result += try part.decoders() }
      return result
    case "ByteLevel": return [ByteLevelDecoder()]
    case "Metaspace":
      let mark = Array(String(Character(try scalar("replacement"))).utf8)
      return [MetaspaceDecoder(mark: mark, dropsLeading: try metaspaceScheme() != .never)]
    case "Replace": return [ReplaceDecoder(pattern: try pattern("pattern"), content: Array(try string("content").utf8))]
    case "ByteFallback": return [ByteFallbackDecoder()]
    case "Fuse": return [FuseDecoder()]
    case "Strip":
      let content = Array(String(Character(try scalar("content"))).utf8)
      return [StripDecoder(content: content, start: try count("start"), stop: try count("stop"))]
    case "WordPiece":
      return [WordPieceDecoder(prefix: Array(try string("prefix").utf8), cleansUp: try bool("cleanup", default: true))]
    case "BPEDecoder": return [SuffixDecoder(suffix: Array(try string("suffix").utf8))]
    case let other: throw unsupported("the decoder \"\(other)\"", supported: Self.supportedDecoders)
    }
  }
}
