/// Reports as comma-separated values, a row each. Columns are named for their places in report.json.
public struct ComparisonCSV: Sendable {
  private let comparison: ReportComparison

  /// - Parameter labels: what to call each report; by default its recipe, with the model's name where models differ.
  public init(_ reports: [CompressionReport], labels: [String]? = nil) { comparison = ReportComparison(reports, labels: labels) }

  private typealias Column = (title: String, value: (CompressionReport) -> CSV.Field)

  private static func text(_ title: String, _ value: @escaping (CompressionReport) -> String?) -> Column {
    (title, { .text(value($0)) })
  }

  private static func number(_ title: String, _ value: @escaping (CompressionReport) -> Double?) -> Column {
    (title, { .number(value($0)) })
  }

  private static func count(_ title: String, _ value: @escaping (CompressionReport) -> Int?) -> Column {
    (title, { .count(value($0)) })
  }

  private static var columns: [Column] {
    identity + size + accuracy + speed
      + [
        text("inputs.modelSHA256") { $0.inputs?.modelSHA256 }, text("inputs.calibrationSHA256") { $0.inputs?.calibrationSHA256 },
        text("inputs.evalSHA256") { $0.inputs?.evalSHA256 }, text("inputs.dataSHA256") { $0.inputs?.dataSHA256 },
      ]
  }

  private static var identity: [Column] {
    [
      text("tool.name") { $0.tool.name }, text("tool.version") { $0.tool.version }, text("model.name") { $0.model.name },
      text("model.family") { $0.model.family }, count("model.parameters") { $0.model.parameters },
      text("recipe") {
        let words = ReportSummary(report: $0).recipe
        return words.isEmpty ? nil : words
      },
    ]
  }

  private static var size: [Column] {
    [
      count("size.sourceBytes") { $0.size?.sourceBytes }, count("size.outputBytes") { $0.size?.outputBytes },
      number("size.ratio") { ReportSummary(report: $0).sizeRatio }, number("size.bitsPerWeight") { $0.size?.bitsPerWeight },
      count("size.parameters") { $0.size?.parameters }, number("size.sparsity") { $0.size?.sparsity },
    ]
  }

  private static var accuracy: [Column] {
    [
      text("accuracy.text") { $0.accuracy?.text }, count("accuracy.tokens") { $0.accuracy?.tokens },
      count("accuracy.context") { $0.accuracy?.context },
      number("accuracy.reference.perplexity") { $0.accuracy?.reference?.perplexity },
      number("accuracy.reference.standardError") { $0.accuracy?.reference?.standardError },
      number("accuracy.compressed.perplexity") { $0.accuracy?.compressed?.perplexity },
      number("accuracy.compressed.standardError") { $0.accuracy?.compressed?.standardError },
      number("accuracy.perplexityRatio") { $0.accuracy?.perplexityRatio },
      number("accuracy.perplexityRatioInterval.lower") { $0.accuracy?.perplexityRatioInterval?.lower },
      number("accuracy.perplexityRatioInterval.upper") { $0.accuracy?.perplexityRatioInterval?.upper },
      number("accuracy.klDivergence.mean") { $0.accuracy?.klDivergence?.mean },
      number("accuracy.klDivergence.standardError") { $0.accuracy?.klDivergence?.standardError },
      number("accuracy.klDivergence.median") { $0.accuracy?.klDivergence?.median },
      number("accuracy.klDivergence.p95") { $0.accuracy?.klDivergence?.p95 },
      number("accuracy.klDivergence.p99") { $0.accuracy?.klDivergence?.p99 },
      number("accuracy.klDivergence.p999") { $0.accuracy?.klDivergence?.p999 },
      number("accuracy.klDivergence.max") { $0.accuracy?.klDivergence?.max },
      number("accuracy.topTokenAgreement") { $0.accuracy?.topTokenAgreement },
      count("accuracy.flips.gained") { $0.accuracy?.flips?.gained }, count("accuracy.flips.lost") { $0.accuracy?.flips?.lost },
      text("accuracy.compute") { $0.accuracy?.compute },
    ]
  }

  private static var speed: [Column] {
    [
      number("speed.prefillTokensPerSecond.reference") { $0.speed?.prefillTokensPerSecond?.reference },
      number("speed.prefillTokensPerSecond.compressed") { $0.speed?.prefillTokensPerSecond?.compressed },
      number("speed.decodeTokensPerSecond.reference") { $0.speed?.decodeTokensPerSecond?.reference },
      number("speed.decodeTokensPerSecond.compressed") { $0.speed?.decodeTokensPerSecond?.compressed },
      number("resources.wallSeconds") { $0.resources?.wallSeconds }, count("resources.peakMemoryBytes") { $0.resources?.peakMemoryBytes },
      count("resources.threads") { $0.resources?.threads },
      count("gates.missed") { $0.gates.isEmpty ? nil : $0.gates.count { !$0.passed } },
    ]
  }

  /// A row for each report.
  public var text: String {
    let columns = Self.columns
    var csv = CSV(["report"] + columns.map(\.title))
    for (report, label) in zip(comparison.reports, comparison.labels) {
      csv.row([.text(label)] + columns.map { $0.value(report) })
    }
    return csv.text
  }

  /// A row for each layer of each report.
  public var layers: String {
    var csv = CSV([
      "report", "name", "block", "kind", "bits", "groupSize", "format", "weightSQNRdB", "outputSQNRdB", "clippedFraction",
      "inputClippedFraction", "calibrationTokens", "fallback",
    ])
    for (report, label) in zip(comparison.reports, comparison.labels) {
      let layers = report.layers ?? []
      for (layer, position) in zip(layers, LayerPosition.kinds(of: layers).positions) {
        csv.row([
          .text(label), .text(layer.name), .count(position.block), .text(position.kind), .number(layer.bits), .count(layer.groupSize),
          .text(layer.format), .number(layer.weightSQNRdB), .number(layer.outputSQNRdB), .number(layer.clippedFraction),
          .number(layer.inputClippedFraction), .count(layer.calibrationTokens), .text(layer.fallback),
        ])
      }
    }
    return csv.text
  }
}
