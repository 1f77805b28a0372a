import StructuredData

/// Reads a config.json key by key: typed, with bounds, and aware of what nobody asked for.
public struct ConfigurationReader {
  /// Where errors point: `config.json`.
  public let file: String
  private let object: JSONObject
  private var read: Set<String> = []

  public init(_ configuration: JSONValue, file: String = "config.json") throws(ConfigurationError) {
    guard let object = configuration.object else { throw ConfigurationError(file, "is not a JSON object") }
    self.object = object
    self.file = file
  }

  /// The value of a key; nil when it is absent or null.
  public mutating func value(_ key: String) -> JSONValue? {
    read.insert(key)
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  /// Whether a key is there, be it with the value null.
  public func holds(_ key: String) -> Bool { object[key] != nil }

  /// Keys that were present and never read.
  public var unread: [String] { object.keys.filter { !read.contains($0) } }

  /// A whole number between 1 and `limit`: no dimension of a real model is larger, and products of a few stay far from overflow.
  public mutating func count(_ key: String, default fallback: Int? = nil, limit: Int = 1 << 28) throws(ConfigurationError) -> Int {
    guard let value = value(key) else {
      guard let fallback else { throw ConfigurationError("\(file): \(key)", "is missing") }
      return fallback
    }
    guard let count = value.integer, (1...limit).contains(count) else {
      throw ConfigurationError("\(file): \(key)", "is \(value.text(pretty: false).prefix(60)), not a whole number from 1 to \(limit)")
    }
    return count
  }

  public mutating func number(_ key: String, default fallback: Double) throws(ConfigurationError) -> Double {
    guard let value = value(key) else { return fallback }
    guard let number = value.double, number.isFinite else {
      throw ConfigurationError("\(file): \(key)", "is \(value.text(pretty: false).prefix(60)), not a number")
    }
    return number
  }

  public mutating func flag(_ key: String, default fallback: Bool) throws(ConfigurationError) -> Bool {
    guard let value = value(key) else { return fallback }
    guard let flag = value.bool else {
      throw ConfigurationError("\(file): \(key)", "is \(value.text(pretty: false).prefix(60)), not true or false")
    }
    return flag
  }

  public mutating func text(_ key: String) throws(ConfigurationError) -> String? {
    guard let value = value(key) else { return nil }
    guard let text = value.string else {
      throw ConfigurationError("\(file): \(key)", "is \(value.text(pretty: false).prefix(60)), not a string")
    }
    return text
  }

  /// A nested object as a reader of its own.
  public mutating func section(_ key: String) throws(ConfigurationError) -> ConfigurationReader? {
    guard let value = value(key) else { return nil }
    return try ConfigurationReader(value, file: "\(file): \(key)")
  }

  /// The activation under `hidden_act`.
  public mutating func activation(
    _ key: String = "hidden_act", default fallback: ActivationName = .silu
  ) throws(ConfigurationError) -> ActivationName {
    let name = try text(key) ?? fallback.rawValue
    guard let activation = ActivationName(rawValue: name) else {
      throw ConfigurationError(
        "\(file): \(key)", "\"\(name)\" is not supported", remedy: "use silu, gelu, gelu_new, gelu_pytorch_tanh, relu or relu2")
    }
    return activation
  }
}

/// Activation functions by their Hugging Face names.
public enum ActivationName: String, Sendable {
  case silu, swish, gelu, relu, relu2
  case geluNew = "gelu_new"
  case geluPytorchTanh = "gelu_pytorch_tanh"
}
