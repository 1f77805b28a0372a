import Diagnostics
import Testing

@Suite struct NameSuggestionTests {
  static let names = ["bits", "group-size", "method", "smoothquant", "static-activations", "w4-awq", "w4-gptq", "w8"]

  @Test(arguments: [
    ("bit", "bits"), ("bitss", "bits"), ("ibts", "bits"), ("groupsize", "group-size"), ("groupSize", "group-size"),
    ("group_size", "group-size"), ("gruop-szie", "group-size"), ("METHOD", "method"), ("w4-gtpq", "w4-gptq"), ("w4-aqw", "w4-awq"),
    ("w9", "w8"), ("W8", "w8"), ("smooth", "smoothquant"), ("static", "static-activations"),
  ])
  func oneIsMeant(_ typed: String, _ expected: String) {
    #expect(NameSuggestion.nearest(to: typed, among: Self.names) == expected)
  }

  /// Two beginnings ask for neither; a third of the letters is the end of guessing.
  @Test(arguments: ["", "w4", "x", "mexxxd", "quantize", "é", String(repeating: "bits", count: 100_000)])
  func noneIsMeant(_ typed: String) {
    let found = NameSuggestion.nearest(to: typed, among: Self.names.filter { $0 != "w8" })
    #expect(found == nil)
  }

  @Test func ofEquallyNearOnesTheFirstIsMeant() {
    #expect(NameSuggestion.nearest(to: "w7", among: ["w8", "w6"]) == "w8")
    #expect(NameSuggestion.nearest(to: "a", among: ["b", "c"]) == nil)
    #expect(NameSuggestion.nearest(to: "a", among: []) == nil)
    #expect(NameSuggestion.nearest(to: "a", among: ["A"]) == "A")
  }

  @Test func remediesAskAndList() {
    #expect(NameSuggestion.remedy(for: "bit", among: Self.names, known: "known is all") == "did you mean 'bits'? known is all")
    #expect(NameSuggestion.remedy(for: "quantize", among: Self.names, known: "known is all") == "known is all")
  }
}
