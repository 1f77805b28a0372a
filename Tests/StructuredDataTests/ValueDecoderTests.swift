import StructuredData
import Testing

@Suite struct ValueDecoderTests {
  enum Kind: String, Codable, CaseIterable { case symmetric, asymmetric }

  struct Part: Codable, Equatable {
    var pattern: String
    var bits: Int?
  }

  struct Options: Codable, Equatable {
    var bits = 8
    var share: Float = 0.1
    var rate = 2.5e-300
    var seed: UInt64 = 3
    var small: Int8 = -4
    var isOn = true
    var kind = Kind.symmetric
    var word = "é \"x\""
    var parts = [Part(pattern: "a", bits: nil), Part(pattern: "b", bits: 4)]
    var table = ["x": [1, 2], "y": []]
    var missing: Double?
  }

  private static let document: JSONValue = [
    "bits": 8.0, "share": 0.1, "rate": 2.5e-300, "seed": 3, "small": -4, "isOn": true, "kind": "symmetric", "word": "é \"x\"",
    "parts": [["pattern": "a", "bits": nil], ["pattern": "b", "bits": 4]], "table": ["x": [1, 2], "y": []],
  ]

  @Test func everyKindOfValueIsDecoded() throws {
    let found = try ValueDecoder.decode(Options.self, from: Self.document)
    #expect(found == Options())
  }

  @Test(
    arguments: [
      (["bits": 3.5], "bits", "3.5"), (["bits": "three"], "bits", "three"), (["bits": 1e300], "bits", "whole"),
      (["small": 128], "small", "range"),
      (["seed": -1], "seed", "-1"), (["share": 1e300], "share", "32 bits"), (["isOn": 1], "isOn", "1"), (["word": 7], "word", "7"),
      (["kind": 3], "kind", "3"), (["parts": "x"], "parts", "list"), (["parts": [["pattern": "a"], 4]], "parts[1]", "mapping"),
      (["parts": [["pattern": "a", "bits": true]]], "parts[0].bits", "true"), (["parts": [[:]]], "parts[0].pattern", "missing"),
      (["table": ["x": [1, "y"]]], "table.x[1]", "y"),
    ] as [(JSONObject, String, String)])
  func whatIsRefusedIsNamed(_ changes: JSONObject, _ path: String, _ word: String) throws {
    var document = try #require(Self.document.object)
    for member in changes.members { document[member.key] = member.value }
    let problem = #expect(throws: ValueDecoder.Problem.self) { try ValueDecoder.decode(Options.self, from: .object(document)) }
    #expect(problem?.path.text == path)
    #expect(problem?.problem.contains(word) == true, "\(problem?.problem ?? "")")
  }

  @Test func wordsThatThereAreAreSaid() throws {
    let problem = #expect(throws: ValueDecoder.Problem.self) { try ValueDecoder.decode(Kind.self, from: "asymetric") }
    #expect(problem?.remedy == "did you mean 'asymmetric'? use symmetric, asymmetric")
    let other = #expect(throws: ValueDecoder.Problem.self) { try ValueDecoder.decode([Kind].self, from: ["symmetric", 5]) }
    #expect(other?.remedy == "use symmetric, asymmetric" && other?.path.text == "[1]")
  }
}
