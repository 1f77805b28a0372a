extension TemplateEvaluator {
  /// What follows `is`.
  func test(_ name: String, _ value: TemplateValue, _ call: TemplateCall, line: Int) throws(TemplateError) -> Bool {
    switch name {
    case "eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<=", "gt", "greaterthan", ">", "ge", ">=", "in", "sameas",
      "divisibleby":
      guard let other = try call.arguments(of: name, ["other"], required: 1)[0] else { return false }
      return try test(name, value, other, line: line)
    default: _ = try call.arguments(of: name, [])
    }
    switch name {
    case "defined": return !value.isUndefined
    case "undefined": return value.isUndefined
    case "none": if case .none = value { return true }
    case "boolean": if case .bool = value { return true }
    case "true": if case .bool(true) = value { return true }
    case "false": if case .bool(false) = value { return true }
    case "integer": if case .integer = value { return true }
    case "float": if case .number = value { return true }
    case "number": return value.double != nil
    case "string": return value.text != nil
    case "mapping": if case .mapping = value { return true }
    case "sequence":
      switch value {
      case .undefined, .string, .markup, .list, .tuple, .mapping, .range: return true
      default: return false
      }
    case "iterable":
      switch value {
      case .undefined, .string, .markup, .list, .tuple, .mapping, .range, .view, .generator, .loop: return true
      default: return false
      }
    case "callable":
      switch value {
      // An undefined value has a call operator, which only fails.
      case .undefined, .macro, .function, .method: return true
      default: return false
      }
    case "odd", "even":
      guard let number = value.integer else {
        throw TemplateError(.evaluation, "'\(name)' of a value of type \(value.typeName)", line: line)
      }
      return (number % 2 == 0) == (name == "even")
    case "lower", "upper":
      let isUpper = name == "upper"
      let scalars = try string(value, line: line).unicodeScalars
      let hasCase = scalars.contains { isUpper ? $0.properties.isUppercase : $0.properties.isLowercase }
      return hasCase && !scalars.contains { isUpper ? $0.properties.isLowercase : $0.properties.isUppercase }
    default: throw TemplateError.unsupported("the test '\(name.prefix(60))'", line: line)
    }
    return false
  }

  private func test(_ name: String, _ value: TemplateValue, _ other: TemplateValue, line: Int) throws(TemplateError) -> Bool {
    switch name {
    case "eq", "equalto", "==": return try isEqual(value, other, line: line)
    case "ne", "!=": return !(try isEqual(value, other, line: line))
    case "lt", "lessthan", "<": return try compare("<", value, other, line: line)
    case "le", "<=": return try compare("<=", value, other, line: line)
    case "gt", "greaterthan", ">": return try compare(">", value, other, line: line)
    case "ge", ">=": return try compare(">=", value, other, line: line)
    case "in": return try contains(value, in: other, line: line)
    case "divisibleby":
      guard case .integer(0) = try arithmetic("%", value, other, line: line) else { return false }
      return true
    default:
      // Identity, as far as it means something for values without an address.
      switch (value, other) {
      case (.none, .none), (.undefined, .undefined): return true
      case (.bool(let a), .bool(let b)): return a == b
      case (.none, _), (.bool, _), (_, .none), (_, .bool): return false
      default: throw TemplateError.unsupported("'sameas' of values of type \(value.typeName)", line: line)
      }
    }
  }
}
