extension Tokenizer {
  /// The text of token ids. Ids without a token are passed over; special tokens too, if wished. Bytes that form no UTF-8
  /// read as U+FFFD.
  public func decode(_ ids: [Int32], skipSpecialTokens: Bool = true) -> String {
    String(decoding: decodedBytes(ids[...], skipSpecialTokens: skipSpecialTokens), as: UTF8.self)
  }

  func decodedBytes(_ ids: ArraySlice<Int32>, skipSpecialTokens: Bool) -> [UInt8] {
    var tokens: [[UInt8]] = []
    tokens.reserveCapacity(ids.count)
    for id in ids {
      guard let text = text(of: id), !(skipSpecialTokens && added.isSpecial(text)) else { continue }
      tokens.append(text)
    }
    // Without a decoder the library puts spaces between the tokens.
    guard let decoders else { return Array(tokens.joined(separator: [0x20])) }
    for decoder in decoders { tokens = decoder.decode(tokens) }
    return Array(tokens.joined())
  }

  /// Decodes a text that comes token by token.
  public func makeStreamDecoder(skipSpecialTokens: Bool = true) -> StreamDecoder {
    StreamDecoder(tokenizer: self, skipSpecialTokens: skipSpecialTokens)
  }
}

/// Decodes tokens as they come. Text is held back while it ends inside a character, so that what has been given out never
/// changes.
public struct StreamDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipsSpecialTokens: Bool
  /// The tokens that the next text depends on: those of the last given text and those held back.
  private var pending: [Int32] = []
  /// How many of `pending` have been given out.
  private var givenCount = 0

  private static let replacement = Array("\u{FFFD}".utf8)

  init(tokenizer: Tokenizer, skipSpecialTokens: Bool) {
    self.tokenizer = tokenizer
    skipsSpecialTokens = skipSpecialTokens
  }

  /// Takes one token; returns the text that is certain now, often none.
  public mutating func append(_ id: Int32) -> String {
    pending.append(id)
    return advance(isLast: false)
  }

  /// Returns what is held back, with U+FFFD for incomplete characters.
  public mutating func finish() -> String { advance(isLast: true) }

  private mutating func advance(isLast: Bool) -> String {
    // The given tokens are decoded again in front of the new ones: decoders treat the first token differently.
    let given = decoded(pending[..<givenCount])
    let whole = decoded(pending[...])
    if !isLast, whole.count <= given.count || whole.suffix(Self.replacement.count).elementsEqual(Self.replacement) { return "" }
    let common = zip(given, whole).prefix { $0 == $1 }.count
    pending.removeFirst(givenCount)
    givenCount = pending.count
    return String(decoding: whole[common...], as: UTF8.self)
  }

  private func decoded(_ ids: ArraySlice<Int32>) -> [UInt8] {
    tokenizer.decodedBytes(ids, skipSpecialTokens: skipsSpecialTokens)
  }
}
