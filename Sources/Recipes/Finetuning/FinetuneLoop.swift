import Diagnostics
import Distribution
import Execution
import Foundation
import ModelGraph
import StructuredData
import Tensors
import Training

/// The steps of a run: batches, evaluations, saves, and the end.
final class FinetuneLoop {
  let run: FinetuneRun
  let data: FinetuneData
  let trainer: Trainer
  private(set) var history = FinetuneHistory()
  private let place: OutputDirectory
  private let identity: String
  private let steps: Int
  private let interval: Int

  init(run: FinetuneRun, subject: FinetuneSubject, data: FinetuneData, place: OutputDirectory) throws {
    let settings = run.settings
    let steps = data.steps
    let schedule = LearningRateSchedule(
      settings.schedule, peak: settings.learningRate, floor: settings.floor, warmup: Int((Double(steps) * settings.warmup).rounded()),
      cycles: settings.cycles)
    let model = try LoadedModel(subject.graph)
    trainer = try Trainer(
      model, subject.parametrization,
      settings: TrainerSettings(optimizer: settings.optimizer, schedule: schedule, steps: steps, clip: settings.clip),
      interpreter: run.interpreter, products: settings.precision, retention: settings.keepsActivations ? .keep : .recompute)
    (self.run, self.place, self.steps) = (run, place, steps)
    interval = settings.evaluationInterval > 0 ? settings.evaluationInterval : max(1, steps / 10)
    identity = try run.identity(subject, data)
    try run.interpreter.group.agree(on: identity, called: "model, data and settings")
    self.data = settings.curriculum ? try data.ordered(byDifficulty: Self.difficulties(data, trainer)) : data
    if run.resume, let notes = try TrainingState.resume(trainer, from: run.state(in: place), identity: identity) {
      guard let history = FinetuneHistory(notes) else {
        throw TrainingError(run.state(in: place).path, "is incomplete", remedy: "start anew, without --resume", kind: .badData)
      }
      self.history = history
    }
  }

  /// What the model as it is thinks of every row: its mean loss.
  private static func difficulties(_ data: FinetuneData, _ trainer: Trainer) throws -> [Double] {
    try data.rows.map { row in
      guard let batch = FinetuneData.batches([row], size: 1).first else { return .infinity }
      return try trainer.loss([batch])
    }
  }

  func train() throws {
    try run.progress?(
      .started(
        parameters: trainer.parametrization.variables.reduce(0) { $0 + $1.values.rows * $1.values.columns }, examples: data.rows.count,
        heldOut: data.heldOut.count, steps: steps, resumedAt: trainer.steps))
    let tell = run.progress
    // What the listener throws ends the run with the event that follows.
    let progress: ProgressHandler = { step in try? tell?(.working(step)) }
    let batch = run.settings.batchSize * run.settings.accumulation
    // A step goes forward and back, a check forward only.
    let meter = StepMeter(
      "Training", steps: steps, interval: interval, stepCost: 3 * Double(batch), checkCost: Double(data.heldOut.count),
      tokensPerStep: batch * run.settings.sequenceLength, progress: tell == nil ? nil : progress)
    do {
      while true {
        // First of all: a run that was stopped on its way to an evaluation makes up for it.
        if isEvaluationDue {
          meter.beginCheck(after: trainer.steps)
          try meter.measure(evaluate)
        }
        guard trainer.steps < steps, !stoppedEarly else { break }
        try run.interpreter.group.checkInterruption()
        meter.begin(step: trainer.steps)
        let start = ContinuousClock.now
        let step = try meter.measure { try trainer.step(data.batches(step: trainer.steps)) }
        history.add(loss: step.loss, tokens: step.tokens, seconds: start.duration(to: .now).seconds, isSkipped: step.isSkipped)
        try report(step)
        if trainer.steps % max(1, run.saveInterval) == 0, trainer.steps < steps { try save() }
      }
    } catch let stop as StoppedFailure {
      // A stop in the middle of a step loses that step only: nothing was changed yet.
      try save()
      throw stop
    }
    meter.finish()
    guard history.losses.isEmpty || history.skipped.count < history.losses.count else {
      throw TrainingError(
        "training", "has learned nothing: none of its \(history.losses.count) steps had a finite gradient",
        remedy: "use a lower learning rate, or a longer warm-up")
    }
    // What fails from here on, a full disk say, costs no training.
    try save()
    if let step = history.best?.step, step != trainer.steps { try trainer.loadVariables(from: best(step)) }
    try requireNumbers()
  }

  /// What a step without an evaluation left may be no numbers: nothing else would say so before it is written.
  private func requireNumbers() throws {
    for variable in trainer.parametrization.variables {
      let values = variable.values
      let count = values.tensor([values.rows, values.columns]).notFiniteCount
      guard count == 0 else {
        throw trainer.model.graph.notFinite()
          ?? TrainingError(
            variable.name, "has \(count) values that are NaN or infinite after \(trainer.steps) steps: training has diverged",
            remedy: "use a lower learning rate, or hold data out: then the best evaluation is kept")
      }
    }
  }

  private var isEvaluationDue: Bool {
    let isPlace = trainer.steps % interval == 0 || trainer.steps == steps
    return isPlace && !data.heldOut.isEmpty && history.evaluations.last?.step != trainer.steps
  }

  /// Whether evaluations have not improved for as long as patience lasts.
  var stoppedEarly: Bool {
    let patience = run.settings.patience
    return patience > 0 && history.evaluationsSinceBest >= patience && trainer.steps < steps
  }

  private func report(_ step: TrainingStep) throws {
    let rate = Double(history.tokens) / max(1e-9, history.seconds)
    let left = history.seconds / Double(max(1, history.losses.count)) * Double(steps - trainer.steps)
    try run.progress?(.step(step, steps: steps, tokensPerSecond: rate, secondsLeft: left))
  }

  private func evaluate() throws {
    let loss = try trainer.loss(FinetuneData.batches(data.heldOut, size: run.settings.batchSize))
    guard loss.isFinite || trainer.steps > 0 else {
      throw trainer.model.graph.notFinite()
        ?? TrainingError(
          "the model", "has no finite loss on the data that is held out: its weights are numbers, but some are far out of range",
          remedy: "repair the checkpoint, or fetch it again")
    }
    let isBest = history.add(evaluation: loss, step: trainer.steps)
    // What is kept is on the disk: memory holds one set of variables.
    if isBest { try trainer.saveVariables(to: best(trainer.steps)) }
    try run.progress?(.evaluated(loss: loss, step: trainer.steps, isBest: isBest))
  }

  private func best(_ step: Int) -> URL { place.file("\(Self.bestPrefix)\(step)") }

  static let bestPrefix = "best-"

  private func save() throws {
    try TrainingState.save(trainer, to: run.state(in: place), identity: identity, notes: history.notes)
    place.keepsPartial = true
    try removeBest(except: history.best?.step)
  }

  /// Removes evaluations that nothing goes back to any more; a state that was saved refers to the best one only.
  private func removeBest(except step: Int?) throws {
    for item in (try? FileManager.default.contentsOfDirectory(at: place.partial, includingPropertiesForKeys: nil)) ?? []
    where item.lastPathComponent.hasPrefix(Self.bestPrefix) && item.lastPathComponent != step.map({ Self.bestPrefix + "\($0)" }) {
      place.remove(item.lastPathComponent)
    }
  }

  /// Removes everything that only the run itself needed.
  func clear() throws {
    try removeBest(except: nil)
    for suffix in ["", ".new", ".old"] {
      place.remove(run.state(in: place).lastPathComponent + suffix)
    }
  }
}
