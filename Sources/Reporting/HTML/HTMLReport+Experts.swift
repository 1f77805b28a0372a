extension ReportPage {
  var experts: String {
    guard let experts = report.experts else { return "" }
    var table = HTMLTable("Experts that tokens are sent to", first: "", ["count"])
    for (name, count) in experts.rows { table.row(name.prefix(1).uppercased() + name.dropFirst(), [count]) }
    return HTML.section("Experts", id: "experts", table.html)
  }
}
