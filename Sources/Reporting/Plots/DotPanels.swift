/// Small panels side by side on common axes, each with the same series of dots: values against position in the model.
///
/// A place that holds more than three values (the experts of a block) shows their median and range.
struct DotPanels: Plot {
  struct Point {
    var x: Double
    var y: Double
    var tip: String
  }

  struct Panel {
    var name: String
    /// The points of each series.
    var series: [[Point]]
  }

  var title: String
  var summary: String
  var panels: [Panel]
  var series: [String]
  var xAxis: String
  var yAxis: String
  /// Whether each dot names itself to the pointer; worth its bytes for small models only.
  var hasTips: Bool

  /// Into how many columns crowded points are gathered: as many as a panel can show, fewer when there are many panels.
  private var columns: Int { min(96, max(24, 700 / max(1, panels.count))) }

  /// Whether a place in some panel shows the range of several points instead of each.
  var isAggregated: Bool { panels.contains { $0.series.contains { gather($0).contains { $0.count > 3 } } } }

  func draw(width: PlotWidth) -> SVG {
    let perRow = min(width == .wide ? 4 : 2, max(1, panels.count))
    let rows = (panels.count + perRow - 1) / perRow
    var svg = SVG(width: width.rawValue, height: 0)
    let tips = hasTips && width == .wide
    let samples: [PlotLegend.Sample] = [.dot, tips ? .ring : .square]
    let entries = series.enumerated().map { PlotLegend.Entry(name: $1, series: $0 + 1, sample: samples[$0 % 2]) }
    var top = PlotLegend(entries: entries).draw(in: &svg, left: 0, top: 0)
    svg.text(yAxis, 0, top + 14, class: "lb")
    top += 22
    let points = panels.flatMap { $0.series.flatMap { $0 } }
    let x = PlotScale(.linear, covering: points.map(\.x))
    let y = PlotScale(.linear, covering: points.map(\.y)).rounded(ticks: 4)
    let margin = 30.0
    let gap = 14.0
    let panelWidth = (svg.width - margin - gap * Double(perRow - 1) - 6) / Double(perRow)
    let panelHeight = width == .wide ? 120.0 : 104.0
    for (index, panel) in panels.enumerated() {
      let column = index % perRow
      let left = margin + Double(column) * (panelWidth + gap)
      let panelTop = top + Double(index / perRow) * (panelHeight + 50) + 18
      var frame = PlotFrame(left: left, top: panelTop, right: left + panelWidth, bottom: panelTop + panelHeight, x: x, y: y)
      // Room for half a dot, so that the first and last do not hang over the edge.
      (frame.x.start, frame.x.end) = (frame.left + 6, frame.right - 6)
      svg.text(SVG.fitted(panel.name, width: panelWidth), left, panelTop - 7, class: "tx b")
      frame.drawYAxis(in: &svg, ticks: 4, labels: column == 0)
      draw(panel, in: &svg, frame: frame, tips: tips)
      frame.drawXAxis(in: &svg, ticks: 4, isCount: true)
    }
    svg.height = top + Double(rows) * (panelHeight + 50) + 10
    svg.text(xAxis, margin + (svg.width - margin) / 2, svg.height - 6, .middle, class: "lb")
    return svg
  }

  private func draw(_ panel: Panel, in svg: inout SVG, frame: PlotFrame, tips: Bool) {
    let scale = frame.x
    for (index, points) in panel.series.enumerated() {
      let name = index == 0 ? "f1" : "r\(index + 1)"
      var dots: [(x: Double, from: Double, to: Double)] = []
      var ranges: [(x: Double, from: Double, to: Double)] = []
      for sorted in gather(points) {
        guard let low = sorted.first, let high = sorted.last else { continue }
        if sorted.count > 3 {
          let position = scale.position(low.x)
          ranges.append((position, frame.y.position(low.y), frame.y.position(high.y)))
          let median = frame.y.position(sorted[sorted.count / 2].y)
          dots.append((position, median, median))
        } else if tips {
          for point in sorted {
            svg.circle(scale.position(point.x), frame.y.position(point.y), radius: index == 0 ? 3.5 : 3, class: name, tip: point.tip)
          }
        } else {
          for point in sorted { dots.append((scale.position(point.x), frame.y.position(point.y), frame.y.position(point.y))) }
        }
      }
      svg.segments(ranges, class: "w\(index + 1)")
      svg.segments(dots, class: "d\(index + 1)")
    }
  }

  /// The points by place from left to right, each place sorted by value. A few points are placed exactly, many by column.
  private func gather(_ points: [Point]) -> [[Point]] {
    let low = points.map(\.x).min() ?? 0
    let width = (points.map(\.x).max() ?? 0) - low
    let isCrowded = Double(points.count) > 1.6 * Double(columns)
    let places = Dictionary(grouping: points) { point in
      isCrowded && width > 0 ? ((point.x - low) / width * Double(columns)).rounded(.down) : point.x
    }
    return places.sorted { $0.key < $1.key }.map { place in place.value.sorted { $0.y < $1.y } }
  }
}
