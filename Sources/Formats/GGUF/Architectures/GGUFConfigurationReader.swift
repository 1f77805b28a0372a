import Diagnostics
import StructuredData

/// Reads a config.json for GGUF: typed, with bounds, with the defaults that loaders of the family take.
struct GGUFConfigurationReader: Sendable {
  /// Where errors point: `config.json`.
  let file: String
  private let object: JSONObject

  init(_ configuration: JSONValue, file: String) throws(CheckpointError) {
    guard let object = configuration.object else { throw Self.malformed(file, "is not a JSON object") }
    self.object = object
    self.file = file
  }

  /// The value of a key; nil when it is absent or null.
  func value(_ key: String) -> JSONValue? {
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  /// Whether a key is there, be it with the value null.
  func holds(_ key: String) -> Bool { object[key] != nil }

  /// A whole number from 1 to `limit`, by the first of the names that is there.
  func count(_ keys: String..., default fallback: Int? = nil, limit: Int = 1 << 28) throws(CheckpointError) -> Int {
    guard let key = keys.first(where: { value($0) != nil }), let value = value(key) else {
      guard let fallback else { throw Self.malformed("\(file): \(keys.first ?? "")", "is missing") }
      return fallback
    }
    guard let count = value.integer, (1...limit).contains(count) else { throw wrong(key, value, "a whole number from 1 to \(limit)") }
    return count
  }

  func number(_ key: String, default fallback: Double) throws(CheckpointError) -> Double {
    guard let value = value(key) else { return fallback }
    guard let number = value.double, number.isFinite else { throw wrong(key, value, "a number") }
    return number
  }

  func positive(_ key: String, default fallback: Double) throws(CheckpointError) -> Double {
    let number = try number(key, default: fallback)
    guard number > 0, Float(number) > 0, Float(number).isFinite else { throw wrong(key, .number(number), "a float32 above 0") }
    return number
  }

  func flag(_ key: String, default fallback: Bool) throws(CheckpointError) -> Bool {
    guard let value = value(key) else { return fallback }
    guard let flag = value.bool else { throw wrong(key, value, "true or false") }
    return flag
  }

  func text(_ key: String) throws(CheckpointError) -> String? {
    guard let value = value(key) else { return nil }
    guard let text = value.string else { throw wrong(key, value, "a string") }
    return text
  }

  func section(_ key: String) throws(CheckpointError) -> GGUFConfigurationReader? {
    guard let value = value(key) else { return nil }
    return try GGUFConfigurationReader(value, file: "\(file): \(key)")
  }

  private func wrong(_ key: String, _ value: JSONValue, _ wanted: String) -> CheckpointError {
    Self.malformed("\(file): \(key)", "is \(value.text(pretty: false).prefix(60)), not \(wanted)")
  }

  private static func malformed(_ subject: String, _ problem: String) -> CheckpointError {
    CheckpointError(kind: .badData, subject: subject, problem: problem, remedy: "use a Hugging Face config.json")
  }

  /// What a GGUF file has no words for.
  func refused(_ key: String, _ problem: String, remedy: String = "use --format safetensors or compressed-tensors") -> CheckpointError {
    CheckpointError(kind: .usage, subject: "\(file): \(key)", problem: "GGUF \(problem)", remedy: remedy)
  }
}
