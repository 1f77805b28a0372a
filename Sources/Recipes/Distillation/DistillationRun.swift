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

/// One distillation: open the teacher, draw windows of text, train the student stage by stage, write it, read it again, and measure it against
/// the teacher.
public struct DistillationRun {
  /// The student.
  public let model: ModelBundle
  public let distillation: Distillation
  /// The text to learn from when the options name none.
  let calibration: CalibrationPlan?
  let seed: UInt64
  public let settings: RunSettings
  let progress: ProgressHandler?
  let interpreter: Interpreter
  /// Asked before every step whether to go on; throws to stop.
  var stopCheck: (_ phase: String, _ step: Int) throws -> Void

  public init(
    student model: ModelBundle, distillation: Distillation, calibration: CalibrationPlan? = nil, seed: UInt64 = 0, settings: RunSettings,
    progress: ProgressHandler? = nil
  ) {
    (self.model, self.distillation, self.calibration, self.seed) = (model, distillation, calibration, seed)
    (self.settings, self.progress) = (settings, progress)
    interpreter = settings.makeInterpreter()
    stopCheck = { _, _ in try settings.group.checkInterruption() }
  }

  /// Trains and writes the result.
  /// - Returns: the report that was written, too.
  /// - Throws: a `Failure`; then there is no new output. A run that was stopped or killed leaves a hidden directory that `resume` continues.
  public func execute() throws -> CompressionReport {
    let start = ContinuousClock.now
    let teacher = try openTeacher()
    _ = try check(on: model.graph, teacher: teacher)
    try OutputDirectory.check(settings.output, overwrite: settings.overwrite, inputs: inputs, group: interpreter.group)
    let evaluation = try settings.evaluation.map { try MeasurementPlan($0, model: model) }
    let output = try OutputDirectory(
      settings.output, overwrite: settings.overwrite, resume: settings.resume, inputs: inputs, group: interpreter.group)
    return try output.keepingWhatCounts {
      progress?(StageProgress(stage: "Drawing windows", completed: 0, total: 1))
      let material = try DistillationMaterial(
        distillation, student: model, teacher: teacher, data: try data(), seed: seed, interpreter: interpreter,
        spillingTo: output.partial)
      progress?(StageProgress(stage: "Drawing windows", completed: 1, total: 1))
      let student = try DistilledStudent(model.graph, teacher: teacher.graph, pool: interpreter.pool)
      let identity = try identity(material, teacher)
      try interpreter.group.agree(on: identity, called: "models, text and settings")
      let journal = try DistillationJournal(identity: identity, in: output, resume: settings.resume)
      let loop = try DistillationLoop(material, student, steps: distillation.stepsByPhase, journal: journal, progress: progress)
      loop.stopCheck = stopCheck
      try loop.run()
      let (written, unfit) = try write(student.current(), to: output)
      var report = try makeReport(written, teacher, evaluation, material)
      report.distillation = CompressionReport.Distillation(
        teacher: teacher.name, trainableParameters: student.trainedParameters,
        heldOutTokens: material.heldOut.reduce(0) { $0 + $1.count - 1 }, cacheBytes: material.cacheBytes, stages: loop.stages)
      report.warnings += unfit
      for stage in loop.stages {
        guard let skipped = stage.skippedSteps else { continue }
        report.warnings.append("\(skipped) steps of the stage \(stage.name) had no finite gradient and changed nothing")
      }
      for stage in loop.stages where !stage.isKept {
        report.warnings.append("the stage \(stage.name) was rolled back: \(stage.reason ?? "it did not help")")
      }
      if distillation.ablationSeeds > 0 {
        report.distillation?.ablation = try DistillationAblation(self, teacher: teacher, output: output).variants(whole: loop.stages)
      }
      report.resources = ResourceMeter.resources(
        since: start, clock: ContinuousClock(), bytesRead: model.sourceBytes + teacher.sourceBytes,
        bytesWritten: report.size?.outputBytes, threads: interpreter.pool.threads)
      try output.write(recipe.header() + recipe.yaml(), to: "recipe.yaml")
      try output.write(&report, card: recipe.card(of: written, from: settings.reference ?? model))
      DistillationJournal.clear(output)
      try output.commit()
      return report
    }
  }

  private var recipe: Recipe { Recipe(passes: [distillation], seed: seed, calibration: calibration) }

  /// The model that is learned from.
  private func openTeacher() throws -> ModelBundle {
    if !distillation.teacher.isEmpty { return try ModelBundle(opening: distillation.teacher, families: model.families) }
    guard let reference = settings.reference else {
      throw RecipeError("distill: teacher", "is not named", remedy: "give --teacher MODEL, or `teacher: MODEL` in the recipe", kind: .usage)
    }
    return reference
  }

  /// The text that is learned from.
  func data() throws -> CalibrationPlan {
    if !distillation.data.isEmpty { return CalibrationPlan(text: distillation.data) }
    guard let calibration else {
      throw RecipeError(
        "distill: data", "is not named", remedy: "give --data FILE, or `calibration: {text: FILE}` in the recipe", kind: .usage)
    }
    return calibration
  }

  private var inputs: [URL] {
    [model.directory] + model.checkpoint.files + recipe.inputFiles + (settings.evaluation.map { [$0.text] } ?? [])
  }

  private func check(on graph: ModelGraph, teacher: ModelBundle) throws -> ModelGraph {
    try model.requirePredictions(for: "distill")
    try teacher.requirePredictions(for: "distill")
    try distillation.validate(for: graph)
    guard graph.vocabularySize == teacher.graph.vocabularySize else {
      throw RecipeError(
        "teacher", "has a vocabulary of \(teacher.graph.vocabularySize), the student one of \(graph.vocabularySize)",
        remedy: "distil between models that share a tokenizer", kind: .usage)
    }
    guard distillation.sequenceLength <= teacher.graph.maximumPositions else {
      throw RecipeError(
        "distill: sequence-length", "\(distillation.sequenceLength) is more than the teacher's \(teacher.graph.maximumPositions)",
        remedy: "use a shorter one", kind: .usage)
    }
    _ = try LayerMapping(from: graph, to: teacher.graph, layers: distillation.layers.isEmpty ? nil : distillation.layers)
    _ = try CalibrationText(contentsOf: data().file)
    if let context = settings.evaluation?.context, context > teacher.graph.maximumPositions {
      throw RecipeError(
        "--sequence-length", "of \(context) is beyond the teacher's \(teacher.graph.maximumPositions) positions",
        remedy: "use at most \(teacher.graph.maximumPositions)", kind: .usage)
    }
    // Values, gradients and two moments of every weight in float32, beside the teacher.
    let needed = 16 * graph.parameterCount + teacher.sourceBytes
    if let limit = settings.maximumMemory, limit < needed {
      throw RecipeError(
        "--max-memory", "of \(limit) bytes is less than training takes, \(needed) and the activations", remedy: "allow more", kind: .usage)
    }
    return graph
  }

  /// Of everything that the result depends on.
  private func identity(_ material: DistillationMaterial, _ teacher: ModelBundle) throws -> String {
    var digest = ContentDigest()
    digest.update("\(Tool.version)\n\(recipe.yaml())\n\(try model.contentDigest())\n\(try teacher.contentDigest())\n")
    digest.update(model.configuration.text(pretty: false) + teacher.configuration.text(pretty: false))
    for window in material.windows + material.heldOut { window.withUnsafeBytes { digest.update($0) } }
    return digest.hexadecimal()
  }

  /// Writes the student in the types that it came in, and compares what is read again.
  /// - Returns: what was written, and what the report says of values in it that are no numbers.
  private func write(_ graph: ModelGraph, to output: OutputDirectory) throws -> (written: ModelBundle, warnings: [String]) {
    let layout = try OutputLayout(model: model, graph: graph, plan: [:], format: .compressedTensors)
    var weights = try output.weights(of: layout, from: model.graph)
    for block in graph.blocks {
      for id in graph.parameters(of: block) {
        guard let entry = layout.parameters[id] else { continue }
        try weights.write(try graph[id].load(), entry)
      }
    }
    try weights.finish(passingOn: model.weights)
    try output.write(try OutputConfiguration(model: model, graph: graph, layout: layout).json.text(), to: "config.json")
    for companion in try model.companions() { try output.write(companion.content, to: companion.name) }
    return try output.reopened(of: model, with: weights, progress: progress)
  }

  private func makeReport(
    _ written: ModelBundle, _ teacher: ModelBundle, _ evaluation: MeasurementPlan?, _ material: DistillationMaterial
  ) throws -> CompressionReport {
    let reference = settings.reference ?? teacher
    var report = CompressionReport(
      tool: .init(name: Tool.name, version: Tool.version),
      model: .init(name: model.name, family: model.graph.family, parameters: model.graph.parameterCount))
    report.recipe = recipe.listing
    let known = try interpreter.group.digests(of: model.weightFiles + written.checkpoint.files)
    report.inputs = .init(
      modelSHA256: try model.contentDigest(known: known, progress: progress), evalSHA256: evaluation?.digest,
      dataSHA256: material.textDigest)
    report.warnings = material.textWarnings
    if try data().isDemo, reference.name != DemoModel.name {
      report.warnings.append("learned from the demo text; give text of the kind the model is for")
    }
    report.size = .init(of: written, from: reference)
    report.outputs = try CompressionReport.OutputFile.files(of: written, known: known)
    if let evaluation {
      let evaluator = evaluation.evaluator(interpreter, within: settings.maximumMemory, progress: progress)
      report.accuracy = .init(
        try evaluator.accuracy(of: written.graph, reference: reference.graph, on: evaluation.text), computedIn: evaluation.arithmetic)
      report.keyValueCache = try .init(of: written.graph, evaluation, evaluator: evaluator)
    }
    report.gates = settings.gates.results(report.accuracy)
    return report
  }
}

extension DistillationRun: RecipeStage {
  func check(on graph: ModelGraph) throws -> ModelGraph { try check(on: graph, teacher: openTeacher()) }
}

extension Distillation: StagePass {
  func stage(of recipe: Recipe, on model: ModelBundle, settings: RunSettings, progress: ProgressHandler?) -> any RecipeStage {
    DistillationRun(
      student: model, distillation: self, calibration: recipe.calibration, seed: recipe.seed, settings: settings, progress: progress)
  }

  var files: [URL] { teacherFiles + (data.isEmpty ? [] : [CalibrationPlan(text: data).file]) }

  /// The teacher's place, and what lies there.
  private var teacherFiles: [URL] {
    guard !teacher.isEmpty, teacher != DemoModel.name else { return [] }
    let place = URL(fileURLWithPath: teacher)
    let items = (try? FileManager.default.contentsOfDirectory(at: place, includingPropertiesForKeys: nil)) ?? []
    return [place] + items.sorted { $0.path < $1.path }
  }

  /// Steps of every phase by its name.
  var stepsByPhase: [String: Int] {
    ["features": featureSteps, "logits": logitSteps, "policy": policySteps, "robustness": robustnessSteps]
  }
}
