/// Whether a terminal table may use colour.
public enum TextStyle: Sendable, Hashable, CaseIterable {
  case plain
  /// ECMA-48 escape sequences: bold headings, green, yellow and red for what passed, warns and failed.
  case ansi

  package enum Tone: String {
    case heading = "1"
    case good = "32"
    case caution = "33"
    case bad = "31"
    case faint = "2"
  }

  func paint(_ text: String, _ tone: Tone?) -> String {
    guard self == .ansi, let tone, !text.isEmpty else { return text }
    return "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m"
  }
}

/// Columns of text that line up: the first to the left, figures to the right.
package struct TextTable {
  package enum Alignment { case left, right }

  package struct Cell: ExpressibleByStringInterpolation {
    package var text: String
    package var tone: TextStyle.Tone?

    package init(_ text: String, _ tone: TextStyle.Tone? = nil) {
      self.text = TerminalText.sanitized(TerminalText.bounded(text, scalars: 400))
      self.tone = tone
    }

    package init(stringLiteral value: String) { self.init(value) }
  }

  var alignments: [Alignment]
  private var rows: [[Cell]] = []

  package init(_ alignments: [Alignment]) { self.alignments = alignments }

  package mutating func row(_ cells: [Cell]) { rows.append(cells) }
  mutating func row(_ cells: Cell...) { rows.append(cells) }
  mutating func header(_ titles: String...) { header(titles) }
  package mutating func header(_ titles: [String]) { rows.append(titles.map { Cell($0, .faint) }) }

  /// The table without the columns that it can spare, as many as it takes for the names to keep `least` columns within the width; and
  /// the titles of those left out.
  ///
  /// - Parameter spare: columns in the order that they go.
  func fitted(to width: Int, least: Int, spare: [Int]) -> (table: TextTable, dropped: [String]) {
    var table = self
    var dropped: [String] = []
    for column in spare {
      let widths = table.naturalWidths
      let names = widths.indices.filter { alignments[$0] == .left }
      let short = names.reduce(0) { $0 + max(0, widths[$1] - least) }
      guard widths.reduce(table.spacing(widths), +) - short > width else { break }
      dropped.append(rows.first.map { $0.indices.contains(column) ? $0[column].text : "" } ?? "")
      for row in table.rows.indices where table.rows[row].indices.contains(column) { table.rows[row][column].text = "" }
    }
    return (table, dropped)
  }

  /// The lines of the table as ``fitted(to:least:spare:)`` leaves it, and one that names what had no room.
  ///
  /// - Parameter elsewhere: where those columns are: `a wider terminal and --csv have them`.
  func lines(width: Int, style: TextStyle, least: Int, spare: [Int], elsewhere: String) -> [String] {
    let fitted = fitted(to: width, least: least, spare: spare)
    let lines = fitted.table.lines(width: width, style: style)
    guard !fitted.dropped.isEmpty else { return lines }
    let words = "No room for \(fitted.dropped.joined(separator: ", ")): \(elsewhere)."
    return lines + TerminalText.wrapped(words, to: width - 2).map { "  " + style.paint($0, .faint) }
  }

  /// Columns that the widest line takes when nothing is shortened.
  package var naturalWidth: Int {
    let widths = naturalWidths
    return widths.reduce(spacing(widths), +)
  }

  private var naturalWidths: [Int] {
    alignments.indices.map { column in
      rows.map { $0.indices.contains(column) ? TerminalText.width($0[column].text) : 0 }.max() ?? 0
    }
  }

  private func spacing(_ widths: [Int]) -> Int { Self.indent + Self.gap * max(0, widths.count { $0 > 0 } - 1) }

  private static let indent = 2
  private static let gap = 2

  /// The lines, indented by two, none wider than `width`: the widest left-aligned columns give way first.
  package func lines(width: Int = ReportTable.width, style: TextStyle) -> [String] {
    var widths = naturalWidths.map { min(width, $0) }
    let fixed = spacing(widths)
    while widths.reduce(fixed, +) > width {
      let flexible = widths.indices.filter { alignments[$0] == .left && widths[$0] > 8 }
      let candidates = flexible.isEmpty ? Array(widths.indices) : flexible
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }), widths[widest] > 1 else { break }
      widths[widest] -= 1
    }
    return rows.map { line(of: $0, widths: widths, style: style) }
  }

  private func line(of cells: [Cell], widths: [Int], style: TextStyle) -> String {
    var line = String(repeating: " ", count: Self.indent)
    var pending = 0
    for (column, width) in widths.enumerated() where width > 0 {
      let cell = cells.indices.contains(column) ? cells[column] : Cell("")
      let text = TerminalText.elided(cell.text, to: width)
      let padding = width - TerminalText.width(text)
      let (before, after) = alignments[column] == .right ? (padding, 0) : (0, padding)
      if text.isEmpty {
        pending += width
      } else {
        // Spaces are held back until something follows, so that no line ends in blanks.
        line += String(repeating: " ", count: pending + before) + style.paint(text, cell.tone)
        pending = after
      }
      pending += Self.gap
    }
    return line
  }
}
