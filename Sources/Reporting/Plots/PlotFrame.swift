/// The area inside the axes and the axes themselves.
struct PlotFrame {
  var left: Double
  var top: Double
  var right: Double
  var bottom: Double
  var x: PlotScale
  var y: PlotScale

  /// Places both scales into the rectangle, y growing upward.
  init(left: Double, top: Double, right: Double, bottom: Double, x: PlotScale, y: PlotScale) {
    (self.left, self.top, self.right, self.bottom) = (left, top, right, bottom)
    self.x = x
    self.y = y
    (self.x.start, self.x.end) = (left, right)
    (self.y.start, self.y.end) = (bottom, top)
  }

  /// Lines across at the y ticks, with their labels unless a neighbour shows them.
  func drawYAxis(in svg: inout SVG, ticks: Int, labels: Bool = true, format: (PlotScale.Tick) -> String = { $0.label }) {
    for tick in y.ticks(ticks) {
      let position = y.position(tick.value)
      svg.line(left, position, right, position, class: "g")
      if labels { svg.text(HTML.typographic(format(tick)), left - 6, position + 4, .end, class: "tk") }
    }
  }

  /// The base line, tick marks and labels; labels that would touch the one before are left out. Where `isCount`, what lies between whole
  /// numbers has none: there is no block 0.5.
  func drawXAxis(
    in svg: inout SVG, ticks: Int, title: String = "", isCount: Bool = false, format: (PlotScale.Tick) -> String = { $0.label }
  ) {
    svg.line(left, bottom, right, bottom, class: "ax")
    var taken = -Double.infinity
    for tick in x.ticks(ticks) {
      let position = x.position(tick.value)
      if isCount, tick.value.rounded() != tick.value { continue }
      svg.line(position, bottom, position, bottom + 4, class: "ax")
      let label = HTML.typographic(isCount ? NumberText.fixed(tick.value, 0) : format(tick))
      let half = SVG.textWidth(label, size: 11) / 2
      guard position - half > taken + 4 else { continue }
      svg.text(label, position, bottom + 17, .middle, class: "tk")
      taken = position + half
    }
    if !title.isEmpty { svg.text(title, (left + right) / 2, bottom + 34, .middle, class: "lb") }
  }
}

/// Names beside samples of their colour, wrapped to the width.
struct PlotLegend {
  /// How a series is drawn.
  enum Sample { case dot, ring, square, bar, line, stroke }

  struct Entry {
    var name: String
    /// Number of the series colour, from 1.
    var series: Int
    var sample: Sample
  }

  var entries: [Entry]

  /// Draws from `top` down and returns where it ends.
  func draw(in svg: inout SVG, left: Double, top: Double) -> Double {
    var x = left
    var y = top
    for entry in entries {
      let indent = entry.sample == .line ? 30.0 : 22
      let name = SVG.fitted(entry.name, width: svg.width - left - indent - 8)
      let width = indent + SVG.textWidth(name)
      if x > left, x + width > svg.width {
        x = left
        y += 20
      }
      switch entry.sample {
      case .dot: svg.circle(x + 7, y + 8, radius: 4, class: "f\(entry.series)")
      case .ring: svg.circle(x + 7, y + 8, radius: 3.5, class: "r\(entry.series)")
      case .square: svg.segments([(x + 7, y + 8, y + 8)], class: "d\(entry.series)")
      case .bar: svg.rectangle(x, y + 3, 14, 10, radius: 2, class: "f\(entry.series)")
      case .stroke: svg.segments([(x + 7, y + 2, y + 14)], class: "l\(entry.series)")
      case .line: svg.line(x, y + 8, x + 24, y + 8, class: "l\(entry.series)")
      }
      svg.text(name, x + indent, y + 12, class: "tx")
      x += width + 16
    }
    return y + 20
  }
}
