import Calibration
import Compression
import Diagnostics
import Distribution
import Evaluation
import Execution
import Foundation
import ModelGraph
import Reporting
import StructuredData
import Tensors
import Training

/// Quantization-aware training of a whole model, before its output is written: windows of the calibration text, the unquantized model as the
/// teacher, and held-out windows that say whether it helps.
struct QuantizationTraining {
  private let run: CompressionRun
  private let pass: QuantizationAwareTraining
  /// The model that passes begin on.
  private let graph: ModelGraph
  private let plan: CalibrationPlan
  private let output: OutputDirectory

  /// What it came to.
  struct Result {
    let trained: TrainedWeights
    let section: CompressionReport.Training
    let warnings: [String]
  }

  /// Nil where no pass of the run trains.
  init?(_ run: CompressionRun, graph: ModelGraph, calibration: CalibrationWork?, in output: OutputDirectory) throws {
    guard let pass = run.recipe.passes.lazy.compactMap({ $0 as? QuantizationAwareTraining }).first, let plan = run.recipe.calibration else {
      return nil
    }
    (self.run, self.pass, self.graph, self.plan, self.output) = (run, pass, graph, plan, output)
  }

  private static let heldOutWindows = 64
  private static let leastHeldOut = 4
  /// Evaluations on the way.
  private static let checks = 8
  /// Steps between two saves of what `--resume` goes on from.
  private static let saveInterval = 50

  private var directory: URL { output.file(Self.prefix) }

  /// Trains, or takes up where an earlier run was stopped. What it saves stays until ``clear(_:)``.
  func train() throws -> Result {
    let text = try windows()
    guard text.training.count >= pass.batchWindows, text.held.count >= Self.leastHeldOut else {
      throw CompressionError(
        plan.file.path, "gives \(text.training.count + text.held.count) windows of \(plan.sequenceLength) tokens, too few to train on",
        remedy: "give more text, or a smaller --sequence-length", kind: .badData)
    }
    let interpreter = run.interpreter
    let trial = TrialRun(
      interpreter: interpreter, resources: run.resources, seed: run.recipe.seed, spill: output.partial,
      memoryLimit: run.settings.maximumMemory)
    let startText = Array(text.training.prefix(pass.startWindows))
    let finding = WorkMeter(
      "Finding a start",
      costs: [
        trial.operations(graph, by: [pass.start], calibratedOn: startText, measuredOn: 0, blocks: graph.blocks.count)
      ], progress: run.progress)
    finding.begin(0)
    let start = try finding.measure {
      try trial.compress(graph, by: [pass.start], calibratedOn: startText, blocks: graph.blocks.count)
    }
    finding.finish()
    let parameters = try pass.parameters(of: start, from: graph, pool: interpreter.pool)
    let schedule = LearningRateSchedule(.cosine, peak: pass.rate, warmup: max(1, pass.steps / 20))
    let settings = TrainerSettings(
      optimizer: AdamWSettings(beta2: 0.99, weightDecay: 0), schedule: schedule, steps: pass.steps, clip: 0)
    let trainer = try Trainer(
      LoadedModel(start), parameters, settings: settings, interpreter: interpreter, products: pass.precision, retention: .keep)
    var history = FinetuneHistory()
    let identity = try identity(text)
    try interpreter.group.agree(on: identity, called: "model, recipe and text")
    if run.settings.resume, let notes = try TrainingState.resume(trainer, from: directory, identity: identity) {
      guard let saved = FinetuneHistory(notes) else {
        throw TrainingError(directory.path, "is incomplete", remedy: "start anew, without --resume", kind: .badData)
      }
      history = saved
    }
    func measured() throws -> Double {
      // Before the first step the codes are the start's own, which anchoring keeps.
      let model = trainer.steps == 0 ? start : try parameters.trained(for: graph, pool: interpreter.pool).applied(to: start)
      return try trial.divergence(of: model, from: graph, on: text.held) ?? .infinity
    }
    let teacher = try LoadedModel(graph)
    let order = try BatchOrder(count: text.training.count, seed: run.recipe.seed)
    let interval = max(1, pass.steps / Self.checks)
    // A step runs the teacher, and the student forward and back; a check runs both forward over the text that is held out.
    let meter = StepMeter(
      "Training", steps: pass.steps, interval: interval, stepCost: 4 * Double(pass.batchWindows),
      checkCost: 2 * Double(text.held.count), tokensPerStep: pass.batchWindows * plan.sequenceLength, progress: run.progress)
    do {
      while true {
        if trainer.steps % interval == 0 || trainer.steps == pass.steps, history.evaluations.last?.step != trainer.steps {
          meter.beginCheck(after: trainer.steps)
          if history.add(evaluation: try meter.measure(measured), step: trainer.steps) {
            try trainer.saveVariables(to: best(trainer.steps))
          }
        }
        guard trainer.steps < pass.steps else { break }
        try interpreter.group.checkInterruption()
        meter.begin(step: trainer.steps)
        let batches = TrainingBatch.cut(windows(of: trainer.steps, order, text.training), rows: \.count).map { windows in
          TrainingBatch(windows.map { ($0, Array(repeating: true, count: $0.count)) })
        }
        let begin = ContinuousClock.now
        let step = try trainer.step(batches) { _, batch, _ in
          TrainingObjective(
            .teacher(
              LossTarget.Teacher(
                block: graph.blocks[graph.blocks.count - 1], graph: graph, weights: teacher.blocks[teacher.blocks.count - 1],
                input: try interpreter.hidden(of: teacher, tokens: batch.tokens, sequences: batch.sequences))))
        }
        history.add(loss: step.loss, tokens: step.tokens, seconds: begin.duration(to: .now).seconds, isSkipped: step.isSkipped)
        if trainer.steps % Self.saveInterval == 0 || trainer.steps == pass.steps { try save(trainer, history, identity) }
      }
    } catch let stop as StoppedFailure {
      try save(trainer, history, identity)
      throw stop
    }
    meter.finish()
    guard history.losses.isEmpty || history.skipped.count < history.losses.count else {
      throw TrainingError(
        "training", "has learned nothing: none of its \(history.losses.count) steps had a finite gradient",
        remedy: "lower the learning rates of qat in a recipe, or use --algorithm yaqa")
    }
    if let step = history.best?.step, step != trainer.steps { try trainer.loadVariables(from: best(step)) }
    return Result(
      trained: try history.best?.step == 0 ? started(start, parameters) : parameters.trained(for: graph, pool: interpreter.pool),
      section: section(history, parameters, text),
      warnings: warnings(history, text))
  }

  private func save(_ trainer: Trainer, _ history: FinetuneHistory, _ identity: String) throws {
    try TrainingState.save(trainer, to: directory, identity: identity, notes: history.notes)
    // Nothing that fails later has its cause here.
    (output.keepsPartial, output.survivesFailure) = (true, true)
    for item in (try? FileManager.default.contentsOfDirectory(at: output.partial, includingPropertiesForKeys: nil)) ?? []
    where item.lastPathComponent.hasPrefix(Self.prefix + "-")
      && item.lastPathComponent != history.best.map({ best($0.step).lastPathComponent })
    {
      output.remove(item.lastPathComponent)
    }
  }

  private func best(_ step: Int) -> URL { output.file("\(Self.prefix)-\(step)") }

  /// What the names of everything that is saved on the way begin with.
  static let prefix = "training"

  /// Removes what is no part of the output.
  static func clear(_ output: OutputDirectory) {
    for item in (try? FileManager.default.contentsOfDirectory(at: output.partial, includingPropertiesForKeys: nil)) ?? []
    where item.lastPathComponent.hasPrefix(prefix) { output.remove(item.lastPathComponent) }
  }

  /// Windows to train on, and to measure on.
  private func windows() throws -> (training: [[Int32]], held: [[Int32]]) {
    // More than can be drawn at once are seen more than once.
    let wanted = min(1 << 20, pass.steps * pass.batchWindows + Self.heldOutWindows)
    let settings = CalibrationSettings(
      windows: wanted, sequenceLength: plan.sequenceLength, strategy: .random, seed: run.recipe.seed)
    let evaluator = Evaluator(interpreter: run.interpreter, progress: nil)
    let drawn = try plan.selection(settings, of: run.model, graph: graph, evaluator: evaluator, seed: run.recipe.seed).windows
    let held = min(Self.heldOutWindows, max(Self.leastHeldOut, drawn.count / 10))
    return (Array(drawn.dropFirst(held)), Array(drawn.prefix(held)))
  }

  /// The windows of a step: passes over the text one behind the other, each in an order of its own.
  private func windows(of step: Int, _ order: BatchOrder, _ windows: [[Int32]]) -> [[Int32]] {
    let perEpoch = windows.count / pass.batchWindows
    let (epoch, place) = step.quotientAndRemainder(dividingBy: perEpoch)
    return order.order(epoch: epoch)[place * pass.batchWindows..<(place + 1) * pass.batchWindows].map { windows[$0] }
  }

  /// The start as it was.
  private func started(_ start: ModelGraph, _ parameters: any QuantizedParameters) -> TrainedWeights {
    var weights: [ParameterID: (tensor: QuantizedTensor, clipped: Int)] = [:]
    for id in parameters.wanted {
      if case .quantized(let tensor)? = try? start[id].load() { weights[id] = (tensor, 0) }
    }
    return TrainedWeights(weights: weights, gains: [:])
  }

  private func identity(_ text: (training: [[Int32]], held: [[Int32]])) throws -> String {
    var digest = ContentDigest()
    digest.update("\(Tool.version)\n\(run.recipe.yaml())\n\(try run.model.contentDigest())\n")
    for file in run.recipe.adapterFiles { digest.update("\(try FileDigest.hexadecimal(of: file))\n") }
    for window in text.training + text.held { window.withUnsafeBytes { digest.update($0) } }
    return digest.hexadecimal()
  }

  private func section(
    _ history: FinetuneHistory, _ parameters: any QuantizedParameters, _ text: (training: [[Int32]], held: [[Int32]])
  ) -> CompressionReport.Training {
    CompressionReport.Training(
      method: QuantizationAwareTraining.identifier, loss: CompressionReport.Training.divergence,
      trainableParameters: parameters.variables.reduce(0) { $0 + $1.values.rows * $1.values.columns }, steps: history.losses.count,
      tokensPerStep: Double(pass.batchWindows * plan.sequenceLength),
      tokensPerSecond: history.seconds > 0 ? Double(history.tokens) / history.seconds : nil, losses: history.reportedLosses,
      evaluations: history.evaluations.map { .init(step: $0.step, loss: $0.loss) }, bestStep: history.best?.step,
      evaluationTokens: text.held.reduce(0) { $0 + max(0, $1.count - 1) }, examples: text.training.count)
  }

  private func warnings(_ history: FinetuneHistory, _ text: (training: [[Int32]], held: [[Int32]])) -> [String] {
    var warnings: [String] = []
    if history.best?.step == 0 {
      warnings.append("training did not help on held-out text: what was written is its start, by error feedback")
    }
    if text.training.count < pass.steps * pass.batchWindows {
      warnings.append("\(plan.file.lastPathComponent) gives \(text.training.count) windows: training saw them more than once")
    }
    if !history.skipped.isEmpty { warnings.append("\(history.skipped.count) steps of training had no finite gradient and changed nothing") }
    return warnings
  }
}
