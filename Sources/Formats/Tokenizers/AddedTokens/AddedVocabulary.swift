/// The added tokens of a tokenizer and the search for them.
struct AddedVocabulary: Sendable {
  /// Ids by content. Contents are compared by their bytes.
  private var ids = Vocabulary(capacity: 0)
  private var tokens: [Int32: AddedToken] = [:]
  /// What decoding takes for a token whose normalized form is another than its content.
  private var normalizedForms: [Int32: [UInt8]] = [:]
  private var specials = Vocabulary(capacity: 0)
  private var plainTrie = TokenTrie()
  private var normalizedTrie = TokenTrie()
  /// How many tokens the model's vocabulary does not have.
  private(set) var countBeyondModel = 0

  private static let word = ScalarBitmap(CharacterProperties.rustWord)
  private static let whitespace = ScalarBitmap(CharacterProperties.whitespace)

  init() {}

  /// As the library does, tokens take the id of the model's vocabulary, or the next free one: the file's ids are not asked.
  init(_ added: [AddedToken], model: any TokenizerModel, normalizers: [any Normalizer]) {
    let scratch = PatternScratch()
    var next = Int32(clamping: model.count)
    for token in added where !token.content.isEmpty {
      let content = Array(token.content.utf8)
      let known = content.withUnsafeBufferPointer { ids.id(of: $0) }
      if let known, tokens[known] == token { continue }
      let inModel = content.withUnsafeBufferPointer { model.id(of: $0) }
      let id = known ?? inModel ?? next
      if known == nil, inModel == nil { next = next == .max ? next : next + 1 }
      if known == nil, inModel == nil { countBeyondModel += 1 }
      if token.isNormalized {
        var text = NormalizedText(bytes: content, startLength: 0)
        for normalizer in normalizers { normalizer.normalize(&text, with: scratch) }
        normalizedForms[id] = text.bytes == content ? normalizedForms[id] : text.bytes
      }
      ids.insert(content, id: id)
      if token.isSpecial { specials.insert(content, id: id) }
      tokens[id] = token
    }
    for (id, token) in tokens.sorted(by: { $0.key < $1.key }) {
      if token.isNormalized {
        normalizedTrie.insert(normalizedForms[id] ?? Array(token.content.utf8), id: id)
      } else {
        plainTrie.insert(Array(token.content.utf8), id: id)
      }
    }
  }

  func id(of content: UnsafeBufferPointer<UInt8>) -> Int32? { ids.id(of: content) }

  /// The text of a token as decoding sees it.
  func text(of id: Int32) -> [UInt8]? {
    tokens[id].map { normalizedForms[id] ?? Array($0.content.utf8) }
  }

  /// The ids of special tokens, rising.
  var specialIDs: [Int32] { tokens.filter { $0.value.isSpecial }.keys.sorted() }

  func isSpecial(_ text: [UInt8]) -> Bool { text.withUnsafeBufferPointer { specials.id(of: $0) != nil } }

  /// Whether the tokens to be found in normalized text are none.
  var hasNormalizedTokens: Bool { !normalizedTrie.isEmpty }

  /// Cuts a text into added tokens and what lies between them, in order. `body` gets the id for a token, nil for the rest.
  func forEachStretch(
    of text: UnsafeBufferPointer<UInt8>, isNormalized: Bool, _ body: (_ start: Int, _ end: Int, _ id: Int32?) -> Void
  ) {
    let trie = isNormalized ? normalizedTrie : plainTrie
    guard !trie.isEmpty else {
      if !text.isEmpty { body(0, text.count, nil) }
      return
    }
    var passed = 0
    var from = 0
    while let found = trie.search(text, from: from) {
      from = found.end
      guard let token = tokens[found.id] else { continue }
      if token.isSingleWord, touchesWord(text, found.start, found.end) { continue }
      var start = found.start
      var end = found.end
      if token.stripsLeft {
        while start > 0 {
          let before = text.scalarStart(before: start)
          guard Self.whitespace.contains(text.scalar(at: before).value) else { break }
          start = before
        }
        start = max(start, passed)
      }
      if token.stripsRight {
        while end < text.count {
          let scalar = text.scalar(at: end)
          guard Self.whitespace.contains(scalar.value) else { break }
          end += scalar.length
        }
      }
      if passed < start { body(passed, start, nil) }
      // A token that began in white space which the one before took along may have nothing left; it counts all the same.
      body(min(start, end), end, found.id)
      passed = end
    }
    if passed < text.count { body(passed, text.count, nil) }
  }

  private func touchesWord(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
    if start > 0, Self.word.contains(text.scalar(at: text.scalarStart(before: start)).value) { return true }
    return end < text.count && Self.word.contains(text.scalar(at: end).value)
  }
}
