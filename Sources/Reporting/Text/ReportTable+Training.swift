import Foundation

extension ReportTable {
  /// What training came to.
  var training: Section? {
    guard let training = report.training else { return nil }
    var section = Section(title: "Training")
    if let (before, kept) = training.improvement {
      var table = TextTable([.left, .right, .right, .right])
      table.header("held-out text", "before", "after", "change")
      if training.loss == CompressionReport.Training.crossEntropy {
        table.row("loss, nats", .init(NumberText.significant(before.loss, 5)), .init(NumberText.significant(kept.loss, 5)), "")
        table.row(
          "perplexity", .init(NumberText.significant(exp(before.loss), 5)), .init(NumberText.significant(exp(kept.loss), 5)),
          .init(NumberText.percentChange(exp(kept.loss - before.loss) - 1)))
      } else {
        table.row(
          .init(TerminalText.elided(training.loss, to: 30)), .init(NumberText.nats(before.loss)), .init(NumberText.nats(kept.loss)),
          .init(NumberText.percentChange(kept.loss / before.loss - 1)))
      }
      section.add(table)
    }
    var table = TextTable([.left, .right])
    for (name, value) in training.figures { table.row(.init(name.lowercased()), .init(value)) }
    section.add(table)
    return section
  }
}

extension CompressionReport.Training {
  /// Names and figures in words.
  var figures: [(name: String, value: String)] {
    var figures: [(String, String)] = []
    if let trainableParameters { figures.append(("Parameters trained", NumberText.grouped(trainableParameters))) }
    if let examples { figures.append(("Examples", NumberText.grouped(examples))) }
    if let steps { figures.append(("Steps", NumberText.grouped(steps) + (stoppedEarly ? ", stopped early" : ""))) }
    if let bestStep { figures.append(("Step that was kept", NumberText.grouped(bestStep))) }
    if let tokensPerStep { figures.append(("Tokens a step", NumberText.significant(tokensPerStep, 4))) }
    if let tokensPerSecond { figures.append(("Tokens per second", NumberText.significant(tokensPerSecond, 4))) }
    if let last = losses.last { figures.append(("Last loss in training", NumberText.significant(last.loss, 4))) }
    return figures
  }

  /// What came of it in one sentence; nil when nothing was held out.
  var sentence: String? {
    guard let (before, kept) = improvement else { return nil }
    guard loss == Self.crossEntropy else {
      return "\(TerminalText.elided(loss, to: 30)) on held-out text \(NumberText.nats(before.loss)) → \(NumberText.nats(kept.loss)), "
        + "kept from step \(kept.step)."
    }
    return "Perplexity on held-out text \(NumberText.significant(exp(before.loss), 5)) → \(NumberText.significant(exp(kept.loss), 5)) "
      + "(\(NumberText.percentChange(exp(kept.loss - before.loss) - 1))), kept from step \(kept.step)."
  }
}
