/// Which names are methods in Python, whether or not they are implemented here: as an attribute they come before a dictionary's members.
enum TemplateMethods {
  private static let ofString = words(
    "capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha isascii isdecimal isdigit "
      + "isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip maketrans partition removeprefix "
      + "removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title translate "
      + "upper zfill"
  )
  private static let ofMapping = words("clear copy fromkeys get items keys pop popitem setdefault update values")
  private static let ofList = words("append clear copy count extend index insert pop remove reverse sort")
  private static let ofTuple = words("count index")

  private static func words(_ text: String) -> Set<String> { Set(PythonText.words(text)) }

  static func isMethod(_ name: String, of value: TemplateValue) -> Bool {
    switch value {
    case .string, .markup: ofString.contains(name)
    case .mapping: ofMapping.contains(name)
    case .list: ofList.contains(name)
    case .tuple, .range: ofTuple.contains(name)
    default: false
    }
  }

  /// Those that change their value, which the sandbox forbids.
  static let changing = words("append clear extend insert pop popitem remove reverse setdefault sort update")
}

extension TemplateEvaluator {
  func method(_ name: String, of value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    switch value {
    case .string(let text):
      try checkLength(text.utf8.count, line: call.line)
      if let result = try method(name, of: text, call) { return result }
    case .mapping(let mapping):
      if let result = try method(name, of: mapping, call) { return result }
      if TemplateMethods.changing.contains(name) { throw changes(name, value, call) }
    case .list(let list), .tuple(let list):
      if let result = try method(name, of: list, call) { return result }
      if TemplateMethods.changing.contains(name) { throw changes(name, value, call) }
    default: break
    }
    throw TemplateError.unsupported("the method '\(name)' of a value of type \(value.typeName)", line: call.line)
  }

  private func changes(_ name: String, _ value: TemplateValue, _ call: TemplateCall) -> TemplateError {
    TemplateError(.evaluation, "'\(name)' would change a \(value.typeName), which a template may not", line: call.line)
  }

  private func method(_ name: String, of mapping: TemplateMapping, _ call: TemplateCall) throws(TemplateError) -> TemplateValue? {
    switch name {
    case "get":
      let arguments = try call.arguments(of: name, ["key", "default"], required: 1)
      return arguments[0]?.text.flatMap { mapping[$0] } ?? arguments[1] ?? TemplateValue.none
    case "keys", "values", "items", "copy": _ = try call.arguments(of: name, [])
    default: return nil
    }
    switch name {
    case "keys": return .view(name, try list(mapping.keys.map { .string($0) }, line: call.line))
    case "values": return .view(name, try list(mapping.values, line: call.line))
    case "items": return .view(name, try list(try pairs(mapping, line: call.line), line: call.line))
    default: return .mapping(mapping)
    }
  }

  func pairs(_ mapping: TemplateMapping, line: Int) throws(TemplateError) -> [TemplateValue] {
    var result: [TemplateValue] = []
    for (key, value) in zip(mapping.keys, mapping.values) {
      result.append(.tuple(try list([.string(key), value], line: line)))
    }
    return result
  }

  private func method(_ name: String, of list: TemplateList, _ call: TemplateCall) throws(TemplateError) -> TemplateValue? {
    switch name {
    case "copy": return .list(list)
    case "index", "count":
      guard let wanted = try call.arguments(of: name, ["value"], required: 1)[0] else { return nil }
      var count: Int64 = 0
      for (place, item) in list.items.enumerated() where try isEqual(item, wanted, line: call.line) {
        if name == "index" { return .integer(Int64(place)) }
        count += 1
      }
      if name == "index" { throw TemplateError(.evaluation, "the value is not in the list", line: call.line) }
      return .integer(count)
    default: return nil
    }
  }

  /// A string argument of a method.
  private func text(_ value: TemplateValue?, of name: String, _ call: TemplateCall) throws(TemplateError) -> String {
    guard case .string(let text)? = value else {
      throw TemplateError(.evaluation, "'\(name)' wants a string and got a \(value?.typeName ?? "NoneType")", line: call.line)
    }
    return text
  }

  private func optionalText(_ value: TemplateValue?, of name: String, _ call: TemplateCall) throws(TemplateError) -> String? {
    if case .none? = value { return nil }
    return try value.map { value throws(TemplateError) in try text(value, of: name, call) }
  }

  /// A count of things to do at most; negative and absent ones set no bound.
  private func limit(_ value: TemplateValue?, of name: String, _ call: TemplateCall) throws(TemplateError) -> Int {
    guard let value else { return .max }
    guard let count = value.integer else { throw TemplateError(.evaluation, "'\(name)' wants a whole number", line: call.line) }
    return count < 0 ? .max : Int(clamping: count)
  }

  private func method(_ name: String, of text: String, _ call: TemplateCall) throws(TemplateError) -> TemplateValue? {
    let line = call.line
    switch name {
    case "strip", "lstrip", "rstrip":
      let set = try optionalText(try call.arguments(of: name, ["chars"])[0], of: name, call)
      return .string(PythonText.stripped(text, of: set, left: name != "rstrip", right: name != "lstrip"))
    case "upper", "lower", "title", "capitalize", "isdigit", "isalpha", "isspace", "isupper", "islower":
      _ = try call.arguments(of: name, [])
      return plain(name, text)
    case "startswith", "endswith":
      let wanted = try call.arguments(of: name, ["prefix"], required: 1)[0]
      var options = [wanted]
      if case .tuple(let list)? = wanted { options = list.items }
      for option in options {
        let option = try self.text(option, of: name, call)
        if name == "startswith" ? PythonText.hasPrefix(text, option) : PythonText.hasSuffix(text, option) { return .bool(true) }
      }
      return .bool(false)
    case "removeprefix", "removesuffix":
      let part = try self.text(try call.arguments(of: name, ["part"], required: 1)[0], of: name, call)
      if name == "removeprefix" {
        return .string(PythonText.hasPrefix(text, part) ? String(decoding: text.utf8.dropFirst(part.utf8.count), as: UTF8.self) : text)
      }
      return .string(PythonText.hasSuffix(text, part) ? String(decoding: text.utf8.dropLast(part.utf8.count), as: UTF8.self) : text)
    case "split", "rsplit": return try split(text, name, call)
    case "splitlines":
      let keeps = try call.arguments(of: name, ["keepends"])[0]?.isTrue ?? false
      return .list(try list(PythonText.lines(text, keepingEnds: keeps).map { .string($0) }, line: line))
    case "partition", "rpartition":
      let separator = try self.text(try call.arguments(of: name, ["sep"], required: 1)[0], of: name, call)
      guard !separator.isEmpty else { throw TemplateError(.evaluation, "the separator is empty", line: line) }
      let fromRight = name == "rpartition"
      let parts = fromRight ? PythonText.splitFromRight(text, by: separator, limit: 1) : PythonText.split(text, by: separator, limit: 1)
      let three = parts.count == 2 ? [parts[0], separator, parts[1]] : fromRight ? ["", "", text] : [text, "", ""]
      return .tuple(try list(three.map { .string($0) }, line: line))
    case "replace":
      let arguments = try call.arguments(of: name, ["old", "new", "count"], required: 2)
      return .string(
        try replaced(
          text, try self.text(arguments[0], of: name, call), try self.text(arguments[1], of: name, call),
          limit: try limit(arguments[2], of: name, call), line: line))
    case "join":
      guard let values = try call.arguments(of: name, ["iterable"], required: 1)[0] else { return nil }
      var parts: [String] = []
      for value in try elements(of: values, line: line) { parts.append(try self.text(value, of: name, call)) }
      return .string(try joined(parts, by: text, line: line))
    case "find", "rfind", "index", "rindex", "count":
      let part = try self.text(try call.arguments(of: name, ["sub"], required: 1)[0], of: name, call)
      if name == "count" {
        return .integer(Int64(part.isEmpty ? PythonText.length(text) + 1 : PythonText.occurrences(of: part, in: text).count))
      }
      if let place = PythonText.index(of: part, in: text, fromRight: name.utf8.first == UInt8(ascii: "r")) {
        return .integer(Int64(place))
      }
      if PythonText.hasSuffix(name, "index") { throw TemplateError(.evaluation, "the string does not hold the other", line: line) }
      return .integer(-1)
    default: return nil
    }
  }

  private func plain(_ name: String, _ text: String) -> TemplateValue {
    let scalars = text.unicodeScalars
    switch name {
    case "upper": return .string(PythonText.upper(text))
    case "lower": return .string(PythonText.lower(text))
    case "title": return .string(PythonText.title(text))
    case "capitalize": return .string(PythonText.capitalized(text))
    case "isspace": return .bool(!text.isEmpty && scalars.allSatisfy(\.isPythonSpace))
    case "isdigit":
      return .bool(!text.isEmpty && scalars.allSatisfy { [.decimal, .digit].contains($0.properties.numericType) })
    case "isalpha":
      let letters: [Unicode.GeneralCategory] = [.uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter]
      return .bool(!text.isEmpty && scalars.allSatisfy { letters.contains($0.properties.generalCategory) })
    default:
      let isUpper = name == "isupper"
      let hasCase = scalars.contains { isUpper ? $0.properties.isUppercase : $0.properties.isLowercase }
      return .bool(
        hasCase
          && !scalars.contains {
            (isUpper ? $0.properties.isLowercase : $0.properties.isUppercase) || $0.properties.generalCategory == .titlecaseLetter
          })
    }
  }

  private func split(_ text: String, _ name: String, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    let arguments = try call.arguments(of: name, ["sep", "maxsplit"])
    let limit = try limit(arguments[1], of: name, call)
    guard let separator = try optionalText(arguments[0], of: name, call) else {
      if name == "rsplit", limit != .max { throw TemplateError.unsupported("'rsplit' at white space with a limit", line: call.line) }
      return .list(try list(PythonText.words(text, limit: limit).map { .string($0) }, line: call.line))
    }
    guard !separator.isEmpty else { throw TemplateError(.evaluation, "the separator is empty", line: call.line) }
    let parts =
      name == "split" ? PythonText.split(text, by: separator, limit: limit) : PythonText.splitFromRight(text, by: separator, limit: limit)
    return .list(try list(parts.map { .string($0) }, line: call.line))
  }

  func replaced(_ text: String, _ old: String, _ new: String, limit: Int, line: Int) throws(TemplateError) -> String {
    let places = old.isEmpty ? PythonText.length(text) + 1 : PythonText.occurrences(of: old, in: text).count
    let (bytes, overflow) = min(places, limit).multipliedReportingOverflow(by: new.utf8.count)
    try checkLength(overflow ? .max : bytes.saturatingSum(text.utf8.count), line: line)
    return PythonText.replacing(old, with: new, in: text, limit: limit)
  }

  func joined(_ parts: [String], by separator: String, line: Int) throws(TemplateError) -> String {
    var total = 0
    for part in parts { total = total.saturatingSum(part.utf8.count + separator.utf8.count) }
    try checkLength(total, line: line)
    return parts.joined(separator: separator)
  }
}
