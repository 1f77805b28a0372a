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
    let steps = points.filter { !$0.isBeaten }.sorted { ($0.x, -$0.y) < ($1.x, -$1.y) }.map {
      (x: frame.x.position($0.x), y: frame.y.position($0.y))
    }
    var path: [(x: Double, y: Double)] = []
    for step in steps {
      if let last = path.last { path.append((step.x, last.y)) }
      path.append(step)
    }
    svg.polyline(path, class: "mk")
    var taken = points.map { Box(x: frame.x.position($0.x) - 7, y: frame.y.position($0.y) - 7, width: 14, height: 14) }
    for (from, to) in zip(path, path.dropFirst()) {
      taken.append(Box(x: min(from.x, to.x), y: min(from.y, to.y), width: abs(to.x - from.x), height: abs(to.y - from.y)))
    }
    for point in points {
      let (px, py) = (frame.x.position(point.x), frame.y.position(point.y))
      svg.circle(px, py, radius: 5.5, class: (point.isBeaten ? "r" : "f") + String(point.series), tip: "\(point.number). \(point.name)")
    }
    for point in points {
      let place = (frame.x.position(point.x), frame.y.position(point.y))
      let number = String(point.number)
      let name = "\(number) \(TerminalText.elided(point.name, to: 40))"
      // Where there is no room for the name, the number leads to the table.
      if width == .wide, label(name, at: place, frame: frame, taken: &taken, in: &svg) { continue }
      _ = label(number, at: place, frame: frame, taken: &taken, in: &svg)
    }
    return svg
  }

  private struct Box {
    var x, y, width, height: Double

    func overlaps(_ other: Box) -> Bool {
      x <= other.x + other.width && other.x <= x + width && y <= other.y + other.height && other.y <= y + height
    }
  }

  /// Puts the words beside the point where nothing else is; false when there is no such place.
  private func label(
    _ text: String, at point: (x: Double, y: Double), frame: PlotFrame, taken: inout [Box], in svg: inout SVG
  ) -> Bool {
    let width = SVG.textWidth(text)
    let places: [(SVG.Anchor, Double, Double)] = [
      (.start, 10, -8), (.end, -10, -8), (.middle, 0, -24), (.middle, 0, 9), (.start, 9, -20), (.start, 9, 5), (.end, -9, -20),
      (.end, -9, 5),
    ]
    for (anchor, dx, dy) in places {
      let x = point.x + dx - (anchor == .start ? 0 : anchor == .end ? width : width / 2)
      let y = point.y + dy
      let box = Box(x: x, y: y, width: width, height: 16)
      let isInside = x >= frame.left && x + width <= frame.right + 10 && y >= frame.top - 8 && y + 16 <= frame.bottom
      guard isInside, !taken.contains(where: box.overlaps) else { continue }
      taken.append(box)
      svg.text(text, point.x + dx, y + 12, anchor, class: "tx h")
      return true
    }
    return false
  }
}
