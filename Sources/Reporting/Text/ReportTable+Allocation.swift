extension ReportTable {
  /// Groups listed on the terminal; report.json has all.
  private static let listedGroups = 200

  /// The bits that were chosen, and what was predicted and measured of them.
  var allocation: Section? {
    guard let allocation = report.allocation else { return nil }
    var section = Section(title: "Bits chosen for \(allocation.title)")
    var table = TextTable([.left, .right, .right, .right, .right])
    table.header("layers", "bits", "group", "bytes", "predicted KL")
    for group in allocation.groups.prefix(Self.listedGroups) {
      table.row(
        .init(group.name), .init(group.bits.map(String.init) ?? ""), .init(group.groupText),
        .init(group.bytes.map { NumberText.grouped($0) } ?? ""), .init(group.predictedKL.map(NumberText.nats) ?? ""))
    }
    section.add(table, spare: [2], least: 46)
    if allocation.groups.count > Self.listedGroups {
      section.add(paragraph: "… and \(allocation.groups.count - Self.listedGroups) more in report.json")
    }
    section.add(paragraph: allocation.sentence)
    return section
  }
}

extension CompressionReport.Allocation {
  /// `--target-bpw 4.25`.
  var title: String {
    "--" + TerminalText.elided(TerminalText.sanitized(goal), to: 20) + (limit.map { " " + NumberText.trimmed($0, 6) } ?? "")
  }

  /// What the table comes to.
  var sentence: String {
    var parts: [String] = []
    if let bitsPerWeight { parts.append("\(NumberText.fixed(bitsPerWeight, 4)) bits per quantized weight, scales included") }
    if let predictedKL { parts.append("KL \(NumberText.nats(predictedKL)) predicted") }
    if let measuredKL {
      let text = heldOutTokens == nil ? "the calibration windows" : "calibration text that was held out"
      parts.append("\(NumberText.nats(measuredKL)) measured on \(text)")
    }
    if let gap, gap > 0 {
      let least = goal == "max-kl" ? "\(NumberText.trimmed(gap, 4)) bytes" : "KL \(NumberText.nats(gap))"
      parts.append("not searched exactly: up to \(least) above the least")
    }
    if rounds.count > 1 {
      let kept = rounds.firstIndex { $0.isKept == true }.map { ", number \($0 + 1) kept" } ?? ""
      parts.append("\(rounds.count) choices measured\(kept)")
    }
    if let seconds { parts.append("solved in \(NumberText.duration(seconds))") }
    return parts.joined(separator: "; ")
  }
}

extension CompressionReport.Allocation.Group {
  var groupText: String { groupSize.map { $0 == 0 ? "channel" : NumberText.grouped($0) } ?? "" }
}
