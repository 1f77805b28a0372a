import Diagnostics
import StructuredData

/// Names modules of a model: `re:` and a regular expression that must match from the start of the name (as compressed-tensors does),
/// or the name itself or its last components (`lm_head`, `mlp.down_proj`).
public struct ModulePattern: Codable, Sendable, Hashable, ExpressibleByStringLiteral {
  public let text: String

  public init(_ text: String) { self.text = text }
  public init(stringLiteral value: String) { text = value }
  public init(from decoder: any Decoder) throws { text = try decoder.singleValueContainer().decode(String.self) }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }

  /// A matcher; throws when the regular expression is not one.
  func matcher() throws(CompressionError) -> (String) -> Bool {
    guard text.hasPrefix("re:") else {
      let name = text
      return { $0 == name || $0.hasSuffix("." + name) }
    }
    do throws(NamePatternError) {
      let pattern = try NamePattern(String(text.dropFirst(3)))
      return { pattern.matches($0) }
    } catch {
      throw CompressionError(error.subject, error.problem, remedy: error.remedy, kind: .usage)
    }
  }
}
