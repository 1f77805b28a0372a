extension ReportPage {
  /// What removing a share of each kind alone costs.
  var scan: String {
    guard let scan = report.pruning?.scan, scan.count > 1 else { return "" }
    var kinds: [String] = []
    for point in scan where !kinds.contains(point.kind) { kinds.append(point.kind) }
    let curves = kinds.enumerated().map { index, kind in
      CurvePlot.Curve(
        name: kind, points: scan.filter { $0.kind == kind }.compactMap { point in point.klDivergence.map { (point.ratio, $0) } },
        series: index + 1)
    }
    let plot = CurvePlot(
      title: "What pruning one kind alone costs", summary: "Mean KL divergence by the share that is removed, for each kind of dimension.",
      curves: curves, xAxis: "share removed", yAxis: "mean KL, nats per token")
    var table = HTMLTable("Each kind alone, without repair", first: "Kind", ["share", "parameters", "KL, nats"])
    for point in scan {
      table.row(
        point.kind,
        [
          NumberText.percent(point.ratio, 0), point.parameters.map { NumberText.grouped($0) } ?? "",
          point.klDivergence.map(NumberText.nats) ?? "",
        ])
    }
    return plot.figure(id: "scan", caption: HTML.escape("Without repair; both axes are logarithmic.")) + table.html
  }
}
