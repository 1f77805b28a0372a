/// One rendering of a template.
final class TemplateEvaluator {
  let limits: TemplateLimits
  let date: TemplateDate?
  private var output = ""
  private var steps = 0
  private var depth = 0
  /// Buffers around the one that is written: 0 when text goes straight to the result.
  private var captures = 0
  private var ranges: [Range<Int>] = []
  private var hasHiddenGeneration = false
  /// What may refer to itself, emptied at the end.
  private var namespaces: [TemplateNamespace] = []
  private var macroScopes: [TemplateScope] = []

  private static let maximumObjects = 10_000

  enum Flow { case onward, breaking, continuing }

  private init(date: TemplateDate?, limits: TemplateLimits) {
    self.date = date
    self.limits = limits
  }

  static func render(
    _ statements: [TemplateStatement], variables: JSONObject, date: TemplateDate?, limits: TemplateLimits
  ) throws(TemplateError) -> TemplateOutput {
    let evaluator = TemplateEvaluator(date: date, limits: limits)
    defer { evaluator.clear() }
    let globals = TemplateScope(parent: nil)
    for name in ["range", "namespace", "dict", "raise_exception", "strftime_now"] { globals.names[name] = .function(name) }
    for member in variables.members {
      guard let value = TemplateValue(member.value) else {
        throw TemplateError(.limit, "the variable '\(member.key)' is nested too deep", line: 0)
      }
      globals.names[member.key] = value
    }
    _ = try evaluator.run(statements, in: TemplateScope(parent: globals))
    return TemplateOutput(text: evaluator.output, generationRanges: evaluator.hasHiddenGeneration ? nil : evaluator.ranges)
  }

  private func clear() {
    for namespace in namespaces { namespace.members = [:] }
    for scope in macroScopes { scope.names = [:] }
  }

  // MARK: Bounds

  func charge(_ cost: Int, line: Int) throws(TemplateError) {
    steps = steps.saturatingSum(cost)
    guard steps <= limits.steps else { throw TemplateError(.limit, "more than \(limits.steps) steps", line: line) }
  }

  func deeper<Result>(line: Int, _ body: () throws(TemplateError) -> Result) throws(TemplateError) -> Result {
    depth += 1
    defer { depth -= 1 }
    guard depth <= limits.depth else { throw TemplateError(.limit, "more than \(limits.depth) levels at once", line: line) }
    return try body()
  }

  /// Sees that a string may be made, and charges for it.
  func checkLength(_ bytes: Int, line: Int) throws(TemplateError) {
    guard bytes <= limits.bytes else { throw TemplateError(.limit, "a text of more than \(limits.bytes) bytes", line: line) }
    try charge(bytes / 64, line: line)
  }

  func list(_ items: [TemplateValue], line: Int) throws(TemplateError) -> TemplateList {
    try charge(items.count, line: line)
    guard let list = TemplateList(items) else {
      throw TemplateError(.limit, "values nested more than \(TemplateList.maximumDepth) levels deep", line: line)
    }
    return list
  }

  func makeNamespace(line: Int) throws(TemplateError) -> TemplateNamespace {
    guard namespaces.count < Self.maximumObjects else { throw TemplateError(.limit, "too many namespaces", line: line) }
    let namespace = TemplateNamespace()
    namespaces.append(namespace)
    return namespace
  }

  // MARK: Statements

  private func write(_ text: String, line: Int) throws(TemplateError) {
    try checkLength(output.utf8.count.saturatingSum(text.utf8.count), line: line, charging: text.utf8.count)
    output += text
  }

  private func checkLength(_ bytes: Int, line: Int, charging cost: Int) throws(TemplateError) {
    guard bytes <= limits.bytes else { throw TemplateError(.limit, "an output of more than \(limits.bytes) bytes", line: line) }
    try charge(cost / 64, line: line)
  }

  /// The text that statements print, instead of printing it.
  func captured(_ statements: [TemplateStatement], in scope: TemplateScope) throws(TemplateError) -> String {
    let outer = output
    output = ""
    captures += 1
    defer {
      output = outer
      captures -= 1
    }
    _ = try run(statements, in: scope)
    return output
  }

  func run(_ statements: [TemplateStatement], in scope: TemplateScope) throws(TemplateError) -> Flow {
    for statement in statements {
      try charge(1, line: statement.line)
      let flow = try deeper(line: statement.line) { () throws(TemplateError) in try run(statement, in: scope) }
      if flow != .onward { return flow }
    }
    return .onward
  }

  private func run(_ statement: TemplateStatement, in scope: TemplateScope) throws(TemplateError) -> Flow {
    let line = statement.line
    switch statement.kind {
    case .text(let text): try write(text, line: line)
    case .output(let expression): try write(try string(try value(of: expression, in: scope), line: line), line: line)
    case .branches(let branches, let otherwise):
      for branch in branches where try value(of: branch.condition, in: scope).isTrue { return try run(branch.body, in: scope) }
      return try run(otherwise, in: scope)
    case .loop(let loop): try run(loop, in: scope, line: line)
    case .assign(let target, let expression): try assign(try value(of: expression, in: scope), to: target, in: scope, line: line)
    case .assignBlock(let target, let filters, let body):
      var value = TemplateValue.string(try captured(body, in: TemplateScope(parent: scope)))
      for filter in filters { value = try apply(filter, to: value, in: scope) }
      try assign(value, to: target, in: scope, line: line)
    case .macro(let macro):
      guard macroScopes.count < Self.maximumObjects else { throw TemplateError(.limit, "too many macros", line: line) }
      macroScopes.append(scope)
      scope.names[macro.name] = .macro(TemplateMacroValue(definition: macro, scope: scope))
    case .generation(let body):
      let start = output.utf8.count
      _ = try run(body, in: TemplateScope(parent: scope))
      if captures == 0 { ranges.append(start..<output.utf8.count) } else { hasHiddenGeneration = true }
    case .filtered(let filters, let body):
      var value = TemplateValue.string(try captured(body, in: TemplateScope(parent: scope)))
      for filter in filters { value = try apply(filter, to: value, in: scope) }
      try write(try string(value, line: line), line: line)
    case .scope(let values, let body):
      let inner = TemplateScope(parent: scope)
      for (target, expression) in values {
        try assign(try value(of: expression, in: scope), to: target, in: inner, line: line)
      }
      return try run(body, in: inner)
    case .breakLoop: return .breaking
    case .continueLoop: return .continuing
    }
    return .onward
  }

  private func run(_ loop: TemplateLoop, in scope: TemplateScope, line: Int) throws(TemplateError) {
    let sequence = try value(of: loop.sequence, in: scope)
    let items = try elements(of: sequence, line: line)
    var next = 0
    let state = TemplateLoopState(depth: sequence.depth) { () throws(TemplateError) in
      while next < items.count {
        let item = items[next]
        next += 1
        guard let condition = loop.condition else { return item }
        let trial = TemplateScope(parent: scope)
        try self.assign(item, to: loop.target, in: trial, line: line)
        if try self.value(of: condition, in: trial).isTrue { return item }
      }
      return nil
    }
    defer { state.finish() }
    while let item = try state.advance() {
      try charge(1, line: line)
      let inner = TemplateScope(parent: scope)
      inner.names["loop"] = .loop(state)
      try assign(item, to: loop.target, in: inner, line: line)
      if try run(loop.body, in: inner) == .breaking { break }
    }
    if state.index < 0 { _ = try run(loop.otherwise, in: TemplateScope(parent: scope)) }
  }

  private func assign(_ value: TemplateValue, to target: TemplateTarget, in scope: TemplateScope, line: Int) throws(TemplateError) {
    switch target {
    case .name(let name): scope.names[name] = value
    case .attribute(let name, let attribute):
      guard case .namespace(let namespace)? = scope.value(of: name) else {
        throw TemplateError(.evaluation, "'\(name)' is no namespace, so that '\(attribute)' cannot be set", line: line)
      }
      try set(attribute, of: namespace, to: value, line: line)
    case .tuple(let targets):
      let values = try elements(of: value, line: line)
      guard values.count == targets.count else {
        throw TemplateError(.evaluation, "\(values.count) values cannot be assigned to \(targets.count) names", line: line)
      }
      for (target, value) in zip(targets, values) { try assign(value, to: target, in: scope, line: line) }
    }
  }

  func set(_ attribute: String, of namespace: TemplateNamespace, to value: TemplateValue, line: Int) throws(TemplateError) {
    guard !attribute.utf8.starts(with: "_".utf8) else {
      throw TemplateError(.evaluation, "a namespace takes no member '\(attribute)', which starts with an underscore", line: line)
    }
    namespace.members[attribute] = value
  }
}
