import Diagnostics
import Foundation
import StructuredData

/// An object as Keras serializes it: `{"module": …, "class_name": …, "config": {…}, "registered_name": "keras_hub>LlamaBackbone"}`.
struct KerasObject {
  let className: String
  let config: JSONObject
  /// How errors name it: the file, and the place in it.
  let place: String

  /// Nil when the value is not of that form.
  init?(_ value: JSONValue, place: String) {
    guard let name = value["class_name"]?.string, let config = value["config"]?.object else { return nil }
    // The registered name carries its package: `keras_hub>LlamaBackbone`; keras_nlp is what KerasHub was called before.
    let registered = value["registered_name"]?.string
    className = String((registered ?? name).split(separator: ">").last ?? Substring(name))
    self.config = config
    self.place = place
  }

  /// A setting that was given: null is none.
  func value(_ key: String) -> JSONValue? {
    guard let value = config[key], !value.isNull else { return Optional.none }
    return value
  }

  func count(_ key: String, limit: Int = CompressedTensorsEncoding.maximumExtent) throws(CheckpointError) -> Int {
    guard let value = value(key) else { throw missing(key) }
    guard let count = value.integer, (1...limit).contains(count) else {
      throw invalid(key, "is not a whole number from 1 to \(limit)")
    }
    return count
  }

  func number(_ key: String, default fallback: Double? = nil) throws(CheckpointError) -> Double {
    guard let value = value(key) else {
      guard let fallback else { throw missing(key) }
      return fallback
    }
    guard let number = value.double, number.isFinite else { throw invalid(key, "is not a number") }
    return number
  }

  private func missing(_ key: String) -> CheckpointError { invalid(key, "is missing") }

  func invalid(_ key: String, _ problem: String, remedy: String = "") -> CheckpointError {
    CheckpointError(kind: .badConfiguration, subject: "\(place): \(key)", problem: problem, remedy: remedy)
  }

  /// The settings of a Keras configuration as JSON that Keras reads again.
  static func json(module: String, className: String, config: JSONObject) -> JSONValue {
    [
      "module": .string(module), "class_name": .string(className), "config": .object(config),
      "registered_name": .string("keras_hub>\(className)"),
    ]
  }
}
