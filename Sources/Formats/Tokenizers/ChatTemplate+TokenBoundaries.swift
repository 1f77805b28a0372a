extension Tokenizer {
  /// How many of a text's tokens end at or before each of some places in it: what tells the tokens of one part from those of the next.
  ///
  /// A token that reaches over a place counts as behind it. Nil when the tokens do not decode to the very text (a normalizer changed it, or
  /// the vocabulary lacks something), so that places in it say nothing about tokens.
  ///
  /// - Parameters:
  ///   - ids: the text's tokens, without any that were added around it.
  ///   - offsets: places as UTF-8 offsets.
  package func tokenCounts(of ids: [Int32], in text: String, endingBy offsets: [Int]) -> [Int]? {
    guard decodedBytes(ids[...], skipSpecialTokens: false).elementsEqual(text.utf8) else { return nil }
    // Most decoders put together what each token says; then the ends are a running sum, which a decoding a place confirms.
    var ends = [0]
    ends.reserveCapacity(ids.count + 1)
    for place in ids.indices {
      ends.append(ends[place] + decodedBytes(ids[place...place], skipSpecialTokens: false).count)
    }
    func decoded(_ count: Int) -> [UInt8] { decodedBytes(ids[..<count], skipSpecialTokens: false) }
    return offsets.map { offset in
      let guess = Self.last(of: ids.count) { ends[$0] <= offset }
      var found = decoded(guess).count == ends[guess] ? guess : Self.last(of: ids.count) { decoded($0).count <= offset }
      // Characters broken off read longer than they are, so that tokens inside of them seem to lie behind their end.
      for count in found..<min(ids.count, found + Self.longestBrokenRun) {
        let bytes = decoded(count + 1)
        if bytes.count <= offset { found = count + 1 } else if !bytes.suffix(3).elementsEqual("\u{FFFD}".utf8) { break }
      }
      return found
    }
  }

  /// Tokens of single bytes that are looked through for the end of a character.
  private static let longestBrokenRun = 256

  /// The last of `0...count` for which a condition holds that holds up to some place and not behind it.
  private static func last(of count: Int, where holds: (Int) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high + 1) / 2
      if holds(middle) { low = middle } else { high = middle - 1 }
    }
    return low
  }
}
