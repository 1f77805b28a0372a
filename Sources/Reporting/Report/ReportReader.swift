import StructuredData

/// A part of the report that is one JSON object.
protocol ReportSection {
  init(reader: ReportReader) throws(ReportError)
  func write(to writer: inout ReportWriter)
}

extension ReportSection {
  var jsonObject: JSONValue {
    var writer = ReportWriter()
    write(to: &writer)
    return .object(writer.object)
  }
}

/// One object of the document and the path that leads to it. An absent key and `null` both mean "not measured".
struct ReportReader {
  let object: JSONObject
  let path: String

  init(_ value: JSONValue, path: String) throws(ReportError) {
    guard case .object(let object) = value else { throw Self.wrongType(value, at: path, expected: "an object") }
    self.object = object
    self.path = path
  }

  func string(_ key: String) throws(ReportError) -> String? {
    try scalar(key, expected: "a string") { $0.string }
  }

  func requiredString(_ key: String) throws(ReportError) -> String {
    guard let text = try string(key) else { throw ReportError(join(key), "is missing") }
    return text
  }

  func bool(_ key: String) throws(ReportError) -> Bool? {
    try scalar(key, expected: "true or false") { $0.bool }
  }

  func double(_ key: String) throws(ReportError) -> Double? {
    try scalar(key, expected: "a number") { $0.double.flatMap { $0.isFinite ? $0 : nil } }
  }

  func requiredDouble(_ key: String) throws(ReportError) -> Double {
    guard let value = try double(key) else { throw ReportError(join(key), "is missing") }
    return value
  }

  /// A whole number that is not negative: bytes, tokens, threads.
  func count(_ key: String) throws(ReportError) -> Int? {
    try scalar(key, expected: "a whole number, zero or more") { $0.integer.flatMap { $0 >= 0 ? $0 : nil } }
  }

  func section<Section: ReportSection>(_ key: String) throws(ReportError) -> Section? {
    guard let value = member(key) else { return nil }
    return try Section(reader: ReportReader(value, path: join(key)))
  }

  func requiredSection<Section: ReportSection>(_ key: String) throws(ReportError) -> Section {
    guard let section: Section = try section(key) else { throw ReportError(join(key), "is missing") }
    return section
  }

  /// A list of objects; nil when absent.
  func sections<Section: ReportSection>(_ key: String) throws(ReportError) -> [Section]? {
    guard let elements = try array(key) else { return nil }
    var sections: [Section] = []
    for (index, element) in elements.enumerated() {
      sections.append(try Section(reader: ReportReader(element, path: "\(join(key))[\(index)]")))
    }
    return sections
  }

  func strings(_ key: String) throws(ReportError) -> [String]? {
    try list(key, expected: "a string") { $0.string }
  }

  func doubles(_ key: String) throws(ReportError) -> [Double]? {
    try list(key, expected: "a number") { $0.double }
  }

  func counts(_ key: String) throws(ReportError) -> [Int]? {
    try list(key, expected: "a whole number, zero or more") { $0.integer.flatMap { $0 >= 0 ? $0 : nil } }
  }

  func array(_ key: String) throws(ReportError) -> [JSONValue]? {
    guard let value = member(key) else { return nil }
    guard case .array(let elements) = value else { throw Self.wrongType(value, at: join(key), expected: "a list") }
    return elements
  }

  func join(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  private func member(_ key: String) -> JSONValue? {
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  private func scalar<Value>(_ key: String, expected: String, _ convert: (JSONValue) -> Value?) throws(ReportError) -> Value? {
    guard let value = member(key) else { return nil }
    guard let converted = convert(value) else { throw Self.wrongType(value, at: join(key), expected: expected) }
    return converted
  }

  private func list<Value>(_ key: String, expected: String, _ convert: (JSONValue) -> Value?) throws(ReportError) -> [Value]? {
    guard let elements = try array(key) else { return nil }
    var values: [Value] = []
    values.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      guard let value = convert(element) else {
        throw Self.wrongType(element, at: "\(join(key))[\(index)]", expected: expected)
      }
      values.append(value)
    }
    return values
  }

  static func wrongType(_ value: JSONValue, at path: String, expected: String) -> ReportError {
    let found =
      switch value {
      case .null: "null"
      case .bool(let value): value ? "true" : "false"
      case .integer(let value): String(value)
      case .number(let value): value.description
      case .string(let text): "the string \"\(text.prefix(40))\""
      case .array: "a list"
      case .object: "an object"
      }
    return ReportError(path, "expected \(expected), found \(found)")
  }
}
