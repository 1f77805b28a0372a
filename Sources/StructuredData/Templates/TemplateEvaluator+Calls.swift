extension TemplateEvaluator {
  /// Numbers that `range()` gives at most: the sandbox's own bound.
  private static let longestRange = 100_000

  func call(_ function: TemplateValue, _ call: TemplateCall, line: Int) throws(TemplateError) -> TemplateValue {
    switch function {
    case .macro(let macro): return .string(try expand(macro, call, line: line))
    case .method(.loop(let loop), "cycle"):
      guard !call.positional.isEmpty else { throw TemplateError(.evaluation, "'cycle' has nothing to choose from", line: line) }
      return call.positional[max(0, loop.index) % call.positional.count]
    case .method(let value, let name): return try method(name, of: value, call)
    case .function("range"): return try range(call)
    case .function("namespace"), .function("dict"):
      return try members(call, isNamespace: { if case .function("namespace") = function { true } else { false } }())
    case .function("raise_exception"):
      let message = try string(try call.arguments(of: "raise_exception", ["message"], required: 1)[0] ?? .none, line: line)
      throw TemplateError(
        .refused, "the template refuses: \(message.prefix(500))", line: line, remedy: "change the conversation to suit it")
    case .function("strftime_now"):
      guard case .string(let format)?? = try call.arguments(of: "strftime_now", ["format"], required: 1).first else {
        throw TemplateError(.evaluation, "'strftime_now' wants a format", line: line)
      }
      guard let date else { throw TemplateError(.evaluation, "the template asks for the date and none was given", line: line) }
      switch date.text(format) {
      case .success(let text): return .string(text)
      case .failure(let unknown): throw TemplateError.unsupported("the date directive '\(unknown.text)'", line: line)
      }
    case .undefined(let what): throw undefinedUse(what, line: line)
    default: throw TemplateError(.evaluation, "a value of type \(function.typeName) cannot be called", line: line)
    }
  }

  private func expand(_ macro: TemplateMacroValue, _ call: TemplateCall, line: Int) throws(TemplateError) -> String {
    let definition = macro.definition
    let given = try call.arguments(of: definition.name, definition.parameters.map(\.name))
    let scope = TemplateScope(parent: macro.scope, isMacro: true)
    for (parameter, value) in zip(definition.parameters, given) {
      if let value {
        scope.names[parameter.name] = value
      } else if let fallback = parameter.fallback {
        scope.names[parameter.name] = try self.value(of: fallback, in: scope)
      } else {
        scope.names[parameter.name] = .undefined("the parameter '\(parameter.name)'")
      }
    }
    return try deeper(line: line) { () throws(TemplateError) in try captured(definition.body, in: scope) }
  }

  private func range(_ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    guard call.names.isEmpty else { throw TemplateError(.evaluation, "'range' takes no named arguments", line: call.line) }
    var numbers: [Int64] = []
    for value in call.positional {
      guard let number = value.integer else {
        throw TemplateError(.evaluation, "'range' of a value of type \(value.typeName)", line: call.line)
      }
      numbers.append(number)
    }
    guard (1...3).contains(numbers.count), numbers.count < 3 || numbers[2] != 0 else {
      throw TemplateError(.evaluation, "'range' takes one to three numbers, the last not 0", line: call.line)
    }
    let (start, stop) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
    let step = numbers.count == 3 ? numbers[2] : 1
    var items: [TemplateValue] = []
    var place = start
    while step > 0 ? place < stop : place > stop {
      guard items.count < Self.longestRange else {
        throw TemplateError(.limit, "a range of more than \(Self.longestRange) numbers", line: call.line)
      }
      items.append(.integer(place))
      let (next, overflow) = place.addingReportingOverflow(step)
      if overflow { break }
      place = next
    }
    return .range(TemplateRange(start: start, stop: stop, step: step, items: try list(items, line: call.line)))
  }

  /// `namespace(...)` and `dict(...)`.
  private func members(_ call: TemplateCall, isNamespace: Bool) throws(TemplateError) -> TemplateValue {
    var mapping = TemplateMapping()
    guard call.positional.count <= 1 else { throw TemplateError(.evaluation, "more than one value to copy from", line: call.line) }
    switch call.positional.first {
    case nil: break
    case .mapping(let other)?: mapping = other
    case .some(let value): throw TemplateError.unsupported("making a dictionary of a value of type \(value.typeName)", line: call.line)
    }
    for name in call.names { if let value = call.named[name] { try set(name, value, in: &mapping, line: call.line) } }
    guard isNamespace else { return .mapping(mapping) }
    let namespace = try makeNamespace(line: call.line)
    for (key, value) in zip(mapping.keys, mapping.values) { try set(key, of: namespace, to: value, line: call.line) }
    return .namespace(namespace)
  }
}
