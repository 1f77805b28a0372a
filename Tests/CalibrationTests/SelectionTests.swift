import Diagnostics
import Foundation
import Tensors
import Testing

@testable import Calibration

@Suite struct SelectionTests {
  /// Lines of words that a seed gives; no two are alike.
  static func prose(bytes: Int, seed: UInt64) -> [UInt8] {
    var random = SeededRandom(seed: seed)
    var text: [UInt8] = []
    text.reserveCapacity(bytes + 16)
    while text.count < bytes {
      var letters = random.next()
      for _ in 0..<2 + letters % 9 {
        text.append(UInt8(ascii: "a") + UInt8(letters % 26))
        letters /= 26
      }
      text.append(random.next() % 12 == 0 ? UInt8(ascii: "\n") : UInt8(ascii: " "))
    }
    return text
  }

  private func select(_ file: TemporaryText, _ settings: CalibrationSettings) throws -> CalibrationSelection {
    try CalibrationText(contentsOf: file.file).selection(settings, tokenize: byteTokens) { $0.map { Double($0[0]) + Double($0[1]) / 256 } }
  }

  @Test(arguments: CalibrationStrategy.allCases, [60_000, 2_000_000])
  func theSameSeedGivesTheSameWindows(_ strategy: CalibrationStrategy, _ bytes: Int) throws {
    let file = try TemporaryText(bytes: Self.prose(bytes: bytes, seed: 1))
    var settings = CalibrationSettings(windows: 50, sequenceLength: 100, strategy: strategy, seed: 3)
    let first = try select(file, settings)
    let second = try select(file, settings)
    #expect(first.windows.count == 50)
    #expect(first.windows == second.windows)
    #expect(Set(first.windows).count == 50)
    #expect(first.windows.allSatisfy { $0.count == 100 })
    #expect(first.warnings.isEmpty)
    #expect(first.tokens == 5000)
    settings.seed = 4
    #expect(try select(file, settings).windows != first.windows)
  }

  /// Windows are text of the file, from all of its parts.
  @Test(arguments: [60_000, 2_000_000])
  func windowsComeFromEverywhere(_ bytes: Int) throws {
    let prose = Self.prose(bytes: bytes, seed: 2)
    let file = try TemporaryText(bytes: prose)
    let whole = Data(prose)
    var quarters = [0, 0, 0, 0]
    for window in try select(file, CalibrationSettings(windows: 100, sequenceLength: 64)).windows {
      let place = try #require(whole.range(of: Data(text(of: window).utf8)))
      quarters[min(3, place.lowerBound * 4 / whole.count)] += 1
    }
    #expect(quarters.allSatisfy { (10...40).contains($0) }, "\(quarters)")
  }

  @Test func tiersAreBalancedAndReported() throws {
    let file = try TemporaryText(bytes: Self.prose(bytes: 500_000, seed: 5))
    let selection = try select(file, CalibrationSettings(windows: 60, sequenceLength: 64, strategy: .tiers))
    #expect(selection.candidates == 240)
    #expect(selection.tiers.map(\.chosen) == [12, 12, 12, 12, 12])
    #expect(selection.tiers.map(\.candidates) == [48, 48, 48, 48, 48])
    #expect(selection.losses.count == 60)
    #expect(zip(selection.windows, selection.losses).allSatisfy { Double($0[0]) + Double($0[1]) / 256 == $1 })
    let random = try select(file, CalibrationSettings(windows: 60, sequenceLength: 64))
    #expect(random.tiers.isEmpty && random.losses.isEmpty)
    #expect(random.candidates == 60)
  }

  /// Small places that give enough windows, but too few candidates: what tiers choose from is then drawn from all of the text.
  @Test func tiersAreNotSatisfiedWithFewCandidates() throws {
    // Most of the text is one line, again and again: of the rest, small places hold two windows each, and all of it many more.
    let prose = Self.prose(bytes: 40_000, seed: 11)
    let line = Array(prose.prefix(639)) + [UInt8(ascii: "\n")]
    let file = try TemporaryText(bytes: prose + Array(repeatElement(line, count: 170).joined()))
    let selection = try select(file, CalibrationSettings(windows: 50, sequenceLength: 64, strategy: .tiers))
    #expect(selection.windows.count == 50 && selection.candidates == 200)
    #expect(selection.warnings.isEmpty)
  }

  @Test func duplicatesAreDroppedAndCounted() throws {
    let passage = String(decoding: Self.prose(bytes: 3000, seed: 6), as: UTF8.self)
    let lines = (0..<50).map { "{\"text\": \"\(passage.replacing("\n", with: " ").prefix(2000))\", \"copy\": \($0)}" }
    let file = try TemporaryText(lines.joined(separator: "\n"), ending: "jsonl")
    let selection = try select(file, CalibrationSettings(windows: 40, sequenceLength: 500))
    #expect(selection.windows.count == 4)
    #expect(selection.exactDuplicates == 196)
    #expect(selection.warnings.count == 1)
    #expect(selection.warnings.contains { $0.contains("4 distinct windows of 500 tokens; 40 were asked for") })
  }

  /// All that a short text holds is given, with a warning; nothing, or less than is needed, is refused.
  @Test func shortTexts() throws {
    let file = try TemporaryText(bytes: Array(Self.prose(bytes: 1000, seed: 7).prefix(1000)))
    var settings = CalibrationSettings(windows: 20, sequenceLength: 100)
    let selection = try select(file, settings)
    #expect(selection.windows.count == 10)
    #expect(selection.warnings.count == 1)
    settings.minimumWindows = 11
    let few = try #require(throws: CalibrationError.self) { try select(file, settings) }
    #expect(few.kind.rawValue == 65)
    #expect(few.problem.contains("10 distinct windows of 100 tokens"))
    settings.minimumWindows = 1
    settings.sequenceLength = 1001
    #expect(try #require(throws: CalibrationError.self) { try select(file, settings) }.kind == .badData)
    let tiers = try select(file, CalibrationSettings(windows: 8, sequenceLength: 100, strategy: .tiers))
    #expect(tiers.windows.count == 8)
    #expect(tiers.warnings.contains { $0.contains("little to choose from") })
  }

  @Test func settingsOutOfBoundsAreRefused() throws {
    let file = try TemporaryText("some text")
    for settings in [
      CalibrationSettings(windows: 0, sequenceLength: 8), CalibrationSettings(windows: 1, sequenceLength: 1),
      CalibrationSettings(windows: Int.max, sequenceLength: 8), CalibrationSettings(windows: 1, sequenceLength: Int.max),
    ] {
      #expect(try #require(throws: CalibrationError.self) { try select(file, settings) }.kind == .usage)
    }
    var settings = CalibrationSettings(windows: 1, sequenceLength: 8)
    settings.similarityThreshold = .nan
    #expect(throws: CalibrationError.self) { try select(file, settings) }
    settings = CalibrationSettings(windows: 1, sequenceLength: 8)
    settings.candidateFactor = 0
    #expect(throws: CalibrationError.self) { try select(file, settings) }
  }

  @Test func gradesThatAreNotFiniteAreRefused() throws {
    let file = try TemporaryText(bytes: Self.prose(bytes: 10_000, seed: 8))
    let settings = CalibrationSettings(windows: 5, sequenceLength: 64, strategy: .tiers)
    let text = try CalibrationText(contentsOf: file.file)
    #expect(throws: CalibrationError.self) { try text.selection(settings, tokenize: byteTokens) { $0.map { _ in Double.nan } } }
    #expect(throws: CalibrationError.self) { try text.selection(settings, tokenize: byteTokens) { _ in [] } }
  }

  /// Tokens far longer than usual: the small places hold no window, so the text is read in long pieces.
  @Test func longTokensAreFoundAsWell() throws {
    let file = try TemporaryText(bytes: Self.prose(bytes: 400_000, seed: 9))
    let selection = try CalibrationText(contentsOf: file.file).selection(CalibrationSettings(windows: 20, sequenceLength: 50)) { text in
      stride(from: 0, to: text.utf8.count, by: 40).map { Int32($0) &+ Int32(text.utf8.count) &* 31 }
    } grade: { _ in
      []
    }
    #expect(selection.windows.count == 20)
  }

  /// Twenty megabytes are read in pieces, and windows are drawn without reading them again.
  @Test(arguments: ["txt", "jsonl"])
  func aLargeFileIsReadInPieces(_ ending: String) throws {
    var bytes = Self.prose(bytes: 20 << 20, seed: 10)
    if ending == "jsonl" {
      // Documents of a kilobyte or so.
      for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") { bytes[index] = UInt8(ascii: " ") }
      bytes = stride(from: 0, to: bytes.count, by: 1000).flatMap { start in
        Array("{\"text\": \"".utf8) + bytes[start..<min(start + 1000, bytes.count)] + Array("\"}\n".utf8)
      }
    }
    let file = try TemporaryText(bytes: bytes, ending: ending)
    let text = try CalibrationText(contentsOf: file.file)
    let pieces = try FilePieces(file.file)
    var longest = 0
    let selection = try text.selection(
      CalibrationSettings(windows: 128, sequenceLength: 512), from: pieces,
      tokenize: { text, _ in
        longest = max(longest, text.utf8.count)
        return byteTokens(text)
      }, grade: { _ in [] })
    #expect(selection.windows.count == 128)
    #expect(pieces.largestPiece <= FilePieces.pieceSize)
    #expect(longest <= 8192)
    #expect(pieces.bytesRead < bytes.count / 10)
    let again = try text.selection(CalibrationSettings(windows: 128, sequenceLength: 512), tokenize: byteTokens, grade: { _ in [] })
    #expect(again.windows == selection.windows)
  }
}
