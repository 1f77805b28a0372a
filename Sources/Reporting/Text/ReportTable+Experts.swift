extension ReportTable {
  /// What became of the experts of a mixture.
  var experts: Section? {
    guard let experts = report.experts else { return nil }
    var section = Section(title: "Experts")
    var table = TextTable([.left, .right])
    for (name, count) in experts.rows { table.row(.init(name), .init(count)) }
    section.add(table)
    return section
  }
}

extension CompressionReport.Experts {
  /// Every figure with what it counts.
  var rows: [(name: String, count: String)] {
    let figures: [(String, Int?)] = [
      ("experts, in \(layers) layers", experts), ("quantized", quantized), ("calibrated on tokens enough", calibrated),
      ("on too few, helped by their layer", scarce), ("reached by none, calibrated by their layer", unreached),
      ("tokens of the least visited", leastTokens), ("tokens of the one in the middle", medianTokens),
    ]
    return figures.compactMap { name, count in count.map { (name, NumberText.grouped($0)) } }
  }
}
