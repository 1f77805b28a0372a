extension ComparisonPage {
  /// Points beyond this many would lie on each other.
  private static let pointLimit = 60

  /// Size against divergence, by bytes and by bits per weight.
  var pareto: String {
    let drawings = ReportComparison.Measure.allCases.map { pareto(by: $0) }.joined()
    guard !drawings.isEmpty else { return "" }
    var table = HTMLTable(
      "Sizes against accuracy", first: "Report", ["size", "bits/w", "mean KL", "by bytes", "by bits per weight"],
      text: ["by bytes", "by bits per weight"])
    let verdicts = ReportComparison.Measure.allCases.map { comparison.dominators(by: $0) }
    for index in comparability.compared {
      let cells = ComparisonFigures(reports[index])
      table.row(name(index), [cells.size, cells.bits, cells.meanKL] + verdicts.map { Self.verdict($0[index]) })
    }
    return HTML.section("Size against accuracy", id: "pareto", drawings + HTML.details("As a table: size against accuracy", table.html))
  }

  private static func verdict(_ dominator: Int??) -> String {
    guard let found = dominator else { return "" }
    return found.map { "beaten by #\($0 + 1)" } ?? "on the front"
  }

  private func pareto(by measure: ReportComparison.Measure) -> String {
    let dominators = comparison.dominators(by: measure)
    // A divergence of zero has no place on a logarithmic axis.
    let points = comparison.points(by: measure).filter { $0.divergence > 0 }.prefix(Self.pointLimit).map { point in
      ParetoPlot.Point(
        number: point.index + 1, name: comparison.labels[point.index], x: point.size, y: point.divergence, series: series(point.index),
        isBeaten: (dominators[point.index] ?? nil) != nil)
    }
    guard points.count > 1 else { return "" }
    let front = points.filter { !$0.isBeaten }.sorted { $0.x < $1.x }.map { "#\($0.number)" }.joined(separator: ", ")
    let isBytes = measure == .bytes
    let plot = ParetoPlot(
      title: isBytes ? "Size against mean KL divergence" : "Bits per weight against mean KL divergence",
      summary: "No other report beats these on both: \(front).", points: Array(points),
      xAxis: isBytes ? "size on disk" : "bits per weight, everything counted", yAxis: "mean KL divergence, nats per token",
      xFormat: isBytes ? { NumberText.bytesTick($0.value) } : { $0.label })
    var caption = isBytes ? "Bytes of the weight files." : "Bits of all stored tensors over all weights."
    caption += " Down and to the left is better. The dashed line joins the filled points, which no other report beats on both axes: "
    caption += "\(front). A ring is beaten on both. Numbers as in the table above; both axes are logarithmic."
    if points.count < reports.count { caption += " Reports without both figures, apart, or with a divergence of zero, are left out." }
    return "<h3>By \(isBytes ? "bytes" : "bits per weight")</h3>\n"
      + plot.figure(id: isBytes ? "p-pareto" : "p-pareto-bits", caption: HTML.escape(caption))
  }
}

extension NumberText {
  /// A size at a round tick: `5 MB`.
  static func bytesTick(_ value: Double) -> String {
    guard value.isFinite, value < 9e18, value >= 0 else { return absent }
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    var value = value
    var index = 0
    while value >= 999.5, index + 1 < units.count {
      value /= 1000
      index += 1
    }
    return "\(trimmed(value, 3)) \(units[index])"
  }
}
