/// Losses over the steps of a training run: a line for the text that is trained on, dots and a line for evaluations.
struct LossPlot: Plot {
  var title: String
  var summary: String
  var training: [(x: Double, y: Double)]
  var evaluations: [(x: Double, y: Double)]
  /// The step that was kept.
  var kept: Double?

  private static let tableRows = 40

  /// The losses, evenly chosen ones where there are many; every evaluation that a table has room for.
  var table: HTMLTable {
    var table = HTMLTable("\(title), nats per token", first: "Step", ["training text", "held-out text"])
    let rows = Self.tableRows
    let chosen = training.count <= rows ? training : (0..<rows).map { training[$0 * (training.count - 1) / (rows - 1)] }
    let held = Dictionary(evaluations.suffix(200).map { ($0.x, $0.y) }) { $1 }
    let trained = Dictionary(chosen.map { ($0.x, $0.y) }) { $1 }
    for step in Set(held.keys).union(trained.keys).sorted() {
      let name = NumberText.fixed(step, 0) + (step == kept ? " (kept)" : "")
      table.row(name, [trained[step], held[step]].map { $0.map { NumberText.significant($0, 5) } ?? "" })
    }
    return table
  }

  func draw(width: PlotWidth) -> SVG {
    var svg = SVG(width: width.rawValue, height: 0)
    var entries = [PlotLegend.Entry(name: "training text", series: 2, sample: .line)]
    if !evaluations.isEmpty { entries.append(PlotLegend.Entry(name: "held-out text", series: 1, sample: .dot)) }
    var top = PlotLegend(entries: entries).draw(in: &svg, left: 0, top: 0)
    svg.text("loss, nats per token", 0, top + 14, class: "lb")
    top += 26
    svg.height = top + (width == .wide ? 260 : 210) + 44
    let points = training + evaluations
    let frame = PlotFrame(
      left: 52, top: top, right: svg.width - 10, bottom: svg.height - 44, x: PlotScale(.linear, covering: [0] + points.map(\.x)),
      y: PlotScale(.linear, covering: points.map(\.y)).rounded())
    frame.drawYAxis(in: &svg, ticks: 5)
    func place(_ point: (x: Double, y: Double)) -> (Double, Double) { (frame.x.position(point.x), frame.y.position(point.y)) }
    svg.polyline(training.map(place), class: "l2")
    svg.polyline(evaluations.map(place), class: "l1")
    for point in evaluations {
      let (x, y) = place(point)
      svg.circle(x, y, radius: point.x == kept ? 5 : 3, class: "f1", tip: "step \(Int(point.x)): \(NumberText.significant(point.y, 5))")
    }
    frame.drawXAxis(in: &svg, ticks: width == .wide ? 10 : 5, title: "step", isCount: true)
    return svg
  }
}
