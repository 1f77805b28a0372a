extension TemplateEvaluator {
  func value(of expression: TemplateExpression, in scope: TemplateScope) throws(TemplateError) -> TemplateValue {
    try charge(1, line: expression.line)
    return try deeper(line: expression.line) { () throws(TemplateError) in try evaluate(expression, in: scope) }
  }

  private func evaluate(_ expression: TemplateExpression, in scope: TemplateScope) throws(TemplateError) -> TemplateValue {
    let line = expression.line
    switch expression.kind {
    case .none: return .none
    case .bool(let value): return .bool(value)
    case .integer(let value): return .integer(value)
    case .number(let value): return .number(value)
    case .string(let text): return .string(text)
    case .list(let items): return .list(try list(try values(of: items, in: scope), line: line))
    case .tuple(let items): return .tuple(try list(try values(of: items, in: scope), line: line))
    case .mapping(let members): return try mapping(members, in: scope, line: line)
    case .name(let name): return try lookup(name, in: scope, line: line)
    case .attribute(let base, let name): return try attribute(name, of: try value(of: base, in: scope), line: line)
    case .subscription(let base, let index):
      let base = try value(of: base, in: scope)
      return try item(try value(of: index, in: scope), of: base, line: line)
    case .slice(let base, let start, let stop, let step):
      let base = try value(of: base, in: scope)
      let bounds = (try bound(start, in: scope), try bound(stop, in: scope), try bound(step, in: scope))
      return try slice(base, bounds, line: line)
    case .call(let function, let arguments):
      let function = try value(of: function, in: scope)
      return try call(function, try bind(arguments, in: scope, line: line), line: line)
    case .filter(let base, let use): return try apply(use, to: try value(of: base, in: scope), in: scope)
    case .test(let base, let name, let arguments, let isNegated):
      let base = try value(of: base, in: scope)
      return .bool(try test(name, base, try bind(arguments, in: scope, line: line), line: line) != isNegated)
    case .negative(let operand): return try negated(try value(of: operand, in: scope), line: line)
    case .positive(let operand):
      let value = try value(of: operand, in: scope)
      guard value.double != nil else { throw wrongOperand("+", value, line: line) }
      return value.integer.map { .integer($0) } ?? value
    case .not(let operand): return .bool(!(try value(of: operand, in: scope).isTrue))
    case .and(let left, let right):
      let first = try value(of: left, in: scope)
      return first.isTrue ? try value(of: right, in: scope) : first
    case .or(let left, let right):
      let first = try value(of: left, in: scope)
      return first.isTrue ? first : try value(of: right, in: scope)
    case .arithmetic(let first, let rest):
      var result = try value(of: first, in: scope)
      for (sign, right) in rest { result = try arithmetic(sign, result, try value(of: right, in: scope), line: line) }
      return result
    case .comparison(let first, let rest):
      var left = try value(of: first, in: scope)
      for (sign, operand) in rest {
        let right = try value(of: operand, in: scope)
        guard try compare(sign, left, right, line: line) else { return .bool(false) }
        left = right
      }
      return .bool(true)
    case .concatenation(let parts):
      var result = ""
      for part in parts {
        let text = try string(try value(of: part, in: scope), line: line)
        try checkLength(result.utf8.count + text.utf8.count, line: line)
        result += text
      }
      return .string(result)
    case .conditional(let condition, let value, let otherwise):
      if try self.value(of: condition, in: scope).isTrue { return try self.value(of: value, in: scope) }
      guard let otherwise else { return .undefined("the value of an 'if' without 'else'") }
      return try self.value(of: otherwise, in: scope)
    }
  }

  private func values(of expressions: [TemplateExpression], in scope: TemplateScope) throws(TemplateError) -> [TemplateValue] {
    var result: [TemplateValue] = []
    for expression in expressions { result.append(try value(of: expression, in: scope)) }
    return result
  }

  private func mapping(
    _ members: [(key: TemplateExpression, value: TemplateExpression)], in scope: TemplateScope, line: Int
  ) throws(TemplateError) -> TemplateValue {
    var mapping = TemplateMapping()
    for member in members {
      let key = try value(of: member.key, in: scope)
      guard let text = key.text else { throw TemplateError.unsupported("a key of type \(key.typeName)", line: line) }
      try set(text, try value(of: member.value, in: scope), in: &mapping, line: line)
    }
    return .mapping(mapping)
  }

  func set(_ key: String, _ value: TemplateValue, in mapping: inout TemplateMapping, line: Int) throws(TemplateError) {
    guard mapping.set(key, value) else {
      throw TemplateError(.limit, "values nested more than \(TemplateList.maximumDepth) levels deep", line: line)
    }
  }

  private func lookup(_ name: String, in scope: TemplateScope, line: Int) throws(TemplateError) -> TemplateValue {
    if let value = scope.value(of: name) { return value }
    if scope.isInMacro, ["varargs", "kwargs", "caller"].contains(name) {
      throw TemplateError.unsupported("'\(name)' in a macro", line: line)
    }
    if ["cycler", "joiner", "lipsum", "self", "super"].contains(name) { throw TemplateError.unsupported("'\(name)'", line: line) }
    return .undefined("'\(name)'")
  }

  func bind(_ arguments: TemplateArguments, in scope: TemplateScope, line: Int) throws(TemplateError) -> TemplateCall {
    var call = TemplateCall(line: line)
    call.positional = try values(of: arguments.positional, in: scope)
    for (name, expression) in arguments.named {
      guard call.named[name] == nil else { throw TemplateError(.syntax, "the argument '\(name)' is given twice", line: line) }
      call.named[name] = try value(of: expression, in: scope)
      call.names.append(name)
    }
    return call
  }

  private func bound(_ expression: TemplateExpression?, in scope: TemplateScope) throws(TemplateError) -> Int64? {
    guard let expression else { return nil }
    let value = try value(of: expression, in: scope)
    if case .none = value { return nil }
    guard let index = value.integer else {
      throw TemplateError(.evaluation, "a slice by a value of type \(value.typeName)", line: expression.line)
    }
    return index
  }

  // MARK: Parts of values

  func undefinedUse(_ what: String, line: Int) -> TemplateError { TemplateError(.evaluation, "\(what) is undefined", line: line) }

  func attribute(_ name: String, of value: TemplateValue, line: Int) throws(TemplateError) -> TemplateValue {
    switch value {
    case .undefined(let what): throw undefinedUse(what, line: line)
    case .namespace(let namespace):
      if let member = namespace.members[name] { return member }
    case .loop(let loop):
      if let member = try attribute(name, of: loop, in: value) { return member }
    case .macro where !name.utf8.starts(with: "_".utf8):
      throw TemplateError.unsupported("the attribute '\(name)' of a macro", line: line)
    case .mapping(let mapping):
      if TemplateMethods.isMethod(name, of: value) { return .method(value, name) }
      if let member = mapping[name] { return member }
    default:
      if TemplateMethods.isMethod(name, of: value) { return .method(value, name) }
    }
    return .undefined("'\(name)' of a value of type \(value.typeName)")
  }

  private func attribute(_ name: String, of loop: TemplateLoopState, in value: TemplateValue) throws(TemplateError) -> TemplateValue? {
    switch name {
    case "index": .integer(Int64(loop.index + 1))
    case "index0": .integer(Int64(loop.index))
    case "first": .bool(loop.index == 0)
    case "last": .bool(try loop.peek() == nil)
    case "length": .integer(Int64(try loop.length()))
    case "revindex": .integer(Int64(try loop.length() - loop.index))
    case "revindex0": .integer(Int64(try loop.length() - loop.index - 1))
    case "previtem": loop.previous ?? .undefined("the item before the first")
    case "nextitem": try loop.peek() ?? .undefined("the item behind the last")
    case "depth": .integer(1)
    case "depth0": .integer(0)
    case "cycle", "changed": .method(value, name)
    default: nil
    }
  }

  func item(_ index: TemplateValue, of value: TemplateValue, line: Int) throws(TemplateError) -> TemplateValue {
    func element(_ items: [TemplateValue], _ index: Int64) -> TemplateValue? {
      let place = index < 0 ? index + Int64(items.count) : index
      return place >= 0 && place < Int64(items.count) ? items[Int(place)] : nil
    }
    switch value {
    case .undefined(let what): throw undefinedUse(what, line: line)
    case .mapping(let mapping):
      if let key = index.text, let member = mapping[key] { return member }
    case .list(let list), .tuple(let list):
      if let place = index.integer, let found = element(list.items, place) { return found }
    case .range(let range):
      if let place = index.integer, let found = element(range.items.items, place) { return found }
    case .string(let text):
      if let place = index.integer {
        try charge(text.utf8.count / 64, line: line)
        let scalars = Array(text.unicodeScalars)
        let index = place < 0 ? place + Int64(scalars.count) : place
        if index >= 0, index < Int64(scalars.count) { return .string(String(scalars[Int(index)])) }
      }
    case .markup: throw TemplateError.unsupported("a part of a string marked as safe", line: line)
    default: break
    }
    if let name = index.text { return try attribute(name, of: value, line: line) }
    return .undefined("an element of a value of type \(value.typeName)")
  }

  private func slice(
    _ value: TemplateValue, _ bounds: (start: Int64?, stop: Int64?, step: Int64?), line: Int
  ) throws(TemplateError) -> TemplateValue {
    guard bounds.step != 0 else { throw TemplateError(.evaluation, "the step of a slice is 0", line: line) }
    func places(_ count: Int) -> [Int] { Self.places(count, bounds.start, bounds.stop, bounds.step ?? 1) }
    switch value {
    case .undefined(let what): throw undefinedUse(what, line: line)
    case .list(let items): return .list(try list(places(items.items.count).map { items.items[$0] }, line: line))
    case .tuple(let items): return .tuple(try list(places(items.items.count).map { items.items[$0] }, line: line))
    case .string(let text):
      try charge(text.utf8.count / 64, line: line)
      let scalars = Array(text.unicodeScalars)
      return .string(PythonText.string(places(scalars.count).map { scalars[$0] }))
    case .range, .markup: throw TemplateError.unsupported("a slice of a value of type \(value.typeName)", line: line)
    default: return .undefined("a slice of a value of type \(value.typeName)")
    }
  }

  /// The indices that a Python slice of `count` elements takes.
  private static func places(_ count: Int, _ start: Int64?, _ stop: Int64?, _ step: Int64) -> [Int] {
    let count = Int64(count)
    func clamped(_ bound: Int64, _ range: ClosedRange<Int64>) -> Int64 {
      min(max(bound < 0 ? bound + count : bound, range.lowerBound), range.upperBound)
    }
    var result: [Int] = []
    if step > 0 {
      var place = start.map { clamped($0, 0...count) } ?? 0
      let end = stop.map { clamped($0, 0...count) } ?? count
      while place < end {
        result.append(Int(place))
        let (next, overflow) = place.addingReportingOverflow(step)
        if overflow { break }
        place = next
      }
    } else {
      var place = start.map { clamped($0, -1...max(-1, count - 1)) } ?? count - 1
      let end = stop.map { clamped($0, -1...max(-1, count - 1)) } ?? -1
      while place > end {
        result.append(Int(place))
        let (next, overflow) = place.addingReportingOverflow(step)
        if overflow { break }
        place = next
      }
    }
    return result
  }

  /// What a loop over a value goes through.
  func elements(of value: TemplateValue, line: Int) throws(TemplateError) -> [TemplateValue] {
    switch value {
    case .undefined: return []
    case .list(let list), .tuple(let list), .view(_, let list): return list.items
    case .range(let range): return range.items.items
    case .generator(let generator): return generator.take()
    case .mapping(let mapping): return mapping.keys.map { .string($0) }
    case .string(let text), .markup(let text):
      try charge(text.utf8.count, line: line)
      return text.unicodeScalars.map { .string(String($0)) }
    default: throw TemplateError(.evaluation, "a value of type \(value.typeName) cannot be gone through", line: line)
    }
  }

  /// The value as it prints.
  func string(_ value: TemplateValue, line: Int) throws(TemplateError) -> String {
    switch value {
    case .string(let text), .markup(let text): return text
    case .undefined: return ""
    default:
      try charge(value.weight, line: line)
      var writer = TemplateWriter(limit: limits.bytes, line: line)
      try writer.repr(value)
      try charge(writer.output.utf8.count / 64, line: line)
      return writer.output
    }
  }
}

/// The arguments of a call, evaluated.
struct TemplateCall {
  var positional: [TemplateValue] = []
  var named: [String: TemplateValue] = [:]
  /// The named ones in their order.
  var names: [String] = []
  let line: Int

  init(positional: [TemplateValue] = [], line: Int) {
    self.positional = positional
    self.line = line
  }

  /// The arguments in the order of the parameters, nil for those not given.
  func arguments(of function: String, _ parameters: [String], required: Int = 0) throws(TemplateError) -> [TemplateValue?] {
    guard positional.count <= parameters.count else {
      throw TemplateError(
        .evaluation, "'\(function)' takes at most \(parameters.count) arguments and got \(positional.count)", line: line)
    }
    var result: [TemplateValue?] = positional + Array(repeating: nil, count: parameters.count - positional.count)
    for name in names {
      guard let place = parameters.firstIndex(of: name) else {
        throw TemplateError(.evaluation, "'\(function)' takes no argument '\(name)'", line: line)
      }
      guard result[place] == nil else { throw TemplateError(.evaluation, "'\(function)' got '\(name)' twice", line: line) }
      result[place] = named[name]
    }
    for place in 0..<required where result[place] == nil {
      throw TemplateError(.evaluation, "'\(function)' lacks the argument '\(parameters[place])'", line: line)
    }
    return result
  }
}
