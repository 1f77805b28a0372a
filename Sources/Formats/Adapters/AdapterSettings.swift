import Diagnostics
import Foundation
import StructuredData

/// The members of one object of `adapter_config.json`, taken out one by one; what is left was not understood.
struct AdapterSettings {
  let file: URL
  /// Where the object stands in the file, with a dot at its end: empty, or `lora_parameters.`.
  var prefix = ""
  private(set) var rest: JSONObject

  init(file: URL, prefix: String = "", _ object: JSONObject) {
    self.file = file
    self.prefix = prefix
    rest = object
  }

  func malformed(
    _ key: String, _ problem: String, remedy: String = "correct it, or fetch the adapter's own adapter_config.json"
  ) -> CheckpointError {
    CheckpointError.malformed(file: file, "\"\(prefix)\(CheckpointError.shortened(key))\" \(problem)", remedy: remedy)
  }

  /// The member of that key; nil when it is missing or null.
  mutating func take(_ key: String) -> JSONValue? {
    let value = rest[key]
    rest[key] = nil
    // A bare nil would be JSON's null here.
    guard let value, !value.isNull else { return Optional.none }
    return value
  }

  mutating func flag(_ key: String) throws(CheckpointError) -> Bool {
    guard let value = take(key) else { return false }
    guard let flag = value.bool else { throw malformed(key, "is neither true nor false") }
    return flag
  }

  mutating func text(_ key: String) throws(CheckpointError) -> String? {
    guard let value = take(key) else { return nil }
    guard let text = value.string else { throw malformed(key, "is not a string") }
    return text
  }

  mutating func rank(_ key: String) throws(CheckpointError) -> Int? {
    guard let value = take(key) else { return nil }
    return try rank(value, key)
  }

  mutating func number(_ key: String) throws(CheckpointError) -> Double? {
    guard let value = take(key) else { return nil }
    guard let number = value.double, number.isFinite else { throw malformed(key, "is not a number") }
    return number
  }

  /// A factor that must not be zero.
  mutating func factor(_ key: String) throws(CheckpointError) -> Double? {
    guard let value = take(key) else { return nil }
    return try factor(value, key)
  }

  func rank(_ value: JSONValue, _ key: String) throws(CheckpointError) -> Int {
    guard let rank = value.integer, (1...1_000_000).contains(rank) else { throw malformed(key, "is not a rank of at least 1") }
    return rank
  }

  func factor(_ value: JSONValue, _ key: String) throws(CheckpointError) -> Double {
    guard let factor = value.double, factor.isFinite else { throw malformed(key, "is not a number") }
    guard factor != 0 else { throw malformed(key, "is 0: the adapter would do nothing", remedy: "write the value it was trained with") }
    return factor
  }

  mutating func names(_ key: String) throws(CheckpointError) -> [String]? {
    guard let value = take(key) else { return nil }
    guard let elements = value.array, let names = Self.strings(elements) else { throw malformed(key, "is not a list of names") }
    return names
  }

  static func strings(_ elements: [JSONValue]) -> [String]? {
    let names = elements.compactMap(\.string)
    return names.count == elements.count ? names : nil
  }
}
