extension ReportPage {
  /// Which modules gave way to which.
  var replacement: String {
    guard let replacement = report.replacement, !replacement.modules.isEmpty else { return "" }
    var table = HTMLTable("Modules", first: "Module", ["before", "now"])
    for module in replacement.modules { table.row(module.kind, [module.before, module.after]) }
    return HTML.section("Replaced", id: "replacement", table.html)
  }
}
