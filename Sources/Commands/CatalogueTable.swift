import DeepSeekOptimize
import Foundation

/// Things that have a name, figures, and a line on what they do: recipes, say.
struct CatalogueTable {
  /// Over the name and the figures.
  let heads: [String]
  var rows: [(name: String, figures: [String], summary: String)] = []
  /// Below it all.
  let note: String

  /// - Parameter width: of the terminal; nil where nothing limits a line, as in a file.
  func text(width: Int?, style: TextStyle) -> String {
    let whole = table(withSummaries: true)
    let words = TerminalText.wrapped(note, to: width ?? Self.noteWidth, lines: 40)
    guard let width, whole.naturalWidth > width else {
      return (whole.lines(width: .max, style: style) + [""] + words).joined(separator: "\n")
    }
    // Figures first: what the names do follows below, where it can take several lines.
    let nameWidth = (rows.map(\.name.count).max() ?? 0) + 4
    let summaries = rows.flatMap { row -> [String] in
      let lines = TerminalText.wrapped(row.summary, to: max(20, width - nameWidth), lines: 40)
      let rest = lines.dropFirst().map { String(repeating: " ", count: nameWidth) + $0 }
      return [("  " + row.name).padding(toLength: nameWidth, withPad: " ", startingAt: 0) + (lines.first ?? "")] + rest
    }
    let figures = table(withSummaries: false).lines(width: width, style: style)
    return (figures + [""] + summaries + [""] + words).joined(separator: "\n")
  }

  /// Columns of what stands below, where no terminal says how many there are.
  private static let noteWidth = 100

  private func table(withSummaries: Bool) -> TextTable {
    let figures = Array(repeating: TextTable.Alignment.right, count: heads.count - 1)
    var table = TextTable([.left] + figures + (withSummaries ? [.left] : []))
    table.header(heads + (withSummaries ? ["what it does"] : []))
    for row in rows { table.row(([row.name] + row.figures + (withSummaries ? [row.summary] : [])).map { TextTable.Cell($0) }) }
    return table
  }
}
