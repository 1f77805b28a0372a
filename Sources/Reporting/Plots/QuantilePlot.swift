/// A row for each distribution on one logarithmic axis: its mean, quantiles and largest value, under a line with its name.
struct QuantilePlot: Plot {
  struct Row {
    var name: String
    var mean: Double?
    /// From the lowest up.
    var quantiles: [Double]
    var maximum: Double?
  }

  var title: String
  var summary: String
  var rows: [Row]
  var axis: String

  func draw(width: PlotWidth) -> SVG {
    var svg = SVG(width: width.rawValue, height: 0)
    let entries: [PlotLegend.Entry] = [
      .init(name: "mean", series: 1, sample: .dot), .init(name: "median, 95 %, 99 %, 99.9 %", series: 1, sample: .stroke),
      .init(name: "max", series: 1, sample: .ring),
    ]
    let top = PlotLegend(entries: entries).draw(in: &svg, left: 0, top: 0) + 6
    let rowHeight = 36.0
    let bottom = top + Double(rows.count) * rowHeight + 4
    svg.height = bottom + 40
    let values = rows.flatMap { $0.quantiles + [$0.mean, $0.maximum].compactMap { $0 } }
    let frame = PlotFrame(
      left: 8, top: top, right: svg.width - 12, bottom: bottom, x: PlotScale(.logarithmic, covering: values),
      y: PlotScale(.linear, covering: [0, 1]))
    for tick in frame.x.ticks(width == .wide ? 10 : 5) {
      svg.line(frame.x.position(tick.value), top, frame.x.position(tick.value), bottom, class: "g")
    }
    for (index, row) in rows.enumerated() {
      let rowTop = top + Double(index) * rowHeight
      svg.text(SVG.fitted(row.name, width: svg.width - 16), 0, rowTop + 13, class: "tx h")
      draw(row, at: rowTop + 25, in: &svg, frame: frame)
    }
    frame.drawXAxis(in: &svg, ticks: width == .wide ? 10 : 5, title: axis)
    return svg
  }

  private func draw(_ row: Row, at middle: Double, in svg: inout SVG, frame: PlotFrame) {
    // Zero has no place on the axis.
    let strokes = row.quantiles.filter { $0 > 0 && $0.isFinite }.map { frame.x.position($0) }
    let largest = row.maximum.flatMap { $0 > 0 && $0.isFinite ? frame.x.position($0) : nil }
    if let first = strokes.first, let end = largest ?? strokes.last { svg.line(first, middle, end, middle, class: "w1") }
    svg.segments(strokes.map { ($0, middle - 6, middle + 6) }, class: "l1")
    if let largest { svg.circle(largest, middle, radius: 4, class: "r1") }
    if let mean = row.mean, mean > 0, mean.isFinite { svg.circle(frame.x.position(mean), middle, radius: 4.5, class: "f1") }
  }
}
