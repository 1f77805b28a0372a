import Foundation

extension ReportTable {
  /// What each stage of distillation changed, and what leaving some out comes to.
  var distillation: Section? {
    guard let distillation = report.distillation else { return nil }
    var section = Section(title: "Distilled")
    var table = TextTable([.left] + Array(repeating: .right, count: 6) + [.left])
    table.header("after", "KL", "same top", "CKA", "typos", "adversarial", "seconds", "")
    if let first = distillation.stages.first { table.row([.init("the student")] + first.before.cells.map { .init($0) } + ["", ""]) }
    for stage in distillation.stages {
      table.row(
        [.init(stage.name)] + stage.after.cells.map { .init($0) }
          + [.init(stage.seconds.map { NumberText.significant($0, 3) } ?? ""), .init(stage.isKept ? "" : "rolled back")])
    }
    section.add(table, spare: [6, 3])
    for stage in distillation.stages { section.add(paragraph: stage.sentence) }
    section.add(paragraph: distillation.sentence)
    if let ablation = distillation.ablation, !ablation.isEmpty {
      var table = TextTable([.left] + Array(repeating: .right, count: 7))
      table.header("trained by", "KL", "±", "perplexity", "±", "typos", "adversarial", "seconds")
      for variant in ablation { table.row([.init(variant.name)] + variant.cells.map { .init($0) }) }
      section.add(table, spare: [7, 4, 2])
    }
    return section
  }
}

extension CompressionReport.Distillation.Figures {
  /// The divergence under the strongest perturbation.
  var strongest: Adversarial? { adversarial.max { $0.epsilon < $1.epsilon } }

  /// Divergence, agreement, CKA, with typing errors, under the strongest perturbation.
  var cells: [String] {
    [
      klDivergence.map(NumberText.nats) ?? "", topTokenAgreement.map { NumberText.percent($0) } ?? "",
      centeredKernelAlignment.map { NumberText.fixed($0, 3) } ?? "", noisyKLDivergence.map(NumberText.nats) ?? "",
      strongest.map { NumberText.nats($0.klDivergence) } ?? "",
    ]
  }
}

extension CompressionReport.Distillation.Variant {
  /// Divergence and perplexity with their deviations, with typing errors, under the strongest perturbation, and seconds.
  var cells: [String] {
    [
      figures.klDivergence.map(NumberText.nats) ?? "", klDeviation.map(NumberText.nats) ?? "",
      figures.perplexity.map { NumberText.significant($0, 5) } ?? "", perplexityDeviation.map { NumberText.significant($0, 2) } ?? "",
      figures.noisyKLDivergence.map(NumberText.nats) ?? "", figures.strongest.map { NumberText.nats($0.klDivergence) } ?? "",
      seconds.map { NumberText.significant($0, 3) } ?? "",
    ]
  }
}

extension CompressionReport.Distillation.Stage {
  /// Whether it was kept, and by what.
  var sentence: String {
    var words = name + ": "
    if let change, change.isFinite {
      words += "\(measure) \(change > 0 ? "+" : "−")\(NumberText.nats(abs(change)))"
      if let changeInterval, changeInterval.lower.isFinite, changeInterval.upper.isFinite {
        func text(_ value: Double) -> String { (value < 0 ? "−" : "") + NumberText.nats(abs(value)) }
        words += " (95 %: \(text(changeInterval.lower)) to \(text(changeInterval.upper)))"
      }
    } else {
      words += "\(measure) was not measured"
    }
    return words + (isKept ? ", kept" : ", rolled back" + (reason.map { ": \($0)" } ?? ""))
  }
}

extension CompressionReport.Distillation {
  /// What figures are about.
  var sentence: String {
    let place = heldOutTokens.map { "on \(NumberText.grouped($0)) tokens of held-out text" } ?? "on held-out text"
    let epsilon = stages.last?.after.strongest.map { "; adversarial: embeddings moved by \(NumberText.significant($0.epsilon, 2))" } ?? ""
    return "KL from \(teacher), nats per token, \(place)\(epsilon)"
  }
}
