/// An expression of a template. Nodes know how deep they are, so that no template nests deeper than the stack bears.
final class TemplateExpression: Sendable {
  indirect enum Kind: Sendable {
    case none
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case mapping([(key: TemplateExpression, value: TemplateExpression)])
    case name(String)
    case attribute(TemplateExpression, String)
    case subscription(TemplateExpression, TemplateExpression)
    case slice(TemplateExpression, start: TemplateExpression?, stop: TemplateExpression?, step: TemplateExpression?)
    case call(TemplateExpression, TemplateArguments)
    case filter(TemplateExpression, TemplateFilterUse)
    case test(TemplateExpression, String, TemplateArguments, isNegated: Bool)
    case negative(TemplateExpression)
    case positive(TemplateExpression)
    case not(TemplateExpression)
    case and(TemplateExpression, TemplateExpression)
    case or(TemplateExpression, TemplateExpression)
    /// Left to right: the first value, then each operator with its right side.
    case arithmetic(TemplateExpression, [(sign: String, right: TemplateExpression)])
    case comparison(TemplateExpression, [(sign: String, right: TemplateExpression)])
    case concatenation([TemplateExpression])
    case conditional(condition: TemplateExpression, value: TemplateExpression, otherwise: TemplateExpression?)
  }

  let kind: Kind
  let line: Int
  /// Levels of expressions below and including this one.
  let depth: Int

  init(_ kind: Kind, line: Int, depth: Int) {
    self.kind = kind
    self.line = line
    self.depth = depth
  }
}

struct TemplateArguments: Sendable {
  var positional: [TemplateExpression] = []
  var named: [(name: String, value: TemplateExpression)] = []
  var depth: Int { max(positional.map(\.depth).max() ?? 0, named.map(\.value.depth).max() ?? 0) }
}

struct TemplateFilterUse: Sendable {
  let name: String
  let arguments: TemplateArguments
  let line: Int
}

/// What a `set` or a `for` assigns to.
indirect enum TemplateTarget: Sendable {
  case name(String)
  case attribute(of: String, String)
  case tuple([TemplateTarget])
}

/// A macro as written.
final class TemplateMacro: Sendable {
  let name: String
  let parameters: [(name: String, fallback: TemplateExpression?)]
  let body: [TemplateStatement]

  init(name: String, parameters: [(name: String, fallback: TemplateExpression?)], body: [TemplateStatement]) {
    self.name = name
    self.parameters = parameters
    self.body = body
  }
}

final class TemplateLoop: Sendable {
  let target: TemplateTarget
  let sequence: TemplateExpression
  let condition: TemplateExpression?
  let body: [TemplateStatement]
  let otherwise: [TemplateStatement]

  init(
    target: TemplateTarget, sequence: TemplateExpression, condition: TemplateExpression?, body: [TemplateStatement],
    otherwise: [TemplateStatement]
  ) {
    self.target = target
    self.sequence = sequence
    self.condition = condition
    self.body = body
    self.otherwise = otherwise
  }
}

struct TemplateStatement: Sendable {
  indirect enum Kind: Sendable {
    case text(String)
    case output(TemplateExpression)
    case branches([(condition: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
    case loop(TemplateLoop)
    case assign(TemplateTarget, TemplateExpression)
    case assignBlock(TemplateTarget, filters: [TemplateFilterUse], body: [TemplateStatement])
    case macro(TemplateMacro)
    case generation([TemplateStatement])
    case filtered([TemplateFilterUse], body: [TemplateStatement])
    case scope([(target: TemplateTarget, value: TemplateExpression)], body: [TemplateStatement])
    case breakLoop
    case continueLoop
  }

  let kind: Kind
  let line: Int
}
