import Diagnostics
import Distribution
import Evaluation
import Execution
import Foundation
import ModelGraph
import Reporting

/// A model measured on a text, alone or against a reference, without changing anything.
public struct Measurement {
  public let model: ModelBundle
  public let reference: ModelBundle?
  public let settings: EvaluationSettings
  let maximumMemory: Int?
  let progress: ProgressHandler?
  private let interpreter: Interpreter

  public init(
    model: ModelBundle, reference: ModelBundle? = nil, settings: EvaluationSettings = EvaluationSettings(), threads: Int? = nil,
    group: ProcessGroup = .alone, tensorParallel: Bool = false,
    maximumMemory: Int? = nil, progress: ProgressHandler? = nil
  ) {
    self.model = model
    self.reference = reference
    self.settings = settings
    self.maximumMemory = maximumMemory
    self.progress = progress
    interpreter = Interpreter(pool: ThreadPool(threads: threads), group: group, tensorParallel: tensorParallel)
  }

  /// Measures. The text is tokenized by the model's own tokenizer; a reference must share the vocabulary.
  public func report() throws -> CompressionReport {
    let clock = ContinuousClock()
    let start = clock.now
    let plan: MeasurementPlan
    switch try EvaluationPlan(settings, model: model) {
    case .predictions(let found): plan = found
    case .embeddings(let found): return try report(found, since: start)
    }
    let evaluator = plan.evaluator(interpreter, within: maximumMemory, progress: progress)
    let accuracy = try evaluator.accuracy(of: model.graph, reference: reference?.graph, on: plan.text)
    var report = CompressionReport(
      tool: .init(name: Tool.name, version: Tool.version),
      model: .init(name: model.name, family: model.graph.family, parameters: model.graph.parameterCount))
    report.inputs = .init(modelSHA256: try model.contentDigest(progress: progress), evalSHA256: plan.digest)
    report.accuracy = .init(accuracy, computedIn: plan.arithmetic)
    report.keyValueCache = try .init(of: model.graph, plan, evaluator: evaluator)
    report.warnings += model.tokenizerNotes
    report.resources = ResourceMeter.resources(
      since: start, clock: clock, bytesRead: model.sourceBytes + (reference?.sourceBytes ?? 0), bytesWritten: nil,
      threads: interpreter.pool.threads)
    return report
  }

  /// An encoder's embeddings against a reference's.
  private func report(_ plan: EmbeddingPlan, since start: ContinuousClock.Instant) throws -> CompressionReport {
    guard let reference else {
      throw RecipeError(
        model.name, "is an encoder: its embeddings say something beside another model's only", remedy: "give --reference", kind: .usage)
    }
    var report = CompressionReport(
      tool: .init(name: Tool.name, version: Tool.version),
      model: .init(name: model.name, family: model.graph.family, parameters: model.graph.parameterCount))
    report.inputs = .init(modelSHA256: try model.contentDigest(progress: progress), evalSHA256: plan.digest)
    report.embeddings = try plan.section(of: model.graph, reference: reference.graph, interpreter: interpreter, progress: progress)
    report.warnings += model.tokenizerNotes
    report.resources = ResourceMeter.resources(
      since: start, clock: ContinuousClock(), bytesRead: model.sourceBytes + reference.sourceBytes, bytesWritten: nil,
      threads: interpreter.pool.threads)
    return report
  }
}
