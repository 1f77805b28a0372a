/// A table in a container that scrolls by itself, so that the page never scrolls sideways.
struct HTMLTable {
  struct Column {
    enum Kind {
      case figure, text
      /// Text that may break into lines.
      case prose

      var cssClass: String { self == .figure ? "" : self == .text ? " class=\"x\"" : " class=\"x prose\"" }
    }

    var title: String
    var kind = Kind.figure
  }

  var caption: String
  var columns: [Column]
  /// Rows beyond this many bytes are counted instead of kept: names may be hostile and the page stays small.
  var byteLimit = 16_000
  private(set) var rows: [String] = []
  private(set) var byteCount = 0
  private var dropped = 0
  /// Whether rows that were dropped are counted beneath; not where the caption says how many there are.
  var countsRest = true

  /// The first column names the row; those not listed as text or prose hold figures.
  init(_ caption: String, first: String, _ titles: [String], text: Set<String> = [], prose: Set<String> = []) {
    self.caption = caption
    columns =
      [Column(title: first, kind: .text)]
      + titles.map { Column(title: $0, kind: text.contains($0) ? .text : prose.contains($0) ? .prose : .figure) }
  }

  /// Adds a row; all cells are plain text, figures are set typographically.
  mutating func row(_ name: String, _ cells: [String], class rowClass: String? = nil) {
    var row = "<tr\(rowClass.map { " class=\"\($0)\"" } ?? "")><th scope=\"row\">\(HTML.name(name))</th>"
    for (column, cell) in zip(columns.dropFirst(), cells) {
      row += "<td\(column.kind.cssClass)>" + (column.kind == .figure ? HTML.escape(HTML.typographic(cell)) : HTML.name(cell)) + "</td>"
    }
    row += "</tr>\n"
    guard byteCount + row.utf8.count <= byteLimit else {
      dropped += 1
      return
    }
    byteCount += row.utf8.count
    rows.append(row)
  }

  var html: String {
    // A cell without words heads nothing.
    let heads = columns.map {
      $0.title.isEmpty ? "<td></td>" : "<th scope=\"col\"\($0.kind == .figure ? "" : " class=\"x\"")>\(HTML.escape($0.title))</th>"
    }
    let name = HTML.escape(caption)
    let rest = dropped > 0 && countsRest ? "<p class=\"muted\">\(NumberText.grouped(dropped)) more rows are in report.json.</p>\n" : ""
    return """
      <div class="scroll" role="region" aria-label="\(name)" tabindex="0"><table>
      <caption><span>\(name)</span></caption>
      <thead><tr>\(heads.joined())</tr></thead>
      <tbody>
      \(rows.joined())</tbody>
      </table></div>
      \(rest)
      """
  }
}
