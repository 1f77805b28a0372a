extension ReportTable {
  /// What was left of each dimension.
  var pruning: Section? {
    guard let pruning = report.pruning else { return nil }
    var section = Section(title: "Pruned")
    var table = TextTable([.left, .left, .right, .right, .right, .right])
    table.header("block", "kind", "units", "kept", "error", "repaired")
    for dimension in pruning.dimensions {
      table.row(
        .init(dimension.name), .init(dimension.kind), .init(dimension.units.map { NumberText.grouped($0) } ?? ""),
        .init(dimension.kept.map { NumberText.grouped($0) } ?? ""), .init(dimension.errorBefore.map { NumberText.percent($0, 2) } ?? ""),
        .init(dimension.errorAfter.map { NumberText.percent($0, 2) } ?? ""))
    }
    section.add(table)
    section.add(paragraph: pruning.sentence)
    if let scan = pruning.scan, !scan.isEmpty {
      var table = TextTable([.left, .right, .right, .right])
      table.header("alone, unrepaired", "share", "parameters", "KL, nats")
      for point in scan {
        table.row(
          .init(point.kind), .init(NumberText.percent(point.ratio, 0)), .init(point.parameters.map { NumberText.grouped($0) } ?? ""),
          .init(point.klDivergence.map(NumberText.nats) ?? ""))
      }
      section.add(table)
    }
    return section
  }
}
