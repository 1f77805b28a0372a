import Foundation

extension ComparisonPage {
  /// Curves beyond this many cannot be told apart by colour.
  private static let curveLimit = 6

  var pareto: String {
    guard comparability.isComparable else { return "" }
    let points = reports.indices.prefix(60).compactMap { index -> ParetoPlot.Point? in
      guard let bytes = reports[index].size?.outputBytes, bytes > 0, let mean = reports[index].accuracy?.klDivergence?.mean, mean > 0,
        mean.isFinite
      else { return nil }
      return .init(number: index + 1, name: labels[index], x: Double(bytes), y: mean, series: series(index))
    }
    guard points.count > 1 else { return "" }
    let best = ParetoPlot.frontier(points).map { "#\($0.number)" }.joined(separator: ", ")
    let plot = ParetoPlot(
      title: "Size against mean KL divergence", summary: "No other report beats these on both: \(best).", points: points,
      xAxis: "size on disk", yAxis: "mean KL divergence, nats per token", xFormat: { NumberText.bytesTick($0.value) })
    var caption = "Down and to the left is better. The dashed line joins the reports that no other beats on both axes: \(best). "
    caption += "Numbers as in the table above; both axes are logarithmic."
    if points.count < reports.count { caption += " Reports without both figures, or with a divergence of zero, are left out." }
    return HTML.section("Size against accuracy", id: "pareto", plot.figure(id: "p-pareto", caption: HTML.escape(caption)))
  }

  var curves: String {
    guard comparability.isComparable else { return "" }
    let curves = reports.indices.compactMap { index -> CurvePlot.Curve? in
      guard let histogram = reports[index].accuracy?.klHistogram else { return nil }
      let points = Self.exceedance(histogram)
      return points.count < 2 ? nil : .init(name: "\(index + 1). \(labels[index])", points: points, series: series(index))
    }
    guard curves.count > 1 else { return "" }
    let shown = Array(curves.prefix(Self.curveLimit))
    let plot = CurvePlot(
      title: "Share of tokens above a KL divergence", summary: "\(shown.count) curves; the lower a curve, the closer to the reference.",
      curves: shown, xAxis: "KL divergence, nats per token", yAxis: "share of tokens above",
      yFormat: { NumberText.plain($0.value * 100) + " %" })
    var caption = "How many tokens moved further than a given divergence; lower is better. The right end is the tail that means hide."
    if curves.count > shown.count { caption += " Only the first \(shown.count) reports are drawn." }
    return HTML.section("KL divergence", id: "divergence", plot.figure(id: "p-curves", caption: HTML.escape(caption)))
  }

  /// At each edge the share of values at or above it, down to where fewer than one in a thousand differ from all.
  static func exceedance(_ histogram: CompressionReport.Histogram) -> [(x: Double, y: Double)] {
    let total = histogram.total
    guard total > 0 else { return [] }
    var above = total
    var points: [(x: Double, y: Double)] = []
    for (edge, count) in zip(histogram.edges, histogram.counts) {
      // The flat part on the left says nothing: keep its last point only.
      if edge > 0, above > 0 {
        if points.count == 1, above / total > 0.999 { points.removeLast() }
        points.append((edge, above / total))
      }
      above -= Double(count)
    }
    return points
  }

  /// Tests against the first report, window by window.
  var paired: String {
    guard comparability.isComparable, reports.count > 1 else { return "" }
    let windows = reports.map { $0.accuracy?.windows }
    var table = HTMLTable(
      "Difference from report 1, 95 % intervals", first: "Report", ["perplexity", "interval", "mean KL", "interval", "verdict"],
      text: ["verdict"])
    for index in reports.indices.dropFirst() {
      let likelihood = PairedDifference(windows[index]?.negativeLogLikelihood, minus: windows[0]?.negativeLogLikelihood)
      let divergence = PairedDifference(windows[index]?.klDivergence, minus: windows[0]?.klDivergence)
      guard likelihood != nil || divergence != nil else { continue }
      table.row(
        "\(index + 1). \(labels[index])",
        [
          likelihood.map { NumberText.percentChange(exp($0.mean) - 1) } ?? "",
          likelihood.map {
            "\(NumberText.percentChange(exp($0.interval.lower) - 1)) to \(NumberText.percentChange(exp($0.interval.upper) - 1))"
          } ?? "",
          divergence.map { Self.signed($0.mean) } ?? "",
          divergence.map { "\(Self.signed($0.interval.lower)) to \(Self.signed($0.interval.upper))" } ?? "",
          Self.verdict(likelihood, divergence),
        ])
    }
    let body: String
    if table.rows.isEmpty {
      body = HTML.paragraph(
        "These reports hold no figures by window, so their differences cannot be tested pairwise; "
          + "overlapping intervals of single reports are no such test.")
    } else {
      let count = windows.compactMap { $0?.klDivergence?.count ?? $0?.negativeLogLikelihood?.count }.first ?? 0
      body =
        table.html
        + HTML.paragraph(
          "Paired over \(NumberText.grouped(count)) windows of the same text. Each interval stands for itself: with many reports, "
            + "expect one in twenty to leave out zero by chance.", class: "small muted")
    }
    return HTML.section("Is the difference real?", id: "paired", body)
  }

  private static func signed(_ value: Double) -> String { (value > 0 ? "+" : "") + NumberText.nats(value) }

  private static func verdict(_ likelihood: PairedDifference?, _ divergence: PairedDifference?) -> String {
    func word(_ difference: PairedDifference) -> String { !difference.differs ? "" : difference.mean > 0 ? "worse" : "better" }
    let words = [("perplexity", likelihood), ("KL", divergence)].compactMap { name, difference in
      difference.map(word).flatMap { $0.isEmpty ? nil : "\($0) in \(name)" }
    }
    return words.isEmpty ? "not told apart" : words.joined(separator: ", ")
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
