/// Numbered points over two logarithmic axes where less is better on both, and the line of those that no other beats.
struct ParetoPlot: Plot {
  struct Point {
    /// The number it has in the table.
    var number: Int
    var name: String
    var x: Double
    var y: Double
    var series: Int
    /// Whether another point is at least as good on both axes.
    var isBeaten: Bool
  }

  var title: String
  var summary: String
  var points: [Point]
  var xAxis: String
  var yAxis: String
  var xFormat: (PlotScale.Tick) -> String

  func draw(width: PlotWidth) -> SVG {
    var svg = SVG(width: width.rawValue, height: width == .wide ? 400 : 320)
    let legend = PlotLegend(entries: [
      .init(name: "no other beats it", series: 0, sample: .dot), .init(name: "beaten on both", series: 0, sample: .ring),
    ])
    let top = points.contains(where: \.isBeaten) ? legend.draw(in: &svg, left: 0, top: 0) + 4 : 0
    svg.height += top
    svg.text(yAxis, 0, top + 14, class: "lb")
    // A little more than the points need, so that their labels stay inside.
    let x = PlotScale(.logarithmic, covering: points.flatMap { [$0.x / 1.12, $0.x * 1.12] })
    let y = PlotScale(.logarithmic, covering: points.flatMap { [$0.y / 1.3, $0.y * 1.3] })
    let frame = PlotFrame(left: 52, top: top + 28, right: svg.width - 12, bottom: svg.height - 44, x: x, y: y)
    frame.drawYAxis(in: &svg, ticks: 6)
    frame.drawXAxis(in: &svg, ticks: width == .wide ? 8 : 4, title: xAxis, format: xFormat)
    let steps = points.filter { !$0.isBeaten }.sorted { ($0.x, $1.y) < ($1.x, $0.y) }.map {
      (x: frame.x.position($0.x), y: frame.y.position($0.y))
    }
    var path: [(x: Double, y: Double)] = []
    for step in steps {
      if let last = path.last { path.append((step.x, last.y)) }
      path.append(step)
    }
    svg.polyline(path, class: "mk")
    var taken = points.map { Box(x: frame.x.position($0.x) - 11, y: frame.y.position($0.y) - 11, width: 22, height: 22) }
    for (from, to) in zip(path, path.dropFirst()) {
      taken.append(Box(x: min(from.x, to.x), y: min(from.y, to.y), width: abs(to.x - from.x), height: abs(to.y - from.y)))
    }
    for point in points {
      let (px, py) = (frame.x.position(point.x), frame.y.position(point.y))
      svg.circle(px, py, radius: 10, class: (point.isBeaten ? "r" : "f") + String(point.series), tip: point.name)
      svg.text(String(point.number), px, py + 4, .middle, class: point.isBeaten ? "no" : "nm")
      guard width == .wide else { continue }
      label(point.name, at: (px, py), frame: frame, taken: &taken, in: &svg)
    }
    return svg
  }

  private struct Box {
    var x, y, width, height: Double

    func overlaps(_ other: Box) -> Bool {
      x <= other.x + other.width && other.x <= x + width && y <= other.y + other.height && other.y <= y + height
    }
  }

  /// Puts the name where nothing else is, or nowhere: the number leads to the table.
  private func label(_ name: String, at point: (x: Double, y: Double), frame: PlotFrame, taken: inout [Box], in svg: inout SVG) {
    let text = TerminalText.elided(name, to: 40)
    let width = SVG.textWidth(text)
    let places: [(SVG.Anchor, Double, Double)] = [
      (.start, 15, -8), (.end, -15, -8), (.middle, 0, -30), (.middle, 0, 13), (.start, 12, -24), (.start, 12, 8), (.end, -12, -24),
      (.end, -12, 8),
    ]
    for (anchor, dx, dy) in places {
      let x = point.x + dx - (anchor == .start ? 0 : anchor == .end ? width : width / 2)
      let y = point.y + dy
      let box = Box(x: x, y: y, width: width, height: 16)
      let isInside = x >= frame.left && x + width <= frame.right + 10 && y >= frame.top - 8 && y + 16 <= frame.bottom
      guard isInside, !taken.contains(where: box.overlaps) else { continue }
      taken.append(box)
      svg.text(text, point.x + dx, y + 12, anchor, class: "tx h")
      return
    }
  }
}
