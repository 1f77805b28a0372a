extension ModelCard {
  /// A line for every pass, then what passes of their own kind came to.
  var done: String {
    var lines = report.recipe.compactMap(PassSummary.init).prefix(20).map { Markdown.item($0.sentence) }
    if lines.isEmpty { lines = [Markdown.item("The values of the source, in another container.")] }
    if let calibration = report.calibration {
      lines.append(
        Markdown.item(
          "Calibrated on \(NumberText.grouped(calibration.windows)) windows of \(TerminalText.elided(calibration.text, to: 80)), "
            + "\(NumberText.grouped(calibration.tokens)) tokens."))
    }
    lines += (report.replacement?.modules ?? []).prefix(10).map { module in
      Markdown.item(
        "\(TerminalText.elided(module.kind, to: 40)): \(TerminalText.elided(module.before, to: 120)) → \(TerminalText.elided(module.after, to: 120))"
      )
    }
    if let pruning = report.pruning { lines.append(Markdown.item(pruning.sentence)) }
    lines += (report.distillation?.stages ?? []).prefix(10).map { Markdown.item($0.sentence) }
    if let distillation = report.distillation { lines.append(Markdown.item(distillation.sentence)) }
    if let training = report.training {
      let trained = training.trainableParameters.map { "\(NumberText.grouped($0)) parameters trained" } ?? "Trained"
      let steps = training.steps.map { " in \(NumberText.grouped($0)) steps" } ?? ""
      lines.append(Markdown.item("\(trained)\(steps). \(training.sentence ?? "What came of it was not measured.")"))
    }
    if let formats { lines.append(Markdown.item(formats)) }
    return lines.joined()
  }

  /// How many layers were written in which scheme.
  private var formats: String? {
    guard let layers = report.layers, !layers.isEmpty else { return nil }
    var counts: [(format: String, count: Int)] = []
    for layer in layers {
      let format = layer.format ?? "unknown"
      if let place = counts.firstIndex(where: { $0.format == format }) { counts[place].count += 1 } else { counts.append((format, 1)) }
      guard counts.count <= 40 else { break }
    }
    guard counts.count <= 40 else { return "\(NumberText.grouped(layers.count)) layers quantized, in many schemes." }
    let kinds = counts.map { TerminalText.elided($0.format, to: 40) + (counts.count > 1 ? " (\(NumberText.grouped($0.count)))" : "") }
    return "\(NumberText.grouped(layers.count)) layers quantized: \(kinds.joined(separator: ", "))."
  }

  /// The key figures; what was not measured says so.
  var cost: String {
    if output.relation == .adapter { return "" }
    let paragraphs = [Markdown.table(["", "reference", "this checkpoint", "change"], rows), measurement, stages]
    return paragraphs.filter { !$0.isEmpty }.joined(separator: "\n")
  }

  private static let unmeasured = "not measured"

  private var rows: [[String]] {
    var rows: [[String]] = []
    let summary = ReportSummary(report: report)
    if let size = report.size {
      rows.append([
        "weights on disk", size.sourceBytes.map(NumberText.bytes) ?? "", size.outputBytes.map(NumberText.bytes) ?? "",
        summary.sizeRatio.map { NumberText.fixed($0, 2) + "×" } ?? "",
      ])
      if let bits = size.bitsPerWeight { rows.append(["bits per weight, everything counted", "", NumberText.fixed(bits, 2), ""]) }
      if let sparsity = size.sparsity { rows.append(["zero weights", "", NumberText.percent(sparsity, 1), ""]) }
    }
    switch output.task {
    case .generation: rows += predictions(report.accuracy, summary)
    case .embedding:
      rows +=
        report.embeddings?.rows.map { ["embeddings: \($0.name)", "", $0.value, ""] } ?? [["cosine of embeddings", "", Self.unmeasured, ""]]
    }
    return rows
  }

  private func predictions(_ accuracy: CompressionReport.Accuracy?, _ summary: ReportSummary) -> [[String]] {
    let change = [summary.perplexityChange.map(NumberText.percentChange), summary.perplexityInterval.map { "(95 %: \($0))" }]
    func figure(_ perplexity: CompressionReport.Perplexity?) -> String {
      perplexity?.perplexity == nil ? Self.unmeasured : NumberText.perplexity(perplexity)
    }
    func nats(_ value: Double?) -> String { value.map(NumberText.nats) ?? Self.unmeasured }
    return [
      ["perplexity", figure(accuracy?.reference), figure(accuracy?.compressed), change.compactMap { $0 }.joined(separator: " ")],
      ["KL divergence, mean, nats per token", "", nats(accuracy?.klDivergence?.mean), ""],
      ["KL divergence, 99 % below", "", nats(accuracy?.klDivergence?.p99), ""],
      ["same most likely token", "", accuracy?.topTokenAgreement.map { NumberText.percent($0) } ?? Self.unmeasured, ""],
    ]
  }

  /// How the figures came about.
  private var measurement: String {
    if let embeddings = report.embeddings {
      return Markdown.text(
        "Against the source, on \(NumberText.grouped(embeddings.sentences)) lines of \(TerminalText.elided(embeddings.text, to: 80)).")
        + "\n"
    }
    guard let accuracy = report.accuracy else { return "" }
    var named = report
    named.accuracy?.text = accuracy.text.map { TerminalText.elided($0, to: 80) }
    let compute = accuracy.compute.map { " Products were computed in \(TerminalText.elided($0, to: 20))." } ?? ""
    return Markdown.text((ReportSummary(report: named).measurement ?? "") + compute) + "\n"
  }

  /// What every stage of a recipe left.
  private var stages: String {
    let titles = CompressionReport.PassResult.titles.dropLast()
    return Markdown.table(
      ["after"] + titles,
      (report.passes ?? []).prefix(40).map { [TerminalText.elided($0.name, to: 60)] + $0.figures.prefix(titles.count) })
  }
}
