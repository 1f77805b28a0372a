extension ReportTable {
  /// The text that passes were calibrated on, and the methods that were tried.
  var calibration: Section? {
    guard let calibration = report.calibration else { return nil }
    var section = Section(title: "Calibration")
    section.add(paragraph: calibration.sentence)
    guard !calibration.trials.isEmpty else { return section }
    let best = calibration.best
    var table = TextTable([.left, .right, .right, .left])
    table.header("tried", "mean KL", "seconds", "")
    for trial in calibration.trials.prefix(20) {
      table.row(
        .init(TerminalText.elided(TerminalText.sanitized(trial.algorithm), to: 24)),
        .init(trial.klDivergence.map(NumberText.nats) ?? NumberText.absent),
        .init(trial.seconds.map { NumberText.fixed($0, 1) } ?? NumberText.absent), .init(trial.algorithm == best ? "kept" : ""))
    }
    section.add(table)
    return section
  }
}

extension CompressionReport.Calibration {
  /// `256 windows, 65,536 tokens of train.txt (random)` and what was dropped.
  var sentence: String {
    let text = TerminalText.elided(TerminalText.sanitized(text), to: 40)
    let sampling = TerminalText.elided(TerminalText.sanitized(sampling), to: 20)
    var sentence = "\(NumberText.grouped(windows)) windows, \(NumberText.grouped(tokens)) tokens of \(text) (\(sampling))"
    let dropped = exactDuplicates + nearDuplicates
    if dropped > 0 {
      sentence += "; \(NumberText.grouped(exactDuplicates)) equal and \(NumberText.grouped(nearDuplicates)) nearly equal ones dropped"
    }
    return sentence
  }

  /// The algorithm with the smallest divergence.
  var best: String? {
    trials.min { ($0.klDivergence ?? .infinity) < ($1.klDivergence ?? .infinity) }?.algorithm
  }
}
