extension ReportPage {
  var accuracy: String {
    guard let accuracy = report.accuracy else { return "" }
    var body = summary.measurement.map { HTML.paragraph($0) } ?? ""
    body += perplexity(accuracy) + divergence(accuracy) + figures(accuracy)
    return HTML.section("Accuracy", id: "accuracy", body)
  }

  private func perplexity(_ accuracy: CompressionReport.Accuracy) -> String {
    var rows: [IntervalPlot.Row] = []
    let isAlone = accuracy.reference == nil
    for (name, figure, series) in [("Reference", accuracy.reference, 0), (isAlone ? "Model" : "Compressed", accuracy.compressed, 1)] {
      guard let figure, let value = figure.perplexity, value.isFinite else { continue }
      let interval = figure.standardError.flatMap { error in
        error.isFinite && error >= 0 ? value - 1.96 * error...value + 1.96 * error : nil
      }
      rows.append(.init(name: name, value: value, interval: interval, text: NumberText.perplexity(figure), series: series))
    }
    guard !rows.isEmpty else { return "" }
    let words = rows.map { "\($0.name) \($0.text)" }.joined(separator: ", ")
    let plot = IntervalPlot(
      title: isAlone ? "Perplexity" : "Perplexity of both models", summary: words + ".", rows: rows, axis: "perplexity")
    var table = HTMLTable("Perplexity, 95 % intervals", first: "", ["perplexity", "from", "to"])
    for row in rows {
      table.row(
        row.name, [row.value, row.interval?.lowerBound, row.interval?.upperBound].map { $0.map { NumberText.perplexity($0) } ?? "" })
    }
    if let change = summary.perplexityChange, let interval = accuracy.perplexityRatioInterval {
      table.row("Change", [change, interval.lower - 1, interval.upper - 1].map(NumberText.percentChange))
    }
    var html = "<h3>Perplexity</h3>\n"
    html += plot.figure(
      id: "p-ppl",
      caption: "Perplexity with its 95 % interval (±1.96 standard errors): how well the text pins the figure down."
        + (isAlone ? "" : " Both models read the same tokens, so the change between them is known far better."), table: table)
    return html + change(accuracy)
  }

  /// The paired change, which is what tells the models apart.
  private func change(_ accuracy: CompressionReport.Accuracy) -> String {
    guard let change = summary.perplexityChange, change.isFinite, let interval = accuracy.perplexityRatioInterval,
      interval.lower.isFinite, interval.upper.isFinite, interval.lower <= interval.upper
    else { return "" }
    let range = (interval.lower - 1) * 100...(interval.upper - 1) * 100
    let text = "\(NumberText.percentChange(change)) (\(summary.perplexityInterval ?? ""))"
    let plot = IntervalPlot(
      title: "Change of perplexity", summary: "\(text); the dashed line marks no change.",
      rows: [.init(name: "Change", value: change * 100, interval: range, text: text, series: 1)],
      axis: "change of perplexity, %", reference: 0, format: { ($0.value > 0 ? "+" : "") + $0.label })
    let verdict =
      switch summary.perplexityDiffers {
      case true?:
        "The 95 % interval leaves out zero: on this text the compressed model is measurably \(change > 0 ? "worse" : "better")."
      default:
        "The 95 % interval includes zero: on this text perplexity does not tell the two models apart. "
          + "It does not show that they are the same."
      }
    return plot.figure(id: "p-change", caption: "Change from the reference, over the same tokens. \(HTML.escape(verdict))")
  }

  private func divergence(_ accuracy: CompressionReport.Accuracy) -> String {
    guard let kl = accuracy.klDivergence else { return "" }
    var html = "<h3>KL divergence</h3>\n"
    if let histogram = accuracy.klHistogram, histogram.total > 0 {
      let marks = [("median", kl.median), ("95 %", kl.p95), ("99 %", kl.p99)].compactMap { name, value in
        value.map { HistogramPlot.Mark(name: name, value: $0) }
      }
      let words = marks.map { "\($0.name) \(NumberText.nats($0.value))" }.joined(separator: ", ")
      let plot = HistogramPlot(
        title: "Distribution of the KL divergence over tokens", summary: "In nats: \(words).", histogram: histogram, marks: marks,
        axis: "KL(reference ‖ compressed), nats per token")
      let underflow = plot.underflow.map { " " + HTML.escape(HTML.typographic($0)) } ?? ""
      html += plot.figure(
        id: "p-kl",
        caption: "How far each prediction moved from the reference's. The tail matters: perplexity averages it away." + underflow,
        table: plot.table)
    }
    var table = HTMLTable("KL divergence, nats per token", first: "", ["mean", "std. error", "median", "95 %", "99 %", "99.9 %", "max"])
    let figures = [kl.mean, kl.standardError, kl.median, kl.p95, kl.p99, kl.p999, kl.max]
    table.row("All predictions", figures.map { $0.map(NumberText.nats) ?? NumberText.absent })
    return html + table.html
  }

  private func figures(_ accuracy: CompressionReport.Accuracy) -> String {
    guard accuracy.topTokenAgreement != nil || accuracy.flips != nil else { return "" }
    var table = HTMLTable("Most likely tokens", first: "", ["figure", "meaning"], prose: ["meaning"])
    if let agreement = accuracy.topTokenAgreement {
      table.row("Same top token", [NumberText.percent(agreement), "share of predictions where both models agree"])
    }
    if let gained = accuracy.flips?.gained {
      table.row("Became right", [NumberText.grouped(gained), "the compressed model is right where the reference was wrong"])
    }
    if let lost = accuracy.flips?.lost {
      table.row("Became wrong", [NumberText.grouped(lost), "the reference was right, the compressed model is not"])
    }
    return table.html
  }
}
