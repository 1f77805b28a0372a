/// Estimates with their intervals on one axis, under a line with each row's name and figures.
struct IntervalPlot: Plot {
  struct Row {
    var name: String
    var value: Double
    var interval: ClosedRange<Double>?
    /// The figures in words.
    var text: String
    var series: Int
  }

  var title: String
  var summary: String
  var rows: [Row]
  var axis: String
  /// A value to compare against, drawn as a line through all rows.
  var reference: Double?
  var format: (PlotScale.Tick) -> String = { $0.label }

  func draw(width: PlotWidth) -> SVG {
    let rowHeight = 42.0
    var svg = SVG(width: width.rawValue, height: Double(rows.count) * rowHeight + 44)
    var values = rows.flatMap { [$0.value, $0.interval?.lowerBound ?? $0.value, $0.interval?.upperBound ?? $0.value] }
    if let reference { values.append(reference) }
    let scale = PlotScale(.linear, covering: values).rounded(ticks: width == .wide ? 8 : 4)
    let bottom = Double(rows.count) * rowHeight + 4
    let frame = PlotFrame(
      left: 24, top: 0, right: svg.width - 24, bottom: bottom, x: scale, y: PlotScale(.linear, covering: [0, 1]))
    if let reference { svg.line(frame.x.position(reference), 18, frame.x.position(reference), bottom, class: "mk") }
    for (index, row) in rows.enumerated() {
      let top = Double(index) * rowHeight
      let text = HTML.typographic(row.text)
      svg.text(SVG.fitted(row.name, width: svg.width - SVG.textWidth(text) - 12), 0, top + 13, class: "tx h")
      svg.text(text, svg.width, top + 13, .end, class: "vl h")
      let middle = top + 28
      if let interval = row.interval {
        let (low, high) = (frame.x.position(interval.lowerBound), frame.x.position(interval.upperBound))
        svg.line(low, middle, high, middle, class: "l\(row.series)")
        svg.segments([(low, middle - 5, middle + 5), (high, middle - 5, middle + 5)], class: "l\(row.series)")
      }
      svg.circle(frame.x.position(row.value), middle, radius: 5, class: "f\(row.series)")
    }
    frame.drawXAxis(in: &svg, ticks: width == .wide ? 8 : 4, title: axis, format: format)
    return svg
  }
}
