import Diagnostics
import Tensors

/// Draws distinct windows from all over a text.
///
/// A text with more than twice what is needed is visited in many small places, in an order that the seed gives, until enough is found.
/// A shorter one is read in long pieces so that little is lost between them, and windows are drawn from all that it holds.
struct WindowDraw {
  let text: CalibrationText
  let pieces: FilePieces
  let settings: CalibrationSettings
  /// The tokens of a piece of text; told whether a document starts with it.
  let tokenize: (_ text: String, _ startsDocument: Bool) throws -> [Int32]

  private(set) var filter: DuplicateFilter
  /// Whether a conversation was read as plain text.
  private(set) var joinedConversations = false
  /// Tokens of short documents and of rests, waiting until they fill a window.
  private var pending: [Int32] = []

  init(
    text: CalibrationText, pieces: FilePieces, settings: CalibrationSettings, tokenize: @escaping (String, Bool) throws -> [Int32]
  ) {
    self.text = text
    self.pieces = pieces
    self.settings = settings
    self.tokenize = tokenize
    filter = Self.filter(settings)
  }

  private static func filter(_ settings: CalibrationSettings) -> DuplicateFilter {
    DuplicateFilter(threshold: settings.similarityThreshold, seed: SeededRandom.value(seed: settings.seed, index: Purpose.filter.rawValue))
  }

  /// What a number drawn from the seed is for.
  private enum Purpose: UInt64 { case filter, order, stretch, choice }

  /// Bytes that surely hold a window and probably two, at the four to five bytes that a token has in most languages.
  private var placeSize: Int { 10 * settings.sequenceLength }

  /// Windows taken from one small place, however many tokens its bytes make.
  private static let windowsOfAPlace = 2

  /// Bytes of a piece when all of the text is read: long enough that the part of a window lost at its end does not count, and short enough
  /// for a tokenizer.
  private var longPieceSize: Int {
    max(256 << 10, 16 * settings.sequenceLength, min(320 * settings.sequenceLength, 4 << 20))
  }

  /// The candidates, in an order that the seed gives.
  mutating func candidates() throws -> [[Int32]] {
    let wanted = settings.candidates
    if text.bounds.count / placeSize >= wanted {
      try visit(pieceSize: placeSize, upTo: wanted, isSparse: true)
      if filter.kept.count >= wanted { return filter.kept }
      // Most of it was not to be had in small places: tokens are uncommonly long, or nearly all is repeated.
      filter = Self.filter(settings)
      pending = []
    }
    // A bound for texts of any size; a text that is short has fewer.
    try visit(pieceSize: longPieceSize, upTo: 8 * wanted, isSparse: false)
    let order = SeededRandom.value(seed: settings.seed, index: Purpose.choice.rawValue)
    return Array(filter.kept.shuffled(seed: order).prefix(wanted))
  }

  /// Goes through the pieces of the text in the seed's order until so many windows were kept.
  /// - Parameter isSparse: whether a little is taken from each place, rather than all there is.
  private mutating func visit(pieceSize: Int, upTo enough: Int, isSparse: Bool) throws {
    let cut = TextCut(text.bounds, size: pieceSize)
    let order = SeededPermutation(count: cut.count, seed: SeededRandom.value(seed: settings.seed, index: Purpose.order.rawValue))
    for index in 0..<cut.count where filter.kept.count < enough {
      try Interruption.check()
      let place = order[index]
      switch text.layout {
      case .plain:
        let bytes = try cut.piece(place) { range throws(CalibrationError) in try pieces.read(range) }
        _ = keepWindows(of: try tokens(of: bytes, startsDocument: false, isSparse: isSparse), upTo: enough)
      case .lines:
        let start = text.bounds.lowerBound + place * cut.size
        for line in try DocumentLines(pieces: pieces, bounds: text.bounds).lines(startingIn: start..<start + cut.size)
        where filter.kept.count < enough {
          try visit(line, isSparse: isSparse, pieceSize: pieceSize, upTo: enough)
        }
      }
    }
  }

  private mutating func visit(_ line: DocumentLines.Line, isSparse: Bool, pieceSize: Int, upTo enough: Int) throws {
    let document = try DocumentLines(pieces: pieces, bounds: text.bounds).text(of: line)
    if document.isConversation { joinedConversations = true }
    let bytes = Array(document.text.utf8)
    let cut = TextCut(0..<bytes.count, size: pieceSize)
    guard cut.count > 0 else { return }
    // Of a long document one stretch, lest it crowd out the others.
    let seed = SeededRandom.value(seed: settings.seed, index: Purpose.stretch.rawValue)
    let drawn = Int(SeededRandom.value(seed: seed, index: UInt64(line.offset)) % UInt64(cut.count))
    for part in isSparse ? drawn..<drawn + 1 : 0..<cut.count where filter.kept.count < enough {
      let stretch = cut.piece(part) { bytes[$0].map { $0 } }
      pending += keepWindows(of: try tokens(of: stretch, startsDocument: part == 0, isSparse: isSparse), upTo: enough)
      if pending.count >= settings.sequenceLength, filter.kept.count < enough {
        filter.insert(Array(pending.prefix(settings.sequenceLength)))
        pending.removeFirst(settings.sequenceLength)
      }
    }
  }

  /// The tokens of a piece of text, no more of them than are taken from it.
  private func tokens(of bytes: ArraySlice<UInt8>, startsDocument: Bool, isSparse: Bool) throws -> ArraySlice<Int32> {
    guard let string = String(validating: bytes, as: UTF8.self) else {
      throw CalibrationError(pieces.path, "changed while it was read", remedy: "run again when it is complete", kind: .inputOutput)
    }
    return try tokenize(string, startsDocument).prefix(isSparse ? Self.windowsOfAPlace * settings.sequenceLength : .max)
  }

  /// Offers the consecutive windows that a stretch of tokens holds. Returns the rest, shorter than a window.
  private mutating func keepWindows(of tokens: ArraySlice<Int32>, upTo enough: Int) -> ArraySlice<Int32> {
    let length = settings.sequenceLength
    var rest = tokens
    while rest.count >= length {
      if filter.kept.count < enough { filter.insert(Array(rest.prefix(length))) }
      rest = rest.dropFirst(length)
    }
    return rest
  }
}
