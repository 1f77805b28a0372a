extension ReportPage {
  /// What was left of each dimension.
  var pruning: String {
    guard let pruning = report.pruning else { return "" }
    var table = HTMLTable("What is left", first: "Block", ["kind", "units", "kept", "error", "repaired"])
    for dimension in pruning.dimensions {
      table.row(
        dimension.name,
        [
          dimension.kind, dimension.units.map { NumberText.grouped($0) } ?? "", dimension.kept.map { NumberText.grouped($0) } ?? "",
          dimension.errorBefore.map { NumberText.percent($0, 2) } ?? "", dimension.errorAfter.map { NumberText.percent($0, 2) } ?? "",
        ])
    }
    return HTML.section(
      "Pruned", id: "pruning", HTML.paragraph(HTML.typographic(pruning.sentence + ".")) + (table.rows.isEmpty ? "" : table.html) + scan)
  }
}
