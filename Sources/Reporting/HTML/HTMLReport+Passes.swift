extension ReportPage {
  /// What every stage of a recipe left.
  var passes: String {
    guard let passes = report.passes, !passes.isEmpty else { return "" }
    var table = HTMLTable("Each against the source", first: "After", CompressionReport.PassResult.titles)
    for pass in passes { table.row(pass.name, pass.figures) }
    return HTML.section("Pass by pass", id: "passes", table.html)
  }
}
