/// Horizontal bars from zero, one for each series, under a line with the row's name and figures.
struct BarPlot: Plot {
  struct Row {
    var name: String
    /// One value for each series; nil leaves the bar out.
    var values: [Double?]
    /// The figures in words.
    var text: String
  }

  var title: String
  var summary: String
  /// Names and colour numbers; 0 is the neutral colour.
  var series: [(name: String, colour: Int)]
  var rows: [Row]

  func draw(width: PlotWidth) -> SVG {
    var svg = SVG(width: width.rawValue, height: 0)
    let largest = rows.flatMap(\.values).compactMap { $0 }.filter(\.isFinite).max() ?? 1
    var y = 0.0
    if series.count > 1 {
      let entries = series.map { PlotLegend.Entry(name: $0.name, series: $0.colour, sample: .bar) }
      y = PlotLegend(entries: entries).draw(in: &svg, left: 0, top: 0) + 8
    }
    for row in rows {
      let text = HTML.typographic(row.text)
      let room = svg.width - SVG.textWidth(text) - 12
      svg.text(SVG.fitted(row.name, width: room), 0, y + 13, class: "tx")
      svg.text(text, svg.width, y + 13, .end, class: "vl")
      y += 20
      for (series, value) in zip(series, row.values) {
        if let value, value.isFinite, largest > 0 {
          svg.rectangle(0, y, max(1.5, svg.width * max(0, value) / largest), 8, radius: 2, class: "f\(series.colour)")
        }
        y += 10
      }
      y += 12
    }
    svg.height = max(1, y - 8)
    return svg
  }
}
