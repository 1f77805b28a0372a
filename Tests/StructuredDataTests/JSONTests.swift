import Diagnostics
import StructuredData
import Testing

@Suite struct JSONTests {
  @Test func readsEveryKindOfValue() throws {
    let value = try JSONValue(parsing: #" {"a": [1, -2.5, 1e3, true, false, null], "b": {"c": "x\n\"\u00e9\ud83d\ude00"}} "#)
    #expect(value["a"] == [1, -2.5, 1000.0, true, false, nil])
    #expect(value["b"]?["c"]?.string == "x\n\"é😀")
    #expect(value["a"]?.array?[2].integer == 1000)
  }

  @Test func integersStayExact() throws {
    #expect(try JSONValue(parsing: "9007199254740993") == .integer(9_007_199_254_740_993))
    #expect(try JSONValue(parsing: "-9223372036854775808") == .integer(.min))
    #expect(try JSONValue(parsing: "9223372036854775808").double == 0x1p63)
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "01", "1.", ".5", "+1", "1e", "nul", "tru", "\"", "\"\\x\"", "\"\\ud800\"",
    "\"a\u{1}b\"", "[1] 2",
    "{\"a\":1,\"a\":2}", "{\"\\u0061\":1,\"a\":2}", "1e999", "'a'", "NaN", "[1 2]", "\u{FEFF}1",
  ])
  func refusesWhatIsNotJSON(_ text: String) {
    let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    #expect(error?.kind == .badData)
  }

  @Test func refusesInvalidUTF8() {
    for bytes: [UInt8] in [[0x22, 0xC3, 0x22], [0x22, 0xFF, 0x22], [0x22, 0x5C, 0x6E, 0xC0, 0x80, 0x22]] {
      bytes.withUnsafeBytes { bytes in _ = #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) } }
    }
  }

  @Test func depthIsBounded() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(throws: JSONError.self) { try JSONValue(parsing: deep) }
    #expect(throws: Never.self) { try JSONValue(parsing: String(repeating: "[", count: 100) + String(repeating: "]", count: 100)) }
  }

  /// A vocabulary may hold a letter in its composed and in its decomposed form: to Swift's String they are equal, here they are two keys.
  @Test func keysDifferByBytes() throws {
    let value = try JSONValue(parsing: "{\"\u{E9}\": 1, \"e\u{301}\": 2}")
    #expect(value.object?.count == 2)
    #expect(value["\u{E9}"] == 1)
    #expect(value["e\u{301}"] == 2)
  }

  @Test func objectsKeepOrderThroughEdits() {
    var object: JSONObject = ["z": 1, "a": 2, "m": 3]
    object["a"] = nil
    object["b"] = 4
    object["z"] = 5
    #expect(object.keys == ["z", "m", "b"])
    #expect(object["m"] == 3 && object["b"] == 4 && object["z"] == 5 && object["a"] == nil)
  }

  @Test func writingReadsBackEqual() throws {
    let value: JSONValue = [
      "text": "tab\t quote\" slash\\ bell\u{7} é", "numbers": [0, -1, 0.1, 1e-300, 123_456_789_012_345], "empty": [:],
      "list": [[], [nil, true]],
    ]
    for pretty in [true, false] { #expect(try JSONValue(parsing: value.text(pretty: pretty)) == value) }
    #expect(JSONValue.number(.nan).text(pretty: false) == "null")
  }
}
