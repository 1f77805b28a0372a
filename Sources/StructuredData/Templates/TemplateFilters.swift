extension TemplateEvaluator {
  func apply(_ use: TemplateFilterUse, to value: TemplateValue, in scope: TemplateScope) throws(TemplateError) -> TemplateValue {
    try charge(1, line: use.line)
    let call = try bind(use.arguments, in: scope, line: use.line)
    return try filter(use.name, value, call)
  }

  /// What follows a bar.
  func filter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    if let result = try textFilter(name, value, call) { return result }
    if let result = try sequenceFilter(name, value, call) { return result }
    if let result = try numberFilter(name, value, call) { return result }
    throw TemplateError.unsupported("the filter '\(name.prefix(60))'", line: call.line)
  }

  /// The text that a filter on strings works on.
  private func subject(_ value: TemplateValue, _ name: String, line: Int) throws(TemplateError) -> String {
    if case .markup = value { throw TemplateError.unsupported("'\(name)' on a string marked as safe", line: line) }
    let text = try string(value, line: line)
    try checkLength(text.utf8.count, line: line)
    return text
  }

  private func textFilter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue? {
    let line = call.line
    switch name {
    case "trim":
      let set = try call.arguments(of: name, ["chars"])[0]
      let text = try subject(value, name, line: line)
      switch set {
      case nil, .some(.none): return .string(PythonText.stripped(text, of: nil))
      case .string(let set)?: return .string(PythonText.stripped(text, of: set))
      default: throw TemplateError(.evaluation, "'trim' wants a string", line: line)
      }
    case "upper", "lower", "title", "capitalize":
      _ = try call.arguments(of: name, [])
      let text = try subject(value, name, line: line)
      switch name {
      case "upper": return .string(PythonText.upper(text))
      case "lower": return .string(PythonText.lower(text))
      case "title": return .string(PythonText.titleOfWords(text))
      default: return .string(PythonText.capitalized(text))
      }
    case "string":
      _ = try call.arguments(of: name, [])
      return value.text != nil ? value : .string(try string(value, line: line))
    case "safe":
      _ = try call.arguments(of: name, [])
      return .markup(try string(value, line: line))
    case "replace":
      let arguments = try call.arguments(of: name, ["old", "new", "count"], required: 2)
      var limit = Int.max
      if let count = arguments[2]?.integer, count >= 0 { limit = Int(clamping: count) }
      let (old, new) = (try string(arguments[0] ?? .none, line: line), try string(arguments[1] ?? .none, line: line))
      return .string(try replaced(try subject(value, name, line: line), old, new, limit: limit, line: line))
    case "indent":
      let arguments = try call.arguments(of: name, ["width", "first", "blank"])
      return .string(
        try indented(
          try subject(value, name, line: line), by: arguments[0] ?? .integer(4), first: arguments[1]?.isTrue ?? false,
          blank: arguments[2]?.isTrue ?? false, line: line))
    case "tojson": return .string(try json(value, call))
    default: return nil
    }
  }

  /// A unit of indentation: so many spaces, or the string itself.
  private func indentation(_ value: TemplateValue, line: Int) throws(TemplateError) -> String {
    if case .string(let text) = value { return text }
    guard let width = value.integer, width <= 1000 else {
      throw TemplateError(.evaluation, "an indentation must be a small number", line: line)
    }
    return String(repeating: " ", count: Int(max(0, width)))
  }

  private func indented(_ text: String, by width: TemplateValue, first: Bool, blank: Bool, line: Int) throws(TemplateError) -> String {
    let indent = try indentation(width, line: line)
    let lines = PythonText.lines(text + "\n", keepingEnds: false)
    var parts: [String] = []
    for (index, part) in lines.enumerated() {
      let isIndented = index == 0 ? first : blank || !part.isEmpty
      parts.append(isIndented ? indent + part : part)
    }
    return try joined(parts, by: "\n", line: line)
  }

  /// `tojson` as the transformers library defines it: nothing is escaped for HTML.
  private func json(_ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> String {
    let arguments = try call.arguments(of: "tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])
    var style = TemplateWriter.JSONStyle()
    style.isASCII = arguments[0]?.isTrue ?? false
    style.sortsKeys = arguments[3]?.isTrue ?? false
    switch arguments[1] {
    case nil, .some(.none): break
    case .some(let indent):
      style.indent = try indentation(indent, line: call.line)
      style.itemSeparator = ","
    }
    switch arguments[2] {
    case nil, .some(.none): break
    case .list(let list)?, .tuple(let list)?:
      guard list.items.count == 2, let item = list.items[0].text, let key = list.items[1].text else { fallthrough }
      (style.itemSeparator, style.keySeparator) = (item, key)
    default: throw TemplateError(.evaluation, "'tojson' wants two separators", line: call.line)
    }
    try charge(value.weight, line: call.line)
    var writer = TemplateWriter(limit: limits.bytes, line: call.line)
    try writer.json(value, style)
    try checkLength(writer.output.utf8.count, line: call.line)
    return writer.output
  }

  private func numberFilter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue? {
    let line = call.line
    switch name {
    case "int":
      let arguments = try call.arguments(of: name, ["default", "base"])
      if let base = arguments[1]?.integer, base != 10 { throw TemplateError.unsupported("'int' with a base", line: line) }
      if let number = value.integer { return .integer(number) }
      guard let number = value.double ?? value.text.flatMap({ Self.number($0) }) else {
        if value.isUndefined { throw undefinedUse("what 'int' is given", line: line) }
        return arguments[0] ?? .integer(0)
      }
      if let text = value.text, let exact = Self.integer(text) { return .integer(exact) }
      guard number.isFinite else { return arguments[0] ?? .integer(0) }
      guard let result = Int64(exactly: number.rounded(.towardZero)), number.magnitude < 0x1p62 else { throw outOfRange(line: line) }
      return .integer(result)
    case "float":
      let arguments = try call.arguments(of: name, ["default"])
      if value.isUndefined { throw undefinedUse("what 'float' is given", line: line) }
      return (value.double ?? value.text.flatMap { Self.number($0) }).map { .number($0) } ?? arguments[0] ?? .number(0)
    case "abs":
      _ = try call.arguments(of: name, [])
      if let number = value.integer { return number < 0 ? try negated(.integer(number), line: line) : .integer(number) }
      guard let number = value.double else { throw wrongOperand("abs", value, line: line) }
      return .number(number.magnitude)
    case "round":
      let arguments = try call.arguments(of: name, ["precision", "method"])
      if let precision = arguments[0]?.integer, precision != 0 { throw TemplateError.unsupported("'round' to decimal places", line: line) }
      guard let number = value.double else { throw wrongOperand("round", value, line: line) }
      switch arguments[1]?.text ?? "common" {
      case "common":
        // Python's round of a whole number is a whole number.
        return value.integer.map { .integer($0) } ?? .number(number.rounded(.toNearestOrEven))
      case "ceil": return .number(number.rounded(.up))
      case "floor": return .number(number.rounded(.down))
      default: throw TemplateError(.evaluation, "'round' knows no such method", line: line)
      }
    default: return nil
    }
  }

  /// The number in a text, as Python reads it.
  private static func number(_ text: String) -> Double? {
    let text = PythonText.stripped(text, of: nil)
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }) else { return nil }
    return Double(text)
  }

  private static func integer(_ text: String) -> Int64? {
    let text = PythonText.stripped(text, of: nil)
    return Int64(text)
  }
}
