/// A value inside a template: what Python would hold there.
enum TemplateValue {
  /// A name or a member that is not there, by what was asked for.
  case undefined(String)
  case none
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  /// A string that passed `safe`. It prints as one; what escaping would make of it otherwise is not followed.
  case markup(String)
  case list(TemplateList)
  case tuple(TemplateList)
  case mapping(TemplateMapping)
  /// The keys, values or items of a mapping.
  case view(String, TemplateList)
  case range(TemplateRange)
  case generator(TemplateGenerator)
  case namespace(TemplateNamespace)
  case macro(TemplateMacroValue)
  case function(String)
  /// A method of a value, not called yet.
  indirect case method(TemplateValue, String)
  case loop(TemplateLoopState)
}

/// Elements, with how deep and how large they are together: a hostile template may nest and share them at will, and whoever walks them must
/// know beforehand.
struct TemplateList {
  let items: [TemplateValue]
  let depth: Int
  /// Values in all levels, those that are shared counted each time; saturating.
  let weight: Int

  static var empty: TemplateList { TemplateList(items: [], depth: 1, weight: 1) }
  static let maximumDepth = 160

  private init(items: [TemplateValue], depth: Int, weight: Int) {
    self.items = items
    self.depth = depth
    self.weight = weight
  }

  /// Nil when too deep.
  init?(_ items: [TemplateValue]) {
    var depth = 0
    var weight = 1
    for item in items {
      depth = max(depth, item.depth)
      weight = weight.saturatingSum(item.weight)
    }
    guard depth < Self.maximumDepth else { return nil }
    self.init(items: items, depth: depth + 1, weight: weight)
  }
}

/// A dictionary with string keys in the order they came.
struct TemplateMapping {
  private(set) var keys: [String] = []
  private(set) var values: [TemplateValue] = []
  private var positions: [ByteKey: Int] = [:]
  private(set) var depth = 1
  private(set) var weight = 1

  private struct ByteKey: Hashable {
    var text: String
    static func == (left: Self, right: Self) -> Bool { left.text.hasSameBytes(as: right.text) }
    func hash(into hasher: inout Hasher) { for byte in text.utf8 { hasher.combine(byte) } }
  }

  var count: Int { keys.count }

  subscript(key: String) -> TemplateValue? { positions[ByteKey(text: key)].map { values[$0] } }

  /// False, and nothing set, when the value is too deep.
  mutating func set(_ key: String, _ value: TemplateValue) -> Bool {
    guard value.depth < TemplateList.maximumDepth else { return false }
    depth = max(depth, value.depth + 1)
    weight = weight.saturatingSum(value.weight.saturatingSum(1))
    if let position = positions[ByteKey(text: key)] {
      values[position] = value
    } else {
      positions[ByteKey(text: key)] = keys.count
      keys.append(key)
      values.append(value)
    }
    return true
  }
}

/// What `range()` gives.
struct TemplateRange {
  let start: Int64
  let stop: Int64
  let step: Int64
  let items: TemplateList
}

/// Values that can be gone through once, as a Python generator.
final class TemplateGenerator {
  let depth: Int
  let weight: Int
  private var items: [TemplateValue]

  init(_ list: TemplateList) {
    depth = list.depth
    weight = list.weight
    items = list.items
  }

  func take() -> [TemplateValue] {
    defer { items = [] }
    return items
  }
}

/// The one thing that a template can change.
final class TemplateNamespace {
  var members: [String: TemplateValue] = [:]
}

/// A macro with the scope it was defined in.
final class TemplateMacroValue {
  let definition: TemplateMacro
  let scope: TemplateScope
  init(definition: TemplateMacro, scope: TemplateScope) {
    self.definition = definition
    self.scope = scope
  }
}

/// Names of a block, a loop's turn or a macro's call; what is not here is looked up outside.
final class TemplateScope {
  var names: [String: TemplateValue] = [:]
  let parent: TemplateScope?
  /// Whether a macro's call is around.
  let isInMacro: Bool

  init(parent: TemplateScope?, isMacro: Bool = false) {
    self.parent = parent
    isInMacro = isMacro || (parent?.isInMacro ?? false)
  }

  func value(of name: String) -> TemplateValue? {
    var scope: TemplateScope? = self
    while let here = scope {
      if let value = here.names[name] { return value }
      scope = here.parent
    }
    return nil
  }
}

extension TemplateValue {
  var depth: Int {
    switch self {
    case .list(let list), .tuple(let list), .view(_, let list): list.depth
    case .mapping(let mapping): mapping.depth
    case .generator(let generator): generator.depth + 1
    case .method(let value, _): value.depth + 1
    case .loop(let loop): loop.depth + 1
    default: 0
    }
  }

  var weight: Int {
    switch self {
    case .list(let list), .tuple(let list), .view(_, let list): list.weight
    case .mapping(let mapping): mapping.weight
    case .range(let range): range.items.weight
    case .generator(let generator): generator.weight
    case .string(let text), .markup(let text): 1 + text.utf8.count / 64
    default: 1
    }
  }

  /// What Python calls the type.
  var typeName: String {
    switch self {
    case .undefined: "Undefined"
    case .none: "NoneType"
    case .bool: "bool"
    case .integer: "int"
    case .number: "float"
    case .string: "str"
    case .markup: "Markup"
    case .list: "list"
    case .tuple: "tuple"
    case .mapping: "dict"
    case .view(let kind, _): "dict_\(kind)"
    case .range: "range"
    case .generator: "generator"
    case .namespace: "Namespace"
    case .macro: "Macro"
    case .function: "function"
    case .method: "method"
    case .loop: "LoopContext"
    }
  }

  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .integer(let value): value != 0
    case .number(let value): value != 0
    case .string(let text), .markup(let text): !text.isEmpty
    case .list(let list), .tuple(let list), .view(_, let list): !list.items.isEmpty
    case .range(let range): !range.items.items.isEmpty
    case .mapping(let mapping): mapping.count > 0
    default: true
    }
  }

  /// An integer, truth values included.
  var integer: Int64? {
    switch self {
    case .integer(let value): value
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  var double: Double? {
    if case .number(let value) = self { return value }
    return integer.map(Double.init)
  }

  var text: String? {
    switch self {
    case .string(let text), .markup(let text): text
    default: nil
    }
  }

  var isUndefined: Bool { if case .undefined = self { true } else { false } }
}

extension TemplateValue {
  /// A JSON value as a template sees it; nil when it is too deep.
  init?(_ json: JSONValue, level: Int = 0) {
    guard level <= TemplateList.maximumDepth else { return nil }
    switch json {
    case .null: self = .none
    case .bool(let value): self = .bool(value)
    case .integer(let value): self = .integer(value)
    case .number(let value): self = .number(value)
    case .string(let value): self = .string(value)
    case .array(let elements):
      var items: [TemplateValue] = []
      items.reserveCapacity(elements.count)
      for element in elements {
        guard let value = TemplateValue(element, level: level + 1) else { return nil }
        items.append(value)
      }
      guard let list = TemplateList(items) else { return nil }
      self = .list(list)
    case .object(let object):
      var mapping = TemplateMapping()
      for member in object.members {
        guard let value = TemplateValue(member.value, level: level + 1), mapping.set(member.key, value) else { return nil }
      }
      self = .mapping(mapping)
    }
  }
}

extension Int {
  func saturatingSum(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}

extension String {
  func hasSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
