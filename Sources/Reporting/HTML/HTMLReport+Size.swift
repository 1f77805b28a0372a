extension ReportPage {
  var size: String {
    guard let size = report.size, size.sourceBytes != nil || size.outputBytes != nil else { return "" }
    var rows = size.byKind.prefix(24).map { kind in
      BarPlot.Row(
        name: kind.kind, values: [kind.sourceBytes.map(Double.init), kind.outputBytes.map(Double.init)],
        text: Self.change(kind.sourceBytes, kind.outputBytes))
    }
    if rows.isEmpty {
      rows = [
        BarPlot.Row(
          name: "Checkpoint", values: [size.sourceBytes.map(Double.init), size.outputBytes.map(Double.init)],
          text: Self.change(size.sourceBytes, size.outputBytes))
      ]
    }
    let total = Self.change(size.sourceBytes, size.outputBytes)
    let plot = BarPlot(
      title: "Size before and after", summary: "Whole checkpoint: \(total).", series: [("source", 0), ("compressed", 1)],
      rows: Array(rows))
    var table = HTMLTable("Bytes before and after", first: "Kind", ["source", "compressed", "ratio"])
    func row(_ name: String, _ source: Int?, _ output: Int?) {
      let figures = [source, output].map { $0.map { NumberText.grouped($0) } ?? NumberText.absent }
      let share = source.flatMap { source in output.map { Double($0) / Double(source) } }
      table.row(name, figures + [share.map { NumberText.fixed($0, 2) + "×" } ?? ""])
    }
    for kind in size.byKind.prefix(24) { row(kind.kind, kind.sourceBytes, kind.outputBytes) }
    row("Checkpoint, headers included", size.sourceBytes, size.outputBytes)
    var caption = "Bytes on disk; the whole checkpoint went \(total)."
    if let bits = size.bitsPerWeight {
      caption += " That is \(NumberText.fixed(bits, 2)) bits per weight with scales and unquantized tensors counted."
    }
    return HTML.section("Size", id: "size", plot.figure(id: "p-size", caption: HTML.escape(HTML.typographic(caption)), table: table))
  }

  /// `13.6 MB → 7.2 MB (0.53×)`
  private static func change(_ source: Int?, _ output: Int?) -> String {
    let words = [source, output].map { $0.map(NumberText.bytes) ?? "?" }.joined(separator: " → ")
    guard let source, let output, source > 0 else { return words }
    return words + " (\(NumberText.fixed(Double(output) / Double(source), 2))×)"
  }
}
