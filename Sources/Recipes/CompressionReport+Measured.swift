import Calibration
import Evaluation
import Execution
import ModelGraph
import Reporting

extension CompressionReport.Accuracy {
  /// The report's figures of a measurement, and what they were computed in: a reader must not take fast figures for exact ones.
  public init(_ accuracy: Evaluation.Accuracy, computedIn arithmetic: Arithmetic) {
    let model = accuracy.modelPerplexity
    let reference = accuracy.referencePerplexity
    let ratio = accuracy.perplexityRatio
    self.init(
      text: accuracy.text, tokens: accuracy.tokens, context: accuracy.context,
      reference: reference.map { .init(perplexity: $0.value, standardError: $0.standardError) },
      compressed: .init(perplexity: model.value, standardError: model.standardError), perplexityRatio: ratio?.value,
      perplexityRatioInterval: ratio?.interval.map { .init(lower: $0.lowerBound, upper: $0.upperBound) },
      klDivergence: accuracy.klDivergence.map(CompressionReport.KLDivergence.init),
      topTokenAgreement: accuracy.topTokenAgreement, flips: accuracy.flips.map { .init(gained: $0.gained, lost: $0.lost) },
      klHistogram: accuracy.divergences.isEmpty ? nil : .init(values: accuracy.divergences),
      windows: .init(
        negativeLogLikelihood: accuracy.windowLosses, klDivergence: accuracy.divergences.isEmpty ? nil : accuracy.windowDivergences))
    compute = arithmetic == .float32 ? nil : arithmetic.rawValue
  }
}

extension CompressionReport.KLDivergence {
  init(_ divergence: Evaluation.Accuracy.Divergence) {
    self.init(
      mean: divergence.mean, standardError: divergence.standardError, median: divergence.median, p95: divergence.p95,
      p99: divergence.p99, p999: divergence.p999, max: divergence.max)
  }
}

extension CompressionReport.KeyValueCache {
  /// The model with the planned cache against itself with a float32 one; nil when the plan asks for none.
  init?(of graph: ModelGraph, _ plan: MeasurementPlan, evaluator: Evaluator) throws {
    let form = plan.keyValueCache
    guard form != .none else { return nil }
    let accuracy = try evaluator.accuracy(of: graph, keyValues: form, reference: graph, on: plan.text)
    let ratio = accuracy.perplexityRatio
    self.init(
      type: form.rawValue, bytesPerToken: form.bytesPerToken(of: graph),
      referenceBytesPerToken: KeyValueQuantization.none.bytesPerToken(of: graph), perplexityRatio: ratio?.value,
      perplexityRatioInterval: ratio?.interval.map { .init(lower: $0.lowerBound, upper: $0.upperBound) },
      klDivergence: accuracy.klDivergence.map(CompressionReport.KLDivergence.init), topTokenAgreement: accuracy.topTokenAgreement)
  }
}

extension CompressionReport.Calibration {
  init(_ selection: CalibrationSelection, trials: [AlgorithmTrial.Outcome]) {
    self.init(
      text: selection.name, windows: selection.windows.count, tokens: selection.tokens, sampling: selection.strategy.rawValue,
      exactDuplicates: selection.exactDuplicates, nearDuplicates: selection.nearDuplicates, tierLosses: selection.tiers.map(\.meanLoss),
      trials: trials.map { .init(algorithm: $0.name, klDivergence: $0.divergence, seconds: $0.seconds) })
  }
}

extension CompressionReport.ActivationForm {
  init(kind: String, _ accuracy: Evaluation.Accuracy) {
    let ratio = accuracy.perplexityRatio
    self.init(
      kind: kind, perplexityRatio: ratio?.value,
      perplexityRatioInterval: ratio?.interval.map { .init(lower: $0.lowerBound, upper: $0.upperBound) },
      klDivergence: accuracy.klDivergence.map(CompressionReport.KLDivergence.init), topTokenAgreement: accuracy.topTokenAgreement)
  }
}
