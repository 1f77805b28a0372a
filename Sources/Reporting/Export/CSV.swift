/// Comma-separated values as RFC 4180 has them: lines end in CR LF, fields with commas, quotation marks or line breaks are quoted.
/// Numbers have a point and no grouping whatever the locale, and as many digits as it takes to read the same value back.
struct CSV {
  enum Field {
    case text(String?)
    case number(Double?)
    case count(Int?)
  }

  private(set) var text = ""

  init(_ titles: [String]) { row(titles.map { .text($0) }) }

  mutating func row(_ fields: [Field]) {
    text += fields.map(Self.written).joined(separator: ",")
    text += "\r\n"
  }

  /// A figure that was not measured is an empty field.
  private static func written(_ field: Field) -> String {
    switch field {
    case .text(let text): text.map(escaped) ?? ""
    case .number(let value): value.flatMap { $0.isFinite ? shortest($0) : nil } ?? ""
    case .count(let value): value.map(String.init) ?? ""
    }
  }

  /// `12`, not `12.0`.
  private static func shortest(_ value: Double) -> String {
    let text = value.description
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// What is invisible or reorders the line shows as U+FFFD. A text that a spreadsheet would compute gets an apostrophe before it: names
  /// come from files.
  static func escaped(_ text: String) -> String {
    var field = String.UnicodeScalarView()
    // By scalars: a quotation mark with an accent on it is another character, and still a quotation mark to a reader of bytes.
    for scalar in TerminalText.bounded(text, scalars: 2000).unicodeScalars {
      if field.isEmpty, "=+-@".unicodeScalars.contains(scalar) { field.append("'") }
      if scalar == "\"" { field.append(scalar) }
      field.append(TerminalText.isUnsafe(scalar) && scalar != "\n" ? "\u{FFFD}" : scalar)
    }
    let needsQuotes = field.contains { $0 == "," || $0 == "\"" || $0 == "\n" }
    return needsQuotes ? "\"\(String(field))\"" : String(field)
  }
}
