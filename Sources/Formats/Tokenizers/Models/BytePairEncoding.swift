import StructuredData

/// Byte-pair encoding (Sennrich, Haddow and Birch, 2016) with the variations of the tokenizers library.
struct BytePairEncoding: TokenizerModel {
  let vocabulary: Vocabulary
  let merges: MergeTable
  /// The token of what has none; nil drops it silently, as the library does.
  let unknown: Int32?
  let fusesUnknown: Bool
  /// The tokens `<0x00>` to `<0xFF>`, -1 where one is missing; nil without byte fallback.
  let byteTokens: [Int32]?
  /// A word that is a token is taken whole, without merging.
  let ignoresMerges: Bool
  let continuingPrefix: [UInt8]
  let endOfWordSuffix: [UInt8]

  init(_ component: TokenizerComponent) throws(TokenizerError) {
    if let dropout = component.member("dropout"), dropout.double != 0 {
      throw component.unsupported("dropout", supported: "merging without dropout")
    }
    guard let entries = component.value["vocab"]?.object else { throw component.malformed("\"vocab\" must be an object") }
    var vocabulary = Vocabulary(capacity: entries.count)
    for entry in entries.members { vocabulary.insert(Array(entry.key.utf8), id: try component.tokenID(entry.value)) }
    self.vocabulary = vocabulary
    continuingPrefix = Array(try (component.optionalString("continuing_subword_prefix") ?? "").utf8)
    endOfWordSuffix = Array(try (component.optionalString("end_of_word_suffix") ?? "").utf8)
    merges = try Self.merges(component, vocabulary, prefixLength: continuingPrefix.count)
    unknown = try component.optionalString("unk_token").flatMap { vocabulary.id(of: $0) }
    fusesUnknown = try component.bool("fuse_unk", default: false)
    ignoresMerges = try component.bool("ignore_merges", default: false)
    if try component.bool("byte_fallback", default: false) {
      byteTokens = (0..<256).map { byte in
        let digits = String(byte, radix: 16, uppercase: true)
        return vocabulary.id(of: "<0x\(digits.utf8.count < 2 ? "0" : "")\(digits)>") ?? -1
      }
    } else {
      byteTokens = nil
    }
  }

  private static func merges(
    _ component: TokenizerComponent, _ vocabulary: Vocabulary, prefixLength: Int
  ) throws(TokenizerError) -> MergeTable {
    guard let list = component.value["merges"]?.array else { throw component.malformed("\"merges\" must be an array") }
    var table = MergeTable(capacity: list.count)
    var rank = 0
    for element in list {
      guard let (left, right) = try pair(element, component) else { continue }
      let joined = left + right.dropFirst(prefixLength)
      func id(_ token: [UInt8]) throws(TokenizerError) -> Int32 {
        guard let id = token.withUnsafeBufferPointer({ vocabulary.id(of: $0) }) else {
          let name = String(decoding: token.prefix(120), as: UTF8.self)
          throw component.malformed("merge \(rank) needs the token \"\(name)\", which the vocabulary does not have")
        }
        return id
      }
      guard right.count >= prefixLength else { throw component.malformed("merge \(rank) is shorter than the subword prefix") }
      table.insert(try id(left), try id(right), rank: rank, id: try id(joined))
      rank += 1
    }
    return table
  }

  /// A merge as `["a", "b"]` or `"a b"`; nil for the version line that older files begin with.
  private static func pair(_ element: JSONValue, _ component: TokenizerComponent) throws(TokenizerError) -> ([UInt8], [UInt8])? {
    if let line = element.string {
      if line.utf8.starts(with: "#version".utf8) { return nil }
      let parts = line.utf8.split(separator: 0x20, omittingEmptySubsequences: false)
      if parts.count == 2 { return (Array(parts[0]), Array(parts[1])) }
    } else if let parts = element.array, parts.count == 2, let left = parts[0].string, let right = parts[1].string {
      return (Array(left.utf8), Array(right.utf8))
    }
    throw component.malformed("a merge must be \"a b\" or [\"a\", \"b\"]")
  }

  var count: Int { vocabulary.count }
  func id(of token: UnsafeBufferPointer<UInt8>) -> Int32? { vocabulary.id(of: token) }
  func token(for id: Int32) -> [UInt8]? { vocabulary.token(for: id) }
}
