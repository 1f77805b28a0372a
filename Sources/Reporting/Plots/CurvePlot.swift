/// Lines over two logarithmic axes.
struct CurvePlot: Plot {
  struct Curve {
    var name: String
    var points: [(x: Double, y: Double)]
    var series: Int
  }

  var title: String
  var summary: String
  var curves: [Curve]
  var xAxis: String
  var yAxis: String
  var yFormat: (PlotScale.Tick) -> String = { $0.label }

  func draw(width: PlotWidth) -> SVG {
    var svg = SVG(width: width.rawValue, height: 0)
    let entries = curves.map { PlotLegend.Entry(name: $0.name, series: $0.series, sample: .line) }
    var top = PlotLegend(entries: entries).draw(in: &svg, left: 0, top: 0)
    svg.text(yAxis, 0, top + 14, class: "lb")
    top += 26
    svg.height = top + (width == .wide ? 280 : 220) + 44
    let points = curves.flatMap(\.points)
    let frame = PlotFrame(
      left: 52, top: top, right: svg.width - 10, bottom: svg.height - 44, x: PlotScale(.logarithmic, covering: points.map(\.x)),
      y: PlotScale(.logarithmic, covering: points.map(\.y)).rounded())
    frame.drawYAxis(in: &svg, ticks: 5, format: yFormat)
    for curve in curves {
      let drawn = curve.points.filter { $0.x > 0 && $0.y > 0 }
      svg.polyline(drawn.map { (frame.x.position($0.x), frame.y.position($0.y)) }, class: "l\(curve.series)")
    }
    frame.drawXAxis(in: &svg, ticks: width == .wide ? 10 : 5, title: xAxis)
    return svg
  }
}
