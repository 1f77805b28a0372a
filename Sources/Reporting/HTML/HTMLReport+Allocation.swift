extension ReportPage {
  /// The bits that were chosen, and what was predicted and measured of them.
  var allocation: String {
    guard let allocation = report.allocation else { return "" }
    var body = HTML.paragraph(HTML.typographic(allocation.sentence + "."))
    if allocation.rounds.count > 1 {
      var table = HTMLTable("Choices that were quantized and measured", first: "", ["bits per weight", "predicted KL", "measured KL"])
      for (index, round) in allocation.rounds.prefix(20).enumerated() {
        table.row(
          "\(index + 1)\(round.isKept == true ? " (kept)" : "")",
          [round.bitsPerWeight.map { NumberText.fixed($0, 4) } ?? ""]
            + [round.predictedKL, round.measuredKL].map { $0.map(NumberText.nats) ?? "" })
      }
      body += table.html
    }
    var table = HTMLTable("Layers that share their bits", first: "Layers", ["bits", "group", "bytes", "predicted KL"])
    for group in allocation.groups {
      table.row(
        group.name,
        [
          group.bits.map(String.init) ?? "", group.groupText, group.bytes.map { NumberText.grouped($0) } ?? "",
          group.predictedKL.map(NumberText.nats) ?? "",
        ])
    }
    if !table.rows.isEmpty { body += table.html }
    return HTML.section("Bits chosen for \(allocation.title)", id: "allocation", body)
  }
}
