extension TemplateEvaluator {
  func wrongOperand(_ sign: String, _ value: TemplateValue, line: Int) -> TemplateError {
    if case .undefined(let what) = value { return undefinedUse(what, line: line) }
    return TemplateError(.evaluation, "'\(sign)' does not go with a value of type \(value.typeName)", line: line)
  }

  private func wrongOperands(_ sign: String, _ left: TemplateValue, _ right: TemplateValue, line: Int) -> TemplateError {
    if left.isUndefined { return wrongOperand(sign, left, line: line) }
    if right.isUndefined { return wrongOperand(sign, right, line: line) }
    return TemplateError(
      .evaluation, "'\(sign)' does not go with values of type \(left.typeName) and \(right.typeName)", line: line)
  }

  func outOfRange(line: Int) -> TemplateError { TemplateError(.unsupported, "a number beyond 64 bits", line: line) }

  func negated(_ value: TemplateValue, line: Int) throws(TemplateError) -> TemplateValue {
    if let number = value.integer {
      let (result, overflow) = Int64(0).subtractingReportingOverflow(number)
      if overflow { throw outOfRange(line: line) }
      return .integer(result)
    }
    guard let number = value.double else { throw wrongOperand("-", value, line: line) }
    return .number(-number)
  }

  func arithmetic(_ sign: String, _ left: TemplateValue, _ right: TemplateValue, line: Int) throws(TemplateError) -> TemplateValue {
    if case .markup = left { throw TemplateError.unsupported("'\(sign)' on a string marked as safe", line: line) }
    if case .markup = right { throw TemplateError.unsupported("'\(sign)' on a string marked as safe", line: line) }
    if let a = left.integer, let b = right.integer { return try integers(sign, a, b, line: line) }
    if let a = left.double, let b = right.double { return try numbers(sign, a, b, line: line) }
    switch (sign, left, right) {
    case ("+", .string(let a), .string(let b)):
      try checkLength(a.utf8.count + b.utf8.count, line: line)
      return .string(a + b)
    case ("+", .list(let a), .list(let b)): return .list(try list(a.items + b.items, line: line))
    case ("+", .tuple(let a), .tuple(let b)): return .tuple(try list(a.items + b.items, line: line))
    case ("*", .string(let text), _): if let count = right.integer { return try repeated(text, count, line: line) }
    case ("*", _, .string(let text)): if let count = left.integer { return try repeated(text, count, line: line) }
    case ("*", .list(let items), _): if let count = right.integer { return try repeated(items, count, line: line) }
    case ("*", _, .list(let items)): if let count = left.integer { return try repeated(items, count, line: line) }
    case ("%", .string(let format), _): return .string(try formatted(format, right, line: line))
    default: break
    }
    throw wrongOperands(sign, left, right, line: line)
  }

  private func repeated(_ text: String, _ count: Int64, line: Int) throws(TemplateError) -> TemplateValue {
    let count = Int(clamping: max(0, count))
    let (bytes, overflow) = text.utf8.count.multipliedReportingOverflow(by: count)
    try checkLength(overflow ? .max : bytes, line: line)
    return .string(text.isEmpty ? "" : String(repeating: text, count: count))
  }

  private func repeated(_ items: TemplateList, _ count: Int64, line: Int) throws(TemplateError) -> TemplateValue {
    let count = Int(clamping: max(0, count))
    let (total, overflow) = items.items.count.multipliedReportingOverflow(by: count)
    try charge(overflow ? .max : total, line: line)
    guard total > 0 else { return .list(.empty) }
    return .list(try list((0..<count).flatMap { _ in items.items }, line: line))
  }

  /// `%s`, `%d`, `%r` and `%%`.
  private func formatted(_ format: String, _ value: TemplateValue, line: Int) throws(TemplateError) -> String {
    var values = [value]
    if case .tuple(let list) = value { values = list.items }
    var result = ""
    var scalars = format.unicodeScalars.makeIterator()
    while let scalar = scalars.next() {
      guard scalar == "%" else {
        result.unicodeScalars.append(scalar)
        continue
      }
      let directive = scalars.next()
      if directive == "%" {
        result += "%"
        continue
      }
      guard !values.isEmpty else { throw TemplateError(.evaluation, "a format has more places than values", line: line) }
      let value = values.removeFirst()
      switch directive {
      case "s": result += try string(value, line: line)
      case "d":
        guard let number = value.integer else { throw TemplateError.unsupported("'%d' of a \(value.typeName)", line: line) }
        result += String(number)
      default: throw TemplateError.unsupported("the format '%\(directive.map { String($0) } ?? "")'", line: line)
      }
      try checkLength(result.utf8.count, line: line)
    }
    guard values.isEmpty else { throw TemplateError(.evaluation, "a format has fewer places than values", line: line) }
    return result
  }

  private func integers(_ sign: String, _ a: Int64, _ b: Int64, line: Int) throws(TemplateError) -> TemplateValue {
    let outcome: (partialValue: Int64, overflow: Bool)
    switch sign {
    case "+": outcome = a.addingReportingOverflow(b)
    case "-": outcome = a.subtractingReportingOverflow(b)
    case "*": outcome = a.multipliedReportingOverflow(by: b)
    case "//", "%":
      guard b != 0 else { throw TemplateError(.evaluation, "a division by zero", line: line) }
      let quotient = a.dividedReportingOverflow(by: b)
      if quotient.overflow {
        if sign == "%" { return .integer(0) }
        throw outOfRange(line: line)
      }
      let rest = a % b
      // Python rounds down, and the rest has the divisor's sign.
      let isBelow = rest != 0 && (rest < 0) != (b < 0)
      return .integer(sign == "//" ? quotient.partialValue - (isBelow ? 1 : 0) : rest + (isBelow ? b : 0))
    case "**":
      guard b >= 0 else { return try numbers(sign, Double(a), Double(b), line: line) }
      var result: Int64 = 1
      // Beyond 64 steps only 0, 1 and -1 stay in range.
      if a.magnitude <= 1 { return .integer(a == -1 && b % 2 == 0 ? 1 : b == 0 ? 1 : a) }
      for _ in 0..<min(b, 64) {
        let (next, overflow) = result.multipliedReportingOverflow(by: a)
        if overflow { throw outOfRange(line: line) }
        result = next
      }
      return .integer(result)
    default: return try numbers(sign, Double(a), Double(b), line: line)
    }
    if outcome.overflow { throw outOfRange(line: line) }
    return .integer(outcome.partialValue)
  }

  private func numbers(_ sign: String, _ a: Double, _ b: Double, line: Int) throws(TemplateError) -> TemplateValue {
    switch sign {
    case "+": return .number(a + b)
    case "-": return .number(a - b)
    case "*": return .number(a * b)
    case "/", "//", "%":
      guard b != 0 else { throw TemplateError(.evaluation, "a division by zero", line: line) }
      if sign == "/" { return .number(a / b) }
      var rest = a.truncatingRemainder(dividingBy: b)
      if rest != 0, (rest < 0) != (b < 0) { rest += b }
      return .number(sign == "%" ? rest : ((a - rest) / b).rounded())
    default: throw TemplateError.unsupported("'\(sign)' of numbers that are not whole", line: line)
    }
  }

  // MARK: Comparison

  func compare(_ sign: String, _ left: TemplateValue, _ right: TemplateValue, line: Int) throws(TemplateError) -> Bool {
    switch sign {
    case "==": return try isEqual(left, right, line: line)
    case "!=": return !(try isEqual(left, right, line: line))
    case "<": return try isLess(left, right, sign, line: line)
    case ">": return try isLess(right, left, sign, line: line)
    case "<=": return try isLessOrEqual(left, right, sign, line: line)
    case ">=": return try isLessOrEqual(right, left, sign, line: line)
    case "in": return try contains(left, in: right, line: line)
    default: return !(try contains(left, in: right, line: line))
    }
  }

  func isEqual(_ left: TemplateValue, _ right: TemplateValue, line: Int) throws(TemplateError) -> Bool {
    try charge(min(left.weight, right.weight), line: line)
    if let a = left.text, let b = right.text { return a.hasSameBytes(as: b) }
    if let a = left.integer, let b = right.integer { return a == b }
    if let a = left.double, let b = right.double { return a == b }
    switch (left, right) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): return try areEqual(a.items, b.items, line: line)
    case (.range(let a), .range(let b)): return try areEqual(a.items.items, b.items.items, line: line)
    case (.mapping(let a), .mapping(let b)):
      guard a.count == b.count else { return false }
      for (index, key) in a.keys.enumerated() {
        guard let value = b[key], try isEqual(a.values[index], value, line: line) else { return false }
      }
      return true
    case (.namespace(let a), .namespace(let b)): return a === b
    case (.macro(let a), .macro(let b)): return a === b
    case (.generator(let a), .generator(let b)): return a === b
    case (.view, .view), (.method, .method), (.loop, .loop), (.function, .function):
      throw TemplateError.unsupported("comparing values of type \(left.typeName)", line: line)
    default: return false
    }
  }

  private func areEqual(_ left: [TemplateValue], _ right: [TemplateValue], line: Int) throws(TemplateError) -> Bool {
    guard left.count == right.count else { return false }
    for (a, b) in zip(left, right) where !(try isEqual(a, b, line: line)) { return false }
    return true
  }

  func isLess(_ left: TemplateValue, _ right: TemplateValue, _ sign: String, line: Int) throws(TemplateError) -> Bool {
    try charge(min(left.weight, right.weight), line: line)
    if let a = left.text, let b = right.text { return PythonText.isLess(a, b) }
    if let a = left.integer, let b = right.integer { return a < b }
    if let a = left.double, let b = right.double { return a < b }
    switch (left, right) {
    case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
      for (x, y) in zip(a.items, b.items) where !(try isEqual(x, y, line: line)) { return try isLess(x, y, sign, line: line) }
      return a.items.count < b.items.count
    default: throw wrongOperands(sign, left, right, line: line)
    }
  }

  private func isLessOrEqual(_ left: TemplateValue, _ right: TemplateValue, _ sign: String, line: Int) throws(TemplateError) -> Bool {
    // Not a number is neither.
    if let a = left.double, let b = right.double, a.isNaN || b.isNaN { return false }
    return !(try isLess(right, left, sign, line: line))
  }

  func contains(_ value: TemplateValue, in container: TemplateValue, line: Int) throws(TemplateError) -> Bool {
    switch container {
    case .undefined: return false
    case .string(let text), .markup(let text):
      guard let needle = value.text else { throw wrongOperands("in", value, container, line: line) }
      try charge(text.utf8.count / 16, line: line)
      return PythonText.contains(needle, in: text)
    case .mapping(let mapping):
      switch value {
      case .list, .mapping: throw TemplateError(.evaluation, "a value of type \(value.typeName) is no key", line: line)
      default: return value.text.map { mapping[$0] != nil } ?? false
      }
    case .list, .tuple, .range, .view, .generator:
      for item in try elements(of: container, line: line) where try isEqual(item, value, line: line) { return true }
      return false
    default: throw wrongOperands("in", value, container, line: line)
    }
  }
}
