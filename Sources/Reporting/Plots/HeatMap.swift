/// Panels of coloured cells: a row for each report, a column for each place in the model. Darker means less signal left.
struct HeatMap: Plot {
  typealias Cell = (column: Double, value: Double)

  struct Panel {
    var name: String
    /// Values by row, then by column position; the lowest of those that share a cell is shown.
    var rows: [[Cell]]
  }

  var title: String
  var summary: String
  var panels: [Panel]
  var rowNames: [String]
  var xAxis: String
  var unit: String

  static let shades = 7
  private static let columns = 64
  /// Of all panels, to bound the drawing.
  private static let cells = 4000

  func draw(width: PlotWidth) -> SVG {
    var svg = SVG(width: width.rawValue, height: 0)
    let values = panels.flatMap { $0.rows.flatMap { $0.map(\.value) } }
    let places = panels.flatMap { $0.rows.flatMap { $0.map(\.column) } }
    let colour = PlotScale(.linear, covering: values)
    var y = drawKey(colour, in: &svg)
    let perRow = min(width == .wide ? 2 : 1, max(1, panels.count))
    let margin = 22.0
    let gap = 20.0
    let panelWidth = (svg.width - gap * Double(perRow - 1)) / Double(perRow) - margin
    let rowHeight = 14.0
    let panelHeight = Double(rowNames.count) * (rowHeight + 2)
    let low = places.min() ?? 0
    let high = places.max() ?? 0
    let columns = min(Self.columns, max(8, Self.cells / max(1, panels.count * rowNames.count)))
    let count = min(Double(columns), high - low + 1)
    for (index, panel) in panels.enumerated() {
      let left = margin + Double(index % perRow) * (panelWidth + margin + gap)
      if index > 0, index % perRow == 0 { y += panelHeight + 46 }
      svg.text(SVG.fitted(panel.name, width: panelWidth), left, y + 12, class: "tx b")
      let top = y + 20
      var shades = [[(x: Double, y: Double, width: Double, height: Double)]](repeating: [], count: Self.shades)
      let cellWidth = panelWidth / count
      for (row, cells) in panel.rows.enumerated() {
        let cellTop = top + Double(row) * (rowHeight + 2)
        svg.text(rowNames[row], left - 6, cellTop + 11, .end, class: "tk")
        var lowest: [Int: Double] = [:]
        for cell in cells {
          let column = Int(min(count - 1, (cell.column - low) / (high - low + 1) * count))
          lowest[column] = min(lowest[column] ?? .infinity, cell.value)
        }
        for (column, value) in lowest.sorted(by: { $0.key < $1.key }) {
          shades[Self.shade(value, colour)].append((left + Double(column) * cellWidth, cellTop, max(1, cellWidth - 1), rowHeight))
        }
      }
      for (shade, cells) in shades.enumerated() { svg.cells(cells, class: "c\(shade)") }
      let scale = PlotScale(.linear, covering: [low, high])
      let axis = PlotFrame(
        left: left + cellWidth / 2, top: top, right: left + panelWidth - cellWidth / 2, bottom: top + panelHeight, x: scale,
        y: PlotScale(.linear, covering: [0, 1]))
      if high > low { axis.drawXAxis(in: &svg, ticks: 5, isCount: true) }
    }
    svg.height = y + panelHeight + 62
    svg.text(xAxis, svg.width / 2, svg.height - 4, .middle, class: "lb")
    return svg
  }

  /// 0 for the highest values, up to `shades - 1` for the lowest.
  private static func shade(_ value: Double, _ scale: PlotScale) -> Int {
    min(shades - 1, max(0, Int((1 - scale.position(value)) * Double(shades))))
  }

  /// Samples of the shades between the figures of both ends; returns where it ends.
  private func drawKey(_ scale: PlotScale, in svg: inout SVG) -> Double {
    let best = HTML.typographic("\(NumberText.fixed(scale.domain.upperBound, 1)) \(unit)")
    let worst = HTML.typographic("\(NumberText.fixed(scale.domain.lowerBound, 1)) \(unit)")
    var x = 0.0
    svg.text(worst, x, 13, class: "tx")
    x += SVG.textWidth(worst) + 6
    for shade in (0..<Self.shades).reversed() {
      svg.rectangle(x, 3, 18, 12, class: "c\(shade)")
      x += 19
    }
    svg.text(best, x + 6, 13, class: "tx")
    return 28
  }
}
