extension ReportPage {
  var calibration: String {
    guard let calibration = report.calibration else { return "" }
    var body = HTML.paragraph(calibration.sentence + ".")
    if !calibration.tierLosses.isEmpty {
      let losses = calibration.tierLosses.prefix(20).map { NumberText.fixed($0, 2) }.joined(separator: ", ")
      body += HTML.paragraph("Mean loss of the tiers that windows were drawn from, nats per token: \(losses).")
    }
    if !calibration.trials.isEmpty {
      let best = calibration.best
      var table = HTMLTable(
        "Methods tried on a part of the text, measured on another part", first: "Method", ["mean KL", "seconds", ""], text: [""])
      for trial in calibration.trials.prefix(20) {
        let figures = [
          trial.klDivergence.map(NumberText.nats) ?? NumberText.absent,
          trial.seconds.map { NumberText.fixed($0, 1) } ?? NumberText.absent,
        ]
        table.row(trial.algorithm, figures + [trial.algorithm == best ? "kept" : ""])
      }
      body += table.html
    }
    return HTML.section("Calibration", id: "calibration", body)
  }
}
