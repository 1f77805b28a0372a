import StructuredData

/// WordPiece (Schuster & Nakajima 2012; Wu et al. 2016): the longest token that a word starts with, then the longest that what is left starts with.
/// A word that does not come out is unknown as a whole.
struct WordPiece: TokenizerModel {
  private let vocabulary: Vocabulary
  private let unknown: Int32
  /// What the tokens inside of words begin with.
  private let continuingPrefix: [UInt8]
  /// Words of more scalars are unknown.
  private let longestWord: Int

  init(_ component: TokenizerComponent) throws(TokenizerError) {
    guard let entries = component.value["vocab"]?.object else { throw component.malformed("\"vocab\" must be an object") }
    var vocabulary = Vocabulary(capacity: entries.count)
    for entry in entries.members { vocabulary.insert(Array(entry.key.utf8), id: try component.tokenID(entry.value)) }
    let name = try component.optionalString("unk_token") ?? "[UNK]"
    guard let unknown = vocabulary.id(of: name) else {
      throw component.malformed("the unknown token \"\(name)\" is not in the vocabulary")
    }
    (self.vocabulary, self.unknown) = (vocabulary, unknown)
    continuingPrefix = Array(try (component.optionalString("continuing_subword_prefix") ?? "##").utf8)
    longestWord = component.member("max_input_chars_per_word") == nil ? 100 : try component.count("max_input_chars_per_word")
  }

  var count: Int { vocabulary.count }
  func id(of token: UnsafeBufferPointer<UInt8>) -> Int32? { vocabulary.id(of: token) }
  func token(for id: Int32) -> [UInt8]? { vocabulary.token(for: id) }

  func tokenize(_ piece: TextPiece, with scratch: ModelScratch, into output: inout [Int32]) {
    let bytes = piece.bytes
    var starts: [Int] = []
    var position = 0
    while position < bytes.count {
      starts.append(position)
      position += bytes.scalar(at: position).length
      if starts.count > longestWord { return output.append(unknown) }
    }
    starts.append(bytes.count)
    scratch.result.removeAll(keepingCapacity: true)
    var first = 0
    while first < starts.count - 1 {
      var end = starts.count - 1
      var found: Int32?
      while end > first {
        scratch.key.removeAll(keepingCapacity: true)
        if first > 0 { scratch.key += continuingPrefix }
        scratch.key += bytes[starts[first]..<starts[end]]
        found = scratch.key.withUnsafeBufferPointer { vocabulary.id(of: $0) }
        if found != nil { break }
        end -= 1
      }
      guard let found else { return output.append(unknown) }
      scratch.result.append(found)
      first = end
    }
    output += scratch.result
  }
}
