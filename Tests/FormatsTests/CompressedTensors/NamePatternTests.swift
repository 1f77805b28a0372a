import Formats
import StructuredData
import Testing

/// Regular expressions against Python's `re.match`.
@Suite struct NamePatternTests {
  @Test func matchesLikePython() throws {
    let golden = try CompressedTensorsGolden()
    let subjects = try golden.list("subjects").compactMap(\.string)
    for test in try golden.list("patterns") {
      let expression = try #require(test["expression"]?.string)
      let pattern = try NamePattern(expression)
      let expected = try #require(test["matches"]?.array).compactMap(\.string)
      #expect(subjects.filter(pattern.matches) == expected, "\(expression)")
    }
  }

  @Test(arguments: [
    "(", ")", "a)", "[", "[z-a]", "*a", "a**", "a{2}{3}", "a{3,2}", "^*", "\\", "a++", "(?<=a)b", "(?<!a)b", "(?i)a", "(a)\\1", "(?P=a)",
    "\\q",
    "a{1001}", "[a-\\d]", "(?P<a", "((a{1000}){1000}){1000}", "((){1000}){1000}", String(repeating: "(", count: 100),
  ]) func refuses(expression: String) {
    #expect(throws: NamePatternError.self) { try NamePattern(expression) }
  }

  /// What takes a backtracking matcher longer than the age of the universe.
  @Test(.timeLimit(.minutes(1))) func staysFast() throws {
    let name = String(repeating: "a", count: 1000)
    #expect(try !NamePattern("(a*)*b").matches(name))
    #expect(try !NamePattern("(a|a)*$.").matches(name))
    #expect(try !NamePattern("(?:(?=a*$)a)*b").matches(name))
    #expect(try !NamePattern(".*").matches(String(repeating: "a", count: 5000)), "longer names match nothing")
  }
}
