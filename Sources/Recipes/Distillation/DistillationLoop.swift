import Compression
import Diagnostics
import Evaluation
import Execution
import Foundation
import ModelGraph
import Reporting
import Statistics
import StructuredData
import Tensors
import Training

/// The stages of a distillation one after the other: each is measured before and after, and undone where it did not help.
final class DistillationLoop {
  let material: DistillationMaterial
  let student: DistilledStudent
  let alignment: FeatureAlignment
  private let meter: DistillationMeter
  private let phases: [any DistillationPhase]
  /// Nil for the ablation, which asks what the stages do together: nothing is measured in between, undone or saved.
  private let journal: DistillationJournal?
  private let progress: ProgressHandler?
  /// Asked before every step whether to go on; throws to stop.
  var stopCheck: (_ phase: String, _ step: Int) throws -> Void = { _, _ in try Interruption.check() }
  /// What the steps of all stages took.
  private(set) var seconds = 0.0
  private(set) var stages: [CompressionReport.Distillation.Stage] = []
  private var last: DistillationMeter.Result?

  /// Where the learning rate ends, as a share of where its last stage began.
  private static let lastRate: Float = 0.02
  /// Steps between two saves of what `--resume` goes on from.
  private static let saveInterval = 50

  /// - Parameter steps: of each phase by name; those without any are left out.
  init(
    _ material: DistillationMaterial, _ student: DistilledStudent, steps: [String: Int], journal: DistillationJournal?,
    progress: ProgressHandler?
  ) throws {
    (self.material, self.student, self.journal, self.progress) = (material, student, journal, progress)
    alignment = try material.alignment(of: student.source)
    meter = DistillationMeter(material: material)
    func count(_ name: String) -> Int { steps[name] ?? 0 }
    let all: [any DistillationPhase] = [
      FeaturePhase(
        material: material, alignment: alignment, steps: count("features"),
        isFollowed: ["logits", "policy", "cross-entropy"].contains { count($0) > 0 }),
      TextPhase(material: material, steps: count("cross-entropy")), LogitPhase(material: material, steps: count("logits")),
      PolicyPhase(material: material, steps: count("policy")), RobustnessPhase(material: material, steps: count("robustness")),
    ]
    phases = all.filter { $0.steps > 0 }
  }

  func run() throws {
    let pool = material.interpreter.pool
    try journal?.load(into: student.parameters, pool: pool)
    stages = journal?.stages ?? []
    for (phase, _) in zip(phases, stages) { material.note(try phase.windowsAsked(before: phase.steps)) }
    for (place, phase) in phases.enumerated().dropFirst(stages.count) {
      let next = place + 1 < phases.count ? phases[place + 1].rate : nil
      guard let journal else {
        seconds += try train(phase, before: next).seconds
        continue
      }
      if !journal.isResuming { try journal.begin(student.parameters) }
      let before = try last ?? measured("Measuring the student")
      let history = try train(phase, before: next)
      seconds += history.seconds
      let after = try measuredBehind(phase)
      let stage = outcome(of: phase, before, after, history)
      if !stage.isKept { try journal.rollBack(student.parameters, pool: pool) }
      last = stage.isKept ? after.result : before
      try journal.finish(stage, student.parameters)
      stages.append(stage)
    }
  }

  /// What a stage left; a student that cannot be measured has diverged, which is a reason to undo the stage and no end of the run.
  private func measuredBehind(_ phase: any DistillationPhase) throws -> (result: DistillationMeter.Result?, problem: String?) {
    do { return (try measured("Measuring \(phase.name)"), nil) } catch let failure as any Failure where failure.kind == .badData {
      return (nil, "it cannot be measured: \(failure.subject) \(failure.problem)")
    }
  }

  private func measured(_ name: String) throws -> DistillationMeter.Result {
    let work = WorkMeter(name, costs: meter.costs(student.source), progress: progress)
    let result = try work.measure { try meter.measure(student.current()) { work.begin($0) } }
    work.finish()
    return result
  }

  /// - Parameter next: where the learning rate of the stage behind it begins; nil for the last.
  private func train(_ phase: any DistillationPhase, before next: Float?) throws -> FinetuneHistory {
    let interpreter = material.interpreter, options = material.options
    // One schedule over all: a stage that began again from a high rate would undo what the one before it settled on.
    let floor = next.map { min(1, $0 / phase.rate) } ?? Self.lastRate
    let schedule = LearningRateSchedule(
      .cosine, peak: options.learningRate * student.rate * phase.rate, floor: floor, warmup: max(1, phase.steps / 20))
    let trainer = try Trainer(
      LoadedModel(student.source), phase.parameters(student.parameters),
      settings: TrainerSettings(
        optimizer: AdamWSettings(beta2: 0.99, weightDecay: 0), schedule: schedule, steps: phase.steps, clip: student.isQuantized ? 0 : 1),
      interpreter: interpreter, products: options.precision, retention: .keep)
    var history = FinetuneHistory()
    if let notes = try journal?.resume(trainer) {
      guard let saved = FinetuneHistory(notes) else {
        throw TrainingError("distillation", "has a saved state that is incomplete", remedy: "start anew, without --resume", kind: .badData)
      }
      history = saved
      material.note(try phase.windowsAsked(before: trainer.steps))
    }
    // Of the student as the stage found it, however far the stage has come: what it looks for stays the same.
    try phase.begin { [student] in
      try LoadedModel(student.source).overriding(trainer.steps == 0 ? student.parameters.values : self.startValues())
    }
    let meter = StepMeter(
      phase.progressName, steps: phase.steps, interval: phase.steps, stepCost: 1, checkCost: 0,
      tokensPerStep: options.batchWindows * options.sequenceLength, progress: progress)
    do {
      while trainer.steps < phase.steps {
        try stopCheck(phase.name, trainer.steps)
        meter.begin(step: trainer.steps)
        let start = ContinuousClock.now
        let step = try phase.step(trainer)
        history.add(loss: step.loss, tokens: step.tokens, seconds: start.duration(to: .now).seconds, isSkipped: step.isSkipped)
        if trainer.steps % Self.saveInterval == 0, phase.canResume(at: trainer.steps) { try journal?.save(trainer, notes: history.notes) }
      }
    } catch let stop as StoppedFailure {
      if phase.canResume(at: trainer.steps), trainer.steps > 0 { try journal?.save(trainer, notes: history.notes) }
      throw stop
    }
    meter.finish()
    return history
  }

  /// What the student computed with when the stage at work began.
  private func startValues() throws -> [ParameterID: Matrix] {
    guard let journal else { return student.parameters.values }
    let fresh = try DistilledStudent(student.source, teacher: material.teacher.graph, pool: material.interpreter.pool)
    try journal.rollBack(fresh.parameters, pool: material.interpreter.pool)
    return fresh.parameters.values
  }

  private func outcome(
    of phase: any DistillationPhase, _ before: DistillationMeter.Result,
    _ measured: (result: DistillationMeter.Result?, problem: String?), _ history: FinetuneHistory
  ) -> CompressionReport.Distillation.Stage {
    let after = measured.result
    let change = after.flatMap { Self.change(phase.measure, before, $0) }
    let plain = after.flatMap { Self.change(.divergence, before, $0) }
    var reason = measured.problem
    if reason == nil, change?.interval == nil { reason = "what it is judged by could not be measured" }
    if let interval = change?.interval, interval.upperBound >= 0 { reason = "the interval of its change reaches 0" }
    if reason == nil, phase.guardsDivergence, let interval = plain?.interval, interval.lowerBound > 0 {
      reason = "the divergence on plain text grew by \(String(format: "%.2g", plain?.mean ?? 0))"
    }
    return CompressionReport.Distillation.Stage(
      name: phase.name, steps: phase.steps, tokens: history.tokens, seconds: history.seconds, losses: history.reportedLosses,
      skippedSteps: history.skipped.isEmpty ? nil : history.skipped.count, before: before.figures, after: after?.figures ?? .init(),
      measure: phase.measure.rawValue, change: change?.mean,
      changeInterval: change?.interval.map { .init(lower: $0.lowerBound, upper: $0.upperBound) }, isKept: reason == nil, reason: reason)
  }

  /// The mean of paired differences.
  private static func change(
    _ measure: DistillationMeter.Measure, _ before: DistillationMeter.Result, _ after: DistillationMeter.Result
  ) -> ClusteredMean? {
    guard let first = before.samples[measure], let second = after.samples[measure], first.count == second.count, first.count > 1 else {
      return nil
    }
    return ClusteredMean(clusters: zip(second, first).map(-))
  }

  /// The student as it is, measured last.
  func figures() throws -> CompressionReport.Distillation.Figures {
    if let last { return last.figures }
    let result = try measured("Measuring the student")
    last = result
    return result.figures
  }
}
