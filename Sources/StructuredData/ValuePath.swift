/// Where in a document a value stands.
package struct ValuePath: Sendable, Hashable {
  package enum Step: Sendable, Hashable {
    case key(String)
    case index(Int)
  }

  package var steps: [Step]

  package init(_ steps: [Step] = []) { self.steps = steps }

  init(_ path: [any CodingKey]) { steps = path.map { key in key.intValue.map { .index($0) } ?? .key(key.stringValue) } }

  package static func + (path: ValuePath, step: Step) -> ValuePath { ValuePath(path.steps + [step]) }
  package static func + (path: ValuePath, rest: ValuePath) -> ValuePath { ValuePath(path.steps + rest.steps) }

  /// `overrides[0].bits`
  package var text: String {
    steps.reduce(into: "") { text, step in
      switch step {
      case .key(let key): text += text.isEmpty ? key : ".\(key)"
      case .index(let index): text += "[\(index)]"
      }
    }
  }
}
