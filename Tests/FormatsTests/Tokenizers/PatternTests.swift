import Testing

@testable import Formats

@Suite("Patterns")
struct PatternTests {
  static func matches(_ expression: String, _ text: String, budget: Int? = nil) throws -> [String] {
    let pattern = try Pattern(expression)
    let scratch = PatternScratch()
    if let budget { scratch.budget = budget }
    var result: [String] = []
    Array(text.utf8).withUnsafeBufferPointer { bytes in
      pattern.forEachStretch(of: bytes, with: scratch) { start, end, isMatch in
        if isMatch { result.append(String(decoding: bytes[start..<end], as: UTF8.self)) }
      }
    }
    return result
  }

  @Test func givesBackOnlyWhatItMust() throws {
    #expect(try Self.matches(#"\s+(?!\S)|\s+"#, "a   b") == ["  ", " "])
    #expect(try Self.matches(#"\s*[\r\n]+|\s+"#, " \n\n  x") == [" \n\n", "  "])
    #expect(try Self.matches("[^a]?[b-z]+", "abc") == ["bc"])
    #expect(try Self.matches("a++a", "aaa").isEmpty)
    #expect(try Self.matches("(?>a|ab)c", "abc").isEmpty)
    #expect(try Self.matches("(a|ab)(c|bcd)", "abcd") == ["abcd"])
    #expect(try Self.matches("(?:ab?){2}b", "ababb") == ["ababb"])
    #expect(try Self.matches("x{2,3}?", "xxxxx") == ["xx", "xx"])
  }

  @Test func takesMoreAlternativesThanAMaskHasBits() throws {
    let words = (0..<200).map { "w\($0)[.]" }
    let expression = words.joined(separator: "|")
    #expect(try Self.matches(expression, "w0. w62. w63. w64. w199. w200.") == ["w0.", "w62.", "w63.", "w64.", "w199."])
  }

  @Test func givesUpOnCatastrophes() throws {
    // Exponential without a limit: the budget runs out, the text stays unmatched, and no later pattern has a budget either.
    #expect(try Self.matches("(?:a|a)*c", String(repeating: "a", count: 60), budget: 100_000).isEmpty)
    #expect(try Self.matches("(?:a|aa)+$", String(repeating: "a", count: 40) + "b", budget: 100_000).isEmpty)
    // Deep but honest backtracking stays within it.
    #expect(try Self.matches("(?:a|b)*c", String(repeating: "ab", count: 10_000) + "c").count == 1)
  }

  @Test(arguments: [
    "(", ")", "[", "[]", "[b-a]", "[a-\\d]", "[\\d-a]", "*", "a|*", "\\", "\\x{110000}", "\\u12", "\\p{L", "a{100001}", "(?s:a)", "(?i",
    "(?#", "[[:alpha:]",
  ])
  func refusesMalformed(_ expression: String) {
    let error = #expect(throws: PatternError.self) { try Pattern(expression) }
    #expect(error?.isUnsupported == false)
  }

  @Test(arguments: ["(a)\\1", "\\k<n>", "\\X", "\\K", "\\G", "(?~a)", "(?(1)a)", "(?<=a+)b", "\\p{Nonesuch}", "(?W)a", "\\g<1>"])
  func refusesUnsupported(_ expression: String) {
    let error = #expect(throws: PatternError.self) { try Pattern(expression) }
    #expect(error?.isUnsupported == true)
  }

  @Test func refusesBombs() {
    let bombs = [
      String(repeating: "(", count: 5000) + String(repeating: ")", count: 5000), String(repeating: "[a", count: 5000),
      "((a{1000}b){1000}c){1000}", "(?:(?:){100000}){100000}", "a" + String(repeating: "+", count: 10_000),
      String(repeating: "(?i)", count: 5000), (0..<2000).map { "[\\x{\(String($0 + 0x4E00, radix: 16))}a]" }.joined(),
    ]
    for bomb in bombs { #expect(throws: PatternError.self) { try Pattern(bomb) } }
  }

  @Test func knowsCharacterClasses() throws {
    #expect(try Self.matches(#"\w"#, "a½_-\u{200D}é") == ["a", "½", "_", "é"])
    // Inside brackets Oniguruma leaves the fractions of Latin-1 out.
    #expect(try Self.matches(#"[\w]"#, "a½_-\u{200D}é") == ["a", "_", "é"])
    #expect(try Self.matches(#"\p{Lu}\p{Ll}"#, "AaΑαАа") == ["Aa", "Αα", "Аа"])
    // Assigned in Unicode 17 only, which Oniguruma does not know yet.
    #expect(try Self.matches(#"\p{Cn}"#, "\u{16FF4}") == ["\u{16FF4}"])
    #expect(try Self.matches("(?i:'s|K)", "'S 'ſ \u{212A}k") == ["'S", "'ſ", "\u{212A}", "k"])
  }
}
