import StructuredData

/// The YAML at the head of a model card, which model hubs read.
struct FrontMatter {
  private var lines: [String] = []

  mutating func set(_ key: String, _ value: String?) {
    guard let value else { return }
    lines.append("\(key): \(Self.scalar(value))")
  }

  mutating func set(_ key: String, _ values: [String]) {
    guard !values.isEmpty else { return }
    lines.append("\(key):")
    lines += values.map { "- \(Self.scalar($0))" }
  }

  var text: String { "---\n" + lines.map { $0 + "\n" }.joined() + "---\n" }

  /// A word that YAML reads as itself, or the text in double quotes, where JSON's escapes are YAML's.
  static func scalar(_ text: String) -> String {
    let isWord =
      text.unicodeScalars.allSatisfy { ("a"..."z").contains($0) || ("0"..."9").contains($0) || $0 == "-" || $0 == "_" }
      && text.unicodeScalars.contains { ("a"..."z").contains($0) } && !text.hasPrefix("-") && !text.hasPrefix("0")
      && !["true", "false", "yes", "no", "on", "off", "y", "n", "null"].contains(text) && !looksLikeNumber(text)
    if isWord { return text }
    return JSONValue.string(String(TerminalText.sanitized(TerminalText.bounded(text, scalars: 300)))).text(pretty: false)
  }

  /// `1e3`, `1_000`
  private static func looksLikeNumber(_ text: String) -> Bool {
    text.allSatisfy { $0.isNumber || "e_-".contains($0) } && text.contains { $0.isNumber }
  }
}
