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
    guard let width, whole.naturalWidth > width else { return text(whole.lines(width: .max, style: style), []) }
    // Figures first: what the names do follows below, where a line can be as long as it is.
    let nameWidth = rows.map(\.name.count).max() ?? 0
    let summaries = rows.map { "  " + $0.name.padding(toLength: nameWidth + 2, withPad: " ", startingAt: 0) + $0.summary }
    return text(table(withSummaries: false).lines(width: width, style: style), [""] + summaries)
  }

  private func text(_ figures: [String], _ summaries: [String]) -> String { (figures + summaries + ["", note]).joined(separator: "\n") }

  private func table(withSummaries: Bool) -> TextTable {
    let figures = Array(repeating: TextTable.Alignment.right, count: heads.count - 1)
    var table = TextTable([.left] + figures + (withSummaries ? [.left] : []))
    table.header(heads + (withSummaries ? ["what it does"] : []))
    for row in rows { table.row(([row.name] + row.figures + (withSummaries ? [row.summary] : [])).map { TextTable.Cell($0) }) }
    return table
  }
}
