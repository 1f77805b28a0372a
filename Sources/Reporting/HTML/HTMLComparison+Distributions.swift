extension ComparisonPage {
  /// Curves beyond this many cannot be told apart.
  private static let curveLimit = 6
  private static let rowLimit = 24

  /// How the divergence of single predictions is distributed, one report over the other.
  var distributions: String {
    let body = curves + quantiles
    return body.isEmpty ? "" : HTML.section("KL divergence of single predictions", id: "divergence", body)
  }

  private var curves: String {
    let curves = comparability.compared.compactMap { index -> CurvePlot.Curve? in
      guard let histogram = reports[index].accuracy?.klHistogram else { return nil }
      let points = Self.exceedance(histogram)
      return points.count < 2 ? nil : .init(name: "\(index + 1). \(comparison.labels[index])", points: points, series: series(index))
    }
    guard curves.count > 1 else { return "" }
    let shown = Array(curves.prefix(Self.curveLimit))
    let plot = CurvePlot(
      title: "Share of tokens above a KL divergence",
      summary: "\(shown.count) curves; the lower a curve, the closer to the reference. The table of quantiles has the figures.",
      curves: shown, xAxis: "KL divergence, nats per token", yAxis: "share of tokens above",
      yFormat: { NumberText.plain($0.value * 100) + " %" })
    var caption = "How many tokens moved further than a given divergence; lower is better. The right end is the tail that means hide. "
    caption += "Each curve ends at its last bin; both axes are logarithmic."
    if curves.count > shown.count { caption += " Only the first \(shown.count) reports have a curve; all have a row below." }
    return plot.figure(id: "p-curves", caption: HTML.escape(caption))
  }

  private var quantiles: String {
    let measured = comparability.compared.compactMap { index in
      reports[index].accuracy?.klDivergence.map { (index: index, figures: $0) }
    }
    guard measured.count > 1 else { return "" }
    var table = HTMLTable("KL divergence, nats per token", first: "Report", ["mean", "median", "95 %", "99 %", "99.9 %", "max"])
    for (index, figures) in measured {
      let values = [figures.mean, figures.median, figures.p95, figures.p99, figures.p999, figures.max]
      table.row(name(index), values.map { $0.map(NumberText.nats) ?? NumberText.absent })
    }
    let rows = measured.prefix(Self.rowLimit).map { index, figures in
      QuantilePlot.Row(
        name: "\(index + 1). \(comparison.labels[index])", mean: figures.mean,
        quantiles: [figures.median, figures.p95, figures.p99, figures.p999].compactMap { $0 }, maximum: figures.max)
    }
    let plot = QuantilePlot(
      title: "Mean and quantiles of the KL divergence by report",
      summary: "\(rows.count) rows; further left is closer to the reference. The table of quantiles has the figures.", rows: Array(rows),
      axis: "KL divergence, nats per token")
    var caption = "The dot is the mean, the strokes are the median and the quantiles at 95, 99 and 99.9 %, the ring is the largest."
    if measured.count > rows.count { caption += " Only the first \(rows.count) are drawn." }
    return plot.figure(id: "p-quantiles", caption: HTML.escape(HTML.typographic(caption))) + table.html
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
}
