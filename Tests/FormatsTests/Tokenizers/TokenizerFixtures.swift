import Foundation
import StructuredData
import Testing

@testable import Formats

/// The small tokenizers that `make-tokenizer-fixtures.py` trained and what the reference library did with them.
enum TokenizerFixtures {
  static let shapes = [
    "deepseek-v3", "deepseek-llm", "llama-3", "qwen-2", "llama-2", "metaspace-first", "roberta", "prefixed", "suffixed", "bert",
    "bert-cased",
  ]

  static func json(_ name: String) throws -> JSONValue {
    let file = try #require(Bundle.module.resourceURL).appendingPathComponent("TokenizerFixtures/\(name).json")
    return try JSONValue(parsing: String(contentsOf: file, encoding: .utf8))
  }

  static func tokenizer(_ name: String) throws -> Tokenizer { try Tokenizer(json: json(name), named: "\(name).json") }

  static func cases(_ kind: String) throws -> JSONValue { try #require(json("cases")[kind]) }

  /// A tokenizer whose model has the letters of a text and the merges given, with other members set on the way.
  static func letters(
    _ letters: String, merges: [[String]] = [], model: [String: JSONValue] = [:], root: [String: JSONValue] = [:]
  ) -> JSONValue {
    var vocabulary = JSONObject()
    for token in letters.map(String.init) + merges.map({ $0.joined() }) where vocabulary[token] == nil {
      vocabulary[token] = .integer(Int64(vocabulary.count))
    }
    var members = JSONObject()
    members["type"] = "BPE"
    members["vocab"] = .object(vocabulary)
    members["merges"] = .array(merges.map { .array($0.map { .string($0) }) })
    for (key, value) in model { members[key] = value }
    var file = JSONObject()
    file["model"] = .object(members)
    for (key, value) in root { file[key] = value }
    return .object(file)
  }
}

extension JSONValue {
  var ids: [Int32]? { array?.compactMap { $0.integer.flatMap { Int32(exactly: $0) } } }
  var strings: [String]? { array?.compactMap(\.string) }
}

/// Equality of bytes: `String` would let composed and decomposed letters pass for one another.
func sameBytes(_ left: String?, _ right: String?) -> Bool { left.map { Array($0.utf8) } == right.map { Array($0.utf8) } }
