/// Sentences and short forms that the terminal, the page and the comparison share.
struct ReportSummary {
  let report: CompressionReport

  /// Output over source, computed when the document does not say.
  var sizeRatio: Double? {
    if let ratio = report.size?.ratio { return ratio }
    guard let source = report.size?.sourceBytes, let output = report.size?.outputBytes, source > 0 else { return nil }
    return Double(output) / Double(source)
  }

  /// The relative change of perplexity: 0.01 is one percent worse.
  var perplexityChange: Double? {
    if let ratio = report.accuracy?.perplexityRatio { return ratio - 1 }
    guard let reference = report.accuracy?.reference?.perplexity, let value = report.accuracy?.compressed?.perplexity,
      reference > 0
    else { return nil }
    return value / reference - 1
  }

  /// The 95 % interval of ``perplexityChange`` in words; nil when it was not measured.
  var perplexityInterval: String? {
    guard let interval = report.accuracy?.perplexityRatioInterval, interval.lower.isFinite, interval.upper.isFinite else {
      return nil
    }
    return "\(NumberText.percentChange(interval.lower - 1)) to \(NumberText.percentChange(interval.upper - 1))"
  }

  /// Whether the interval of the perplexity ratio leaves out 1.
  var perplexityDiffers: Bool? {
    guard let interval = report.accuracy?.perplexityRatioInterval else { return nil }
    return interval.lower > 1 || interval.upper < 1
  }

  /// `llama, 6.81 M parameters`
  var model: String {
    [report.model.family, report.model.parameters.map { "\(NumberText.parameters($0)) parameters" }].compactMap { $0 }
      .joined(separator: ", ")
  }

  /// Names of the passes with the width and grouping that tell recipes apart: `gptq 4-bit g128`.
  var recipe: String {
    report.recipe.compactMap { PassSummary($0)?.short }.joined(separator: " + ")
  }

  /// The run in one sentence; only what was measured.
  var sentence: String {
    var parts: [String] = []
    if let source = report.size?.sourceBytes, let output = report.size?.outputBytes {
      let ratio = sizeRatio.map { " (\(NumberText.fixed($0, 2))×)" } ?? ""
      parts.append("\(NumberText.bytes(source)) → \(NumberText.bytes(output))\(ratio)")
    }
    if let reference = report.accuracy?.reference?.perplexity, let compressed = report.accuracy?.compressed?.perplexity {
      let notes = [perplexityChange.map(NumberText.percentChange), perplexityInterval.map { "95 % interval \($0)" }]
        .compactMap { $0 }
      let note = notes.isEmpty ? "" : " (\(notes.joined(separator: ", ")))"
      parts.append("perplexity \(NumberText.perplexity(reference)) → \(NumberText.perplexity(compressed))\(note)")
    } else if let compressed = report.accuracy?.compressed?.perplexity {
      parts.append("perplexity \(NumberText.perplexity(compressed))")
    }
    if let mean = report.accuracy?.klDivergence?.mean { parts.append("mean KL divergence \(NumberText.nats(mean)) nats per token") }
    if let agreement = report.accuracy?.topTokenAgreement {
      parts.append("the same most likely token in \(NumberText.percent(agreement)) of predictions")
    }
    guard !parts.isEmpty else { return "Neither size nor accuracy was measured." }
    let head = report.model.parameters.map { "\(NumberText.parameters($0)) parameters: " } ?? ""
    return head + parts.joined(separator: ", ") + "."
  }

  /// How the accuracy figures came about; nil when there are none.
  var measurement: String? {
    guard let accuracy = report.accuracy else { return nil }
    var words = "Measured on \(accuracy.text ?? "a text that is not named")"
    if let tokens = accuracy.tokens { words += ", \(NumberText.grouped(tokens)) scored predictions" }
    if let context = accuracy.context {
      words += ", in windows of \(NumberText.grouped(context)) tokens, each run alone from an empty cache"
    }
    return words + "."
  }

  /// The layers that came out worst, by output SQNR where it was measured, else by weight SQNR.
  func worstLayers(_ count: Int) -> [CompressionReport.Layer] {
    let measured = (report.layers ?? []).compactMap { layer in
      Self.quality(of: layer).map { (layer: layer, quality: $0) }
    }
    return measured.sorted { $0.quality < $1.quality }.prefix(count).map(\.layer)
  }

  static func quality(of layer: CompressionReport.Layer) -> Double? {
    [layer.outputSQNRdB, layer.weightSQNRdB].lazy.compactMap { $0 }.first(where: \.isFinite)
  }

  /// How many layers have an SQNR: not those whose weights were rescaled, and not those that came out exact.
  var measuredLayers: Int { (report.layers ?? []).count { Self.quality(of: $0) != nil } }

  /// What a list of the worst layers holds: `the 5 worst of 28 layers`, `the 2 of 28 layers with an SQNR`.
  /// - Parameters:
  ///   - count: how many it lists.
  ///   - noun: ` layers`, or nothing where a heading has said so.
  func selection(_ count: Int, _ noun: String = "") -> String {
    let all = report.layers?.count ?? 0
    let measured = measuredLayers
    let total = NumberText.grouped(all) + noun
    if measured == all { return count < all ? "the \(NumberText.grouped(count)) worst of \(total)" : "all" }
    let known = "\(NumberText.grouped(measured)) of \(total) with an SQNR"
    return count < measured ? "the \(NumberText.grouped(count)) worst of the \(known)" : "the \(known)"
  }
}
