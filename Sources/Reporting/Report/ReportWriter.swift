import StructuredData

/// Builds one object in the order of the calls, leaving out whatever is nil or not finite.
struct ReportWriter {
  private(set) var object = JSONObject()

  mutating func set(_ key: String, _ value: String?) { object[key] = value.map(JSONValue.string) }
  mutating func set(_ key: String, _ value: Bool?) { object[key] = value.map(JSONValue.bool) }
  mutating func set(_ key: String, _ value: Int?) { object[key] = value.map { .integer(Int64($0)) } }

  mutating func set(_ key: String, _ value: Double?) {
    guard let value, value.isFinite else { return }
    object[key] = .number(value)
  }

  /// A list whose figures belong together: with one of them missing, the rest would be misread.
  mutating func set(_ key: String, _ values: [Double]?) {
    guard let values, values.allSatisfy(\.isFinite) else { return }
    object[key] = .array(values.map(JSONValue.number))
  }

  mutating func set(_ key: String, _ values: [Int]) { object[key] = .array(values.map { .integer(Int64($0)) }) }
  mutating func set(_ key: String, _ values: [String]) { object[key] = .array(values.map(JSONValue.string)) }

  /// A section with nothing in it was not measured, so it is left out.
  mutating func set(_ key: String, _ section: (some ReportSection)?) {
    guard let value = section?.jsonObject, value.object?.isEmpty == false else { return }
    object[key] = value
  }

  mutating func set(_ key: String, _ sections: [some ReportSection]?) {
    guard let sections else { return }
    object[key] = .array(sections.map(\.jsonObject))
  }

  /// Free-form members (the recipe), without the numbers that JSON cannot hold.
  mutating func set(_ key: String, _ values: [JSONValue]) { object[key] = .array(values.compactMap(Self.finite)) }

  private static func finite(_ value: JSONValue) -> JSONValue? {
    switch value {
    // Not `nil`: that literal could as well be the JSON value null.
    case .number(let number): return number.isFinite ? value : .none
    case .array(let elements): return .array(elements.compactMap(finite))
    case .object(let object):
      var kept = JSONObject()
      for member in object.members { kept[member.key] = finite(member.value) }
      return .object(kept)
    default: return value
    }
  }
}
