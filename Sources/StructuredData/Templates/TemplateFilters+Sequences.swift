extension TemplateEvaluator {
  func sequenceFilter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue? {
    let line = call.line
    switch name {
    case "default", "d":
      let arguments = try call.arguments(of: name, ["default_value", "boolean"])
      let isMissing = value.isUndefined || (arguments[1]?.isTrue ?? false) && !value.isTrue
      return isMissing ? arguments[0] ?? .string("") : value
    case "length", "count":
      _ = try call.arguments(of: name, [])
      return .integer(Int64(try length(value, line: line)))
    case "first", "last": return try edge(name, value, call)
    case "list":
      _ = try call.arguments(of: name, [])
      return .list(try list(try elements(of: value, line: line), line: line))
    case "items":
      _ = try call.arguments(of: name, [])
      switch value {
      case .undefined: return try generator([], line: line)
      case .mapping(let mapping): return try generator(try pairs(mapping, line: line), line: line)
      default: throw TemplateError(.evaluation, "'items' of a value of type \(value.typeName)", line: line)
      }
    case "join":
      let arguments = try call.arguments(of: name, ["d", "attribute"])
      var parts: [String] = []
      for item in try keyed(try elements(of: value, line: line), arguments[1], line: line) {
        parts.append(try string(item.key, line: line))
      }
      return .string(try joined(parts, by: try string(arguments[0] ?? .string(""), line: line), line: line))
    case "reverse":
      _ = try call.arguments(of: name, [])
      switch value {
      case .string(let text): return .string(PythonText.reversed(text))
      case .markup: throw TemplateError.unsupported("'reverse' on a string marked as safe", line: line)
      default: return try generator(try elements(of: value, line: line).reversed(), line: line)
      }
    case "map": return try mapped(value, call)
    case "select", "reject", "selectattr", "rejectattr": return try selected(name, value, call)
    case "sort", "unique", "min", "max": return try ordered(name, value, call)
    case "sum":
      let arguments = try call.arguments(of: name, ["attribute", "start"])
      var total = arguments[1] ?? .integer(0)
      for item in try keyed(try elements(of: value, line: line), arguments[0], line: line) {
        total = try arithmetic("+", total, item.key, line: line)
      }
      return total
    case "dictsort":
      let arguments = try call.arguments(of: name, ["case_sensitive", "by", "reverse"])
      guard case .mapping(let mapping) = value else { throw wrongOperand("dictsort", value, line: line) }
      let place: Int
      switch arguments[1]?.text ?? "key" {
      case "key": place = 0
      case "value": place = 1
      default: throw TemplateError(.evaluation, "'dictsort' sorts by key or value", line: line)
      }
      let items = try keyed(try pairs(mapping, line: line), .integer(Int64(place)), line: line)
      let isSensitive = arguments[0]?.isTrue ?? false
      return .list(
        try list(try sorted(items, isSensitive: isSensitive, isReversed: arguments[2]?.isTrue ?? false, line: line), line: line))
    default: return nil
    }
  }

  private func generator(_ items: [TemplateValue], line: Int) throws(TemplateError) -> TemplateValue {
    .generator(TemplateGenerator(try list(items, line: line)))
  }

  private func length(_ value: TemplateValue, line: Int) throws(TemplateError) -> Int {
    switch value {
    case .undefined: return 0
    case .string(let text), .markup(let text):
      try charge(text.utf8.count / 64, line: line)
      return PythonText.length(text)
    case .list(let list), .tuple(let list), .view(_, let list): return list.items.count
    case .range(let range): return range.items.items.count
    case .mapping(let mapping): return mapping.count
    case .loop(let loop): return try loop.length()
    default: throw TemplateError(.evaluation, "a value of type \(value.typeName) has no length", line: line)
    }
  }

  private func edge(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    _ = try call.arguments(of: name, [])
    if name == "last", case .generator = value {
      throw TemplateError(.evaluation, "'last' of a generator", line: call.line)
    }
    let items = try elements(of: value, line: call.line)
    return (name == "first" ? items.first : items.last) ?? .undefined("the \(name) item of an empty sequence")
  }

  typealias KeyedValue = (key: TemplateValue, value: TemplateValue)

  /// Each element with its attribute, or with itself when none is asked for.
  private func keyed(
    _ items: [TemplateValue], _ attribute: TemplateValue?, fallback: TemplateValue? = nil, line: Int
  ) throws(TemplateError) -> [KeyedValue] {
    var path: [TemplateValue] = []
    switch attribute {
    case nil, .some(.none): break
    case .integer(let index)?: path = [.integer(index)]
    case .string(let text)?:
      if PythonText.contains(",", in: text) { throw TemplateError.unsupported("more than one attribute", line: line) }
      for part in PythonText.split(text, by: ".") {
        let isNumber = !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
        path.append(isNumber ? Int64(part).map { .integer($0) } ?? .string(part) : .string(part))
      }
    case .some(let value): throw TemplateError(.evaluation, "an attribute of type \(value.typeName)", line: line)
    }
    var result: [KeyedValue] = []
    result.reserveCapacity(items.count)
    for element in items {
      try charge(1, line: line)
      var key = element
      for part in path {
        key = try item(part, of: key, line: line)
        if key.isUndefined, let fallback { key = fallback }
      }
      result.append((key, element))
    }
    return result
  }

  private func mapped(_ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    let items = try elements(of: value, line: call.line)
    if call.positional.isEmpty, let attribute = call.named["attribute"] {
      guard call.names.allSatisfy({ $0 == "attribute" || $0 == "default" }) else {
        throw TemplateError(.evaluation, "'map' takes an attribute and a default", line: call.line)
      }
      let keys = try keyed(items, attribute, fallback: call.named["default"], line: call.line).map(\.key)
      return try generator(keys, line: call.line)
    }
    guard case .string(let name)? = call.positional.first else {
      throw TemplateError(.evaluation, "'map' wants a filter or an attribute", line: call.line)
    }
    var inner = call
    inner.positional.removeFirst()
    var result: [TemplateValue] = []
    for item in items {
      result.append(try deeper(line: call.line) { () throws(TemplateError) in try filter(name, item, inner) })
    }
    return try generator(result, line: call.line)
  }

  private func selected(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    var inner = call
    var attribute: TemplateValue?
    if PythonText.hasSuffix(name, "attr") {
      guard !inner.positional.isEmpty else { throw TemplateError(.evaluation, "'\(name)' wants an attribute", line: call.line) }
      attribute = inner.positional.removeFirst()
    }
    var test: String?
    if !inner.positional.isEmpty {
      guard case .string(let text) = inner.positional.removeFirst() else {
        throw TemplateError(.evaluation, "'\(name)' wants the name of a test", line: call.line)
      }
      test = text
    }
    let wanted = PythonText.hasPrefix(name, "select")
    var result: [TemplateValue] = []
    for item in try keyed(try elements(of: value, line: call.line), attribute, line: call.line) {
      let holds: Bool
      if let test { holds = try self.test(test, item.key, inner, line: call.line) } else { holds = item.key.isTrue }
      if holds == wanted { result.append(item.value) }
    }
    return try generator(result, line: call.line)
  }

  private func ordered(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    let arguments: [TemplateValue?]
    if name == "sort" {
      arguments = try call.arguments(of: name, ["reverse", "case_sensitive", "attribute"])
    } else {
      arguments = [nil] + (try call.arguments(of: name, ["case_sensitive", "attribute"]))
    }
    let isSensitive = arguments[1]?.isTrue ?? false
    let items = try keyed(try elements(of: value, line: call.line), arguments[2], line: call.line)
    switch name {
    case "sort":
      let result = try sorted(items, isSensitive: isSensitive, isReversed: arguments[0]?.isTrue ?? false, line: call.line)
      return .list(try list(result, line: call.line))
    case "unique":
      var seen: [TemplateValue] = []
      var result: [TemplateValue] = []
      for item in items {
        let key = folded(item.key, isSensitive)
        if try contains(key, in: .list(try list(seen, line: call.line)), line: call.line) { continue }
        seen.append(key)
        result.append(item.value)
      }
      return try generator(result, line: call.line)
    default:
      guard var best = items.first else { return .undefined("the \(name) of an empty sequence") }
      for item in items.dropFirst() {
        let (a, b) = (folded(item.key, isSensitive), folded(best.key, isSensitive))
        if try name == "min" ? isLess(a, b, "<", line: call.line) : isLess(b, a, "<", line: call.line) { best = item }
      }
      return best.value
    }
  }

  /// A key without regard to case.
  private func folded(_ key: TemplateValue, _ isSensitive: Bool) -> TemplateValue {
    if !isSensitive, let text = key.text { return .string(PythonText.lower(text)) }
    return key
  }

  /// Stable, also in reverse, by merging: a comparison may fail.
  private func sorted(_ items: [KeyedValue], isSensitive: Bool, isReversed: Bool, line: Int) throws(TemplateError) -> [TemplateValue] {
    var runs = items.map { [(key: folded($0.key, isSensitive), value: $0.value)] }
    while runs.count > 1 {
      var merged: [[KeyedValue]] = []
      for index in stride(from: 0, to: runs.count, by: 2) {
        merged.append(index + 1 < runs.count ? try merge(runs[index], runs[index + 1], isReversed, line: line) : runs[index])
      }
      runs = merged
    }
    return runs.first?.map(\.value) ?? []
  }

  private func merge(_ left: [KeyedValue], _ right: [KeyedValue], _ isReversed: Bool, line: Int) throws(TemplateError) -> [KeyedValue] {
    var result: [KeyedValue] = []
    result.reserveCapacity(left.count + right.count)
    var (a, b) = (0, 0)
    while a < left.count, b < right.count {
      let (first, second) = isReversed ? (left[a].key, right[b].key) : (right[b].key, left[a].key)
      if try isLess(first, second, "<", line: line) {
        result.append(right[b])
        b += 1
      } else {
        result.append(left[a])
        a += 1
      }
    }
    return result + left[a...] + right[b...]
  }
}
