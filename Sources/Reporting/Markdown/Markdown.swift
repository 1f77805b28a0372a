/// Pieces of Markdown: CommonMark with tables. Everything that comes from outside goes through ``text(_:limit:)`` or ``item(_:limit:)``.
enum Markdown {
  /// The text as running text or a table's cell. What would start markup, HTML, a formula, a link or a mention stands as itself, and what
  /// is invisible or reorders the line shows as U+FFFD.
  static func text(_ text: String, limit: Int = 300) -> String {
    let line = String(text.map { $0.isWhitespace ? " " : $0 })
    let scalars = Array(TerminalText.elided(line, to: limit).unicodeScalars)
    var output = String.UnicodeScalarView()
    for (index, scalar) in scalars.enumerated() {
      switch scalar {
      case "`", "*", "_", "[", "]", "#":
        output.append("\\")
        output.append(scalar)
      // Not every renderer takes a backslash before these; an entity is never markup.
      case "\\", "&", "<", ">", "|", "~", "$", "@": output.append(contentsOf: entity(scalar))
      case ":" where scalars.dropFirst(index + 1).starts(with: "//".unicodeScalars): output.append(contentsOf: entity(scalar))
      case "." where index >= 3 && scalars[index - 3..<index].allSatisfy { $0 == "w" || $0 == "W" }:
        output.append(contentsOf: entity(scalar))
      default: output.append(TerminalText.isUnsafe(scalar) ? "\u{FFFD}" : scalar)
      }
    }
    return String(output)
  }

  /// The text as an item of a list. What would start another list in it does not.
  static func item(_ text: String, limit: Int = 500) -> String {
    var words = Self.text(String(text.drop { $0.isWhitespace }), limit: limit)
    let number = words.prefix { $0.isASCII && $0.isNumber }
    let mark = number.endIndex
    if mark < words.endIndex, number.isEmpty ? "-+=".contains(words[mark]) : ".)".contains(words[mark]) {
      words.insert("\\", at: mark)
    }
    return "- \(words)\n"
  }

  /// The text as a quotation, which hosts set apart.
  static func quote(_ words: String) -> String { "> \(text(words, limit: 1000))\n" }

  static func section(_ title: String, _ body: String) -> String { body.isEmpty ? "" : "\n## \(title)\n\n\(body)" }

  /// Lines of a program or a shell; our own, not from outside.
  static func code(_ text: String, language: String) -> String { "```\(language)\n\(text)\n```\n" }

  /// A table whose first column and those named as text are to the left, and whose figures are to the right; cells are escaped here.
  static func table(_ titles: [String], _ rows: [[String]], text words: Set<String> = []) -> String {
    guard !rows.isEmpty else { return "" }
    func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
    let marks = titles.enumerated().map { $0 == 0 || words.contains($1) ? "---" : "---:" }
    return line(titles.map { text($0) }) + line(marks) + rows.map { line($0.map { text($0) }) }.joined()
  }

  private static func entity(_ scalar: Unicode.Scalar) -> String.UnicodeScalarView {
    let name =
      switch scalar {
      case "&": "amp"
      case "<": "lt"
      case ">": "gt"
      default: "#\(scalar.value)"
      }
    return "&\(name);".unicodeScalars
  }
}
