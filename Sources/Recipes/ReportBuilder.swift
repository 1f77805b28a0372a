import Calibration
import Compression
import Diagnostics
import Distribution
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Reporting
import StructuredData
import Tensors

/// Measures a written checkpoint against its source and puts the figures into a report.
struct ReportBuilder {
  let run: CompressionRun
  /// The model that passes began on: the source, or what a pass made of it as a whole.
  let prepared: ModelGraph
  let written: ModelBundle
  let records: [PassRecord]
  let calibration: CalibrationSelection?
  let caveats: [String]
  /// What the written checkpoint calls a module or a parameter of the source.
  let naming: (String) -> String
  /// Of the files that were read and written, where they were found out meanwhile.
  let digests: StreamedDigests?

  /// What only the report needs is found out by the process that writes it.
  private var isFirst: Bool { run.group.isFirst }

  func report(evaluation: EvaluationPlan?) throws -> CompressionReport {
    var report = CompressionReport(
      tool: .init(name: Tool.name, version: Tool.version),
      model: .init(name: run.model.name, family: run.model.graph.family, parameters: run.model.graph.parameterCount))
    report.recipe = run.recipe.listing
    report.calibration = calibration.map { .init($0, trials: run.settings.trials) }
    report.size = .init(of: written, from: run.source)
    if isFirst, run.recipe.passes.contains(where: { $0 is Sparsification }) { report.size?.sparsity = try written.zeroShare() }
    let rescaled = Set(records.flatMap(\.rescaled))
    report.warnings = (calibration?.warnings ?? []) + textWarnings(rescaled) + records.flatMap(\.warnings) + caveats
    let meter = LayerErrorMeter(model: written.graph, leavingOut: rescaled, naming: naming)
    if !records.isEmpty { try meter.measureWeights(against: prepared, pool: run.interpreter.pool, in: run.group) }
    switch evaluation {
    case .predictions(let plan): try measure(plan, meter, into: &report)
    case .embeddings(let plan): try measure(plan, meter, into: &report)
    case nil: break
    }
    if let text = run.settings.evaluation?.text, text.lastPathComponent == DemoModel.evaluationText.lastPathComponent,
      run.source.name != DemoModel.name
    {
      report.warnings.append("measured on the demo text; give --eval with text of the kind the model is for")
    }
    report.experts = .init(of: written.graph, records)
    report.warnings += report.experts?.warnings ?? []
    report.layers = records.isEmpty ? nil : layers(meter)
    report.warnings += vanishingWarnings(report.layers ?? [])
    report.gates = run.settings.gates.results(report.accuracy)
    // Last, since the measurement takes long, and files are digested beside it.
    let known = try digests?.finish() ?? run.group.digests(of: run.model.weightFiles + written.checkpoint.files)
    report.inputs = .init(
      modelSHA256: try run.model.contentDigest(known: known, progress: run.progress), calibrationSHA256: calibration?.digest,
      evalSHA256: evaluation?.digest,
      adapterSHA256: run.recipe.adapterFiles.isEmpty ? nil : try FileDigest.hexadecimal(ofFiles: run.recipe.adapterFiles))
    report.outputs = try CompressionReport.OutputFile.files(of: written, known: known)
    return report
  }

  /// A language model's predictions.
  private func measure(_ evaluation: MeasurementPlan, _ meter: LayerErrorMeter, into report: inout CompressionReport) throws {
    let evaluator = evaluation.evaluator(run.interpreter, within: run.settings.maximumMemory, progress: run.progress)
    // Layers are compared with the model that was quantized, whatever the whole is held against.
    let isOwnReference = !prepared.isRewritten && run.settings.reference == nil
    let accuracy = try evaluator.accuracy(
      of: written.graph, reference: run.reference(), on: evaluation.text,
      layerErrors: isOwnReference ? meter : nil)
    if isFirst, !isOwnReference { try evaluator.measureLayers(meter, of: prepared, on: evaluation.text) }
    report.accuracy = .init(accuracy, computedIn: evaluation.arithmetic)
    report.keyValueCache = try .init(of: written.graph, evaluation, evaluator: evaluator)
    report.activations = try activations(accuracy, evaluation, evaluator)
    if !accuracy.modelPerplexity.value.isFinite || accuracy.referencePerplexity?.value.isFinite == false {
      report.warnings.append("a perplexity is too large for a number: that model does not predict this text at all")
    }
    if evaluation.measuresSpeed {
      // Decoding keeps every block at hand, which a model beyond the limit must not.
      let bytes = report.size.map { ($0.sourceBytes ?? 0) + ($0.outputBytes ?? 0) } ?? 0
      let limit = min(run.settings.maximumMemory ?? Self.largestTimedModels, Self.largestTimedModels)
      if bytes <= limit, !isFirst {
        // What is timed is timed by the first process, while the others wait.
        try run.group.wait()
      } else if bytes <= limit {
        // Nothing else may run beside what is timed.
        _ = digests?.finish()
        report.speed = try speed(evaluation)
        try run.group.wait()
      } else {
        report.warnings.append("speed was not measured: decoding in turns would hold both models in memory")
      }
    }
  }

  /// An encoder's embeddings.
  private func measure(_ evaluation: EmbeddingPlan, _ meter: LayerErrorMeter, into report: inout CompressionReport) throws {
    report.embeddings = try evaluation.section(
      of: written.graph, reference: run.reference(), interpreter: run.interpreter, progress: run.progress)
    let evaluator = Evaluator(interpreter: run.interpreter, progress: run.progress)
    if isFirst { try evaluator.measureLayers(meter, of: prepared, on: Array(evaluation.text.sentences.prefix(Self.measuredSentences))) }
  }

  /// Sentences that layers are compared on.
  private static let measuredSentences = 64

  /// Bytes of two models together that are timed without being asked about memory.
  static let largestTimedModels = 3_000_000_000

  /// What became of the calibration text, and of figures that there are none for.
  private func textWarnings(_ rescaled: Set<String>) -> [String] {
    var warnings: [String] = []
    if let plan = run.recipe.calibration {
      if !run.recipe.isCalibrated {
        warnings.append("the calibration text was not used: none of \(run.recipe.identifiers) needs any")
      } else if plan.isDemo, run.source.name != DemoModel.name {
        warnings.append("calibrated on the demo text; give --calibration text of the kind the model is for")
      }
    }
    for trial in run.settings.trials {
      if let failure = trial.failure { warnings.append("\(trial.name) could not be tried: \(failure)") }
    }
    if !rescaled.isEmpty {
      warnings.append(
        "\(rescaled.count) layers have no SQNR: their weights and inputs were rescaled, so that they are not the source's feature by feature"
      )
    }
    return warnings
  }

  private func layers(_ meter: LayerErrorMeter) -> [CompressionReport.Layer] {
    var errors: [String: LayerError] = [:]
    for error in meter.ordered { errors[error.name] = error }
    // As it was written: a later pass may have changed what activations enter.
    var schemes: [String: QuantizationScheme] = [:]
    for (node, weight) in written.graph.blocks.flatMap({ written.graph.linears(of: $0) }) {
      if case .quantized(let scheme)? = written.graph[weight].weightStorage { schemes[node.scope] = scheme }
    }
    var inputs: [String: [PassRecord.Inputs]] = [:]
    for record in records { for layer in record.inputs { inputs[layer.module, default: []].append(layer) } }
    return records.flatMap(\.layers).map { layer in
      let (name, decided) = (naming(layer.module), inputs[layer.module] ?? [])
      let fallbacks = ([layer.fallback] + decided.map(\.fallback)).compactMap { $0 }
      var groupSize = 0
      if case .group(let size) = layer.scheme.granularity { groupSize = size }
      return CompressionReport.Layer(
        name: layer.module, bits: Double(layer.scheme.bits), groupSize: groupSize,
        format: (schemes[name] ?? layer.scheme).name, weightSQNRdB: errors[name]?.weightSQNR, outputSQNRdB: errors[name]?.outputSQNR,
        clippedFraction: Double(layer.clipped) / Double(max(1, layer.weights)),
        inputClippedFraction: decided.compactMap(\.clippedFraction).last, calibrationTokens: layer.calibrationTokens,
        fallback: fallbacks.isEmpty ? nil : fallbacks.joined(separator: "; "),
        vanishedGroups: errors[name].flatMap { $0.vanishedGroups > 0 ? $0.vanishedGroups : nil })
    }
  }

  /// Weights that the format has no number for, other than zero.
  private func vanishingWarnings(_ layers: [CompressionReport.Layer]) -> [String] {
    let affected = layers.filter { $0.vanishedGroups != nil }
    guard let first = affected.first else { return [] }
    let count = affected.reduce(0) { $0 + ($1.vanishedGroups ?? 0) }
    return [
      "\(count) groups of weights are too small for the scales of their format, and were stored as zeros: "
        + "\(first.name)\(affected.count > 1 ? " and \(affected.count - 1) others" : "")"
    ]
  }

  /// What int8 inputs cost: the same written weights with other kinds of them, each against the source. Nil when no layer has any.
  /// - Parameter own: the checkpoint as it is, measured already.
  private func activations(
    _ own: Accuracy, _ plan: MeasurementPlan, _ evaluator: Evaluator
  ) throws -> [CompressionReport.ActivationForm]? {
    let kinds = Set(written.graph.inputQuantization.values)
    guard let kind = kinds.first, !kinds.contains(.float8) else { return nil }
    var forms: [CompressionReport.ActivationForm] = []
    // A mixture of kinds has no name of its own; its figures are those of `accuracy`.
    if kinds.count == 1 { forms.append(.init(kind: kind.rawValue, own)) }
    for other in [ActivationQuantization.int8, .none] where kinds != [other] {
      let accuracy = try evaluator.accuracy(
        of: written.graph.quantizingInputs(as: other), reference: run.reference(), on: plan.text)
      forms.append(.init(kind: other.rawValue, accuracy))
    }
    return forms
  }

  private func speed(_ evaluation: MeasurementPlan) throws -> CompressionReport.Speed {
    // As `generate` computes.
    let arithmetic = Arithmetic.sixteenBit
    let results = try Throughput.measure(
      [run.reference(), written.graph], interpreter: run.interpreter.computing(in: arithmetic), tokens: evaluation.text.windows[0],
      progress: run.progress)
    return .init(
      prefillTokensPerSecond: .init(reference: results[0].prefill, compressed: results[1].prefill),
      decodeTokensPerSecond: .init(reference: results[0].decode, compressed: results[1].decode), compute: arithmetic.rawValue)
  }
}
