extension ReportTable {
  /// Which modules gave way to which.
  var replacement: Section? {
    guard let replacement = report.replacement, !replacement.modules.isEmpty else { return nil }
    var section = Section(title: "Replaced")
    var table = TextTable([.left, .left, .left])
    table.header("module", "before", "now")
    for module in replacement.modules { table.row(.init(module.kind), .init(module.before), .init(module.after)) }
    section.add(table)
    return section
  }
}
