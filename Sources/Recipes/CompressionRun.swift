import Calibration
import Compression
import Diagnostics
import Distribution
import Execution
import Formats
import Foundation
import ModelGraph
import Reporting
import StructuredData
import Tensors

/// One run of a recipe: open, plan, work block by block, write, read again and compare, measure, report, rename.
public struct CompressionRun {
  public let model: ModelBundle
  public let recipe: Recipe
  public let settings: RunSettings
  let progress: ProgressHandler?
  let interpreter: Interpreter
  /// The least time between two saves of what is done; nil saves behind every block.
  var saveInterval: Duration? = .seconds(5)

  public init(model: ModelBundle, recipe: Recipe, settings: RunSettings, progress: ProgressHandler? = nil) {
    var resolved = recipe
    // What the model cannot do is refused when the run is prepared.
    resolved.format = recipe.format.resolved(for: model)
    self.model = model.required(by: resolved.format)
    if let plan = try? recipe.calibration?.resolved(for: model.graph) { resolved.calibration = plan }
    self.recipe = resolved
    self.settings = settings
    self.progress = progress
    interpreter = settings.makeInterpreter()
  }

  /// A run that was checked as far as it can be without weights.
  struct Preparation {
    let layout: OutputLayout
    let workers: [any BlockPass]
    /// The model that passes begin on.
    let graph: ModelGraph
  }

  /// What passes get that rewrite the model as a whole.
  var resources: PassResources {
    PassResources(pool: interpreter.pool) { [model] path in try model.adapters(in: URL(fileURLWithPath: path)) }
  }

  /// What sizes are compared with.
  var source: ModelBundle { settings.reference ?? model }

  /// What the output is held against: the model as it was, with an adapter that is merged beside it.
  func reference() throws -> ModelGraph {
    if let reference = settings.reference { return reference.graph }
    guard let merging = recipe.passes.lazy.compactMap({ $0 as? AdapterMerging }).first else { return model.graph }
    return try model.adapted(by: URL(fileURLWithPath: merging.adapter), pool: interpreter.pool).graph
  }

  func prepare() throws -> Preparation {
    if settings.gates.maximumPerplexityIncrease != nil || settings.gates.maximumKLDivergence != nil {
      try model.requirePredictions(for: "a gate on them")
    }
    return try prepare(try recipe.prepare(model.graph, using: resources))
  }

  /// - Parameters:
  ///   - graph: the model that passes begin on.
  ///   - inputErrors: what calibration has found out for passes that choose layers by it.
  private func prepare(_ graph: ModelGraph, inputErrors: InputErrors? = nil) throws -> Preparation {
    var context = PassContext(interpreter: interpreter, seed: recipe.seed)
    context.inputErrors = inputErrors
    context.keepsCodes = recipe.format.keepsQuantizedWeights
    let (workers, plan) = try recipe.blockPasses.begin(on: graph, in: context)
    return Preparation(
      layout: try OutputLayout(model: model, graph: graph, plan: plan, format: recipe.format), workers: workers, graph: graph)
  }

  /// Runs the recipe.
  /// - Returns: the report that was written, too.
  /// - Throws: a `Failure`; then there is no new output. A run that was stopped may leave a hidden directory beside the output's place, which
  ///   one with `resume` continues and any other clears away. A missed gate does not throw: the report says so.
  public func execute() throws -> CompressionReport {
    let start = ContinuousClock.now
    try model.requireValues()
    try checkPlace()
    let evaluation = try settings.evaluation.map { try EvaluationPlan($0, model: model) }
    let prepared = try prepareWithinMemory()
    return try reserving { output in
      // One thread means one: then files are digested at the end. So do several processes, each some of them.
      let digests = interpreter.pool.threads > 1 && group.isAlone ? StreamedDigests(of: model.weightFiles) : nil
      defer { digests?.cancel() }
      return try finish(quantize(prepared, into: output, digests: digests), evaluation: evaluation, digests: digests, since: start)
    }
  }

  /// Refuses at once what could not be written in the end.
  func checkPlace() throws {
    try OutputDirectory.check(settings.output, overwrite: settings.overwrite, inputs: inputs, group: group)
  }

  /// The processes that share the run.
  var group: ProcessGroup { interpreter.group }

  /// Works in an output directory.
  func reserving(_ body: (OutputDirectory) throws -> CompressionReport) throws -> CompressionReport {
    let output = try OutputDirectory(
      settings.output, overwrite: settings.overwrite, resume: settings.resume, inputs: inputs, group: group)
    return try output.keepingWhatCounts { try body(output) }
  }

  /// A checkpoint that was written and compared with what it should be, and has no name yet.
  struct Quantized {
    let output: OutputDirectory
    let journal: RunJournal
    /// The model that passes began on.
    let prepared: ModelGraph
    let written: ModelBundle
    let encoding: any OutputEncoding
    let records: [PassRecord]
    let calibration: CalibrationSelection?
    let training: CompressionReport.Training?
    let caveats: [String]
  }

  /// Runs the passes and writes the checkpoint.
  /// - Parameters:
  ///   - material: of calibration, when several runs share it.
  ///   - digests: told what is written.
  func quantize(
    _ prepared: Preparation, into output: OutputDirectory, sharing material: CalibrationMaterial? = nil, digests: StreamedDigests? = nil
  ) throws -> Quantized {
    let graph = prepared.graph
    let calibration =
      recipe.needs.isEmpty
      ? nil
      : try recipe.calibration.map {
        try CalibrationWork($0, for: self, graph: graph, sharing: material, spillingTo: output.partial)
      }
    let errors = try calibration?.inputErrors()
    let chosen = try errors.map { try prepare(graph, inputErrors: $0) } ?? prepared
    let journal = try RunJournal(self, in: output, blockCount: graph.blocks.count, calibration: calibration)
    // Nobody changes what another has not read yet.
    try output.synchronize()
    let training = try QuantizationTraining(self, graph: graph, calibration: calibration, in: output)?.train()
    let layout = chosen.layout
    var workers = chosen.workers
    let configuration = try OutputConfiguration(model: model, graph: graph, layout: layout)
    let yaml = recipe.yaml()
    let expected = try writeWeights(
      layout, graph, &workers, calibration, training?.trained, to: output, journal, configuration: configuration, recipe: yaml,
      observer: digests)
    try output.write(configuration.json.text(), to: "config.json")
    for file in configuration.files { try output.write(file.content.text(), to: file.name) }
    for companion in try model.companions(for: recipe.format) { try output.write(companion.content, to: companion.name) }
    try output.write(recipeHeader + yaml, to: "recipe.yaml")

    try output.synchronize()
    let written = try ModelBundle(opening: output.partial.path, families: model.families)
    let unfit = try WeightOutput.compare(written, with: expected, in: group, progress: progress)
    // What comes after a merge, or another container, leaves nothing that it could be taken out of.
    if recipe.passes.count == 1, recipe.passes[0] is AdapterMerging, recipe.format == .compressedTensors {
      try MergeRecord.write(of: graph, beside: written, digests: expected, in: output, pool: interpreter.pool)
      try output.synchronize()
    }
    try model.originalDigests?.check(expected)
    var caveats = try configuration.caveats + model.tokenizerNotes + blockWarnings(graph)
    if !recipe.adapterFiles.isEmpty, !FileManager.default.fileExists(atPath: output.file(MergeRecord.directoryName).path) {
      caveats.append("the adapter cannot be taken out again: that takes `merge` alone, into safetensors")
    }
    return Quantized(
      output: output, journal: journal, prepared: graph, written: written, encoding: layout.encoding, records: workers.map(\.record),
      calibration: calibration?.selection, training: training?.section,
      caveats: caveats + unfit + (training?.warnings ?? []) + journal.warnings)
  }

  /// Measures the checkpoint, writes the report, and gives the output its name.
  /// - Parameters:
  ///   - allocation: how its bits were chosen, when they were.
  ///   - digests: of the files that were read and written, where they were found out meanwhile.
  func finish(
    _ quantized: Quantized, evaluation: EvaluationPlan?, allocation: BitAllocation.Outcome? = nil, digests: StreamedDigests? = nil,
    since start: ContinuousClock.Instant
  ) throws -> CompressionReport {
    let output = quantized.output
    var report = try ReportBuilder(
      run: self, prepared: quantized.prepared, written: quantized.written, records: quantized.records,
      calibration: quantized.calibration, caveats: quantized.caveats, naming: quantized.encoding.nameReadBack, digests: digests
    )
    .report(evaluation: evaluation)
    report.training = quantized.training
    if let allocation {
      report.allocation = allocation.section
      report.warnings += allocation.warnings
    }
    report.resources = ResourceMeter.resources(
      since: start, clock: ContinuousClock(), bytesRead: model.sourceBytes, bytesWritten: report.size?.outputBytes,
      threads: interpreter.pool.threads)
    try output.write(&report, card: card(of: quantized.written))
    quantized.journal.remove()
    QuantizationTraining.clear(output)
    try output.commit()
    return report
  }

  func prepareWithinMemory() throws -> Preparation {
    let prepared = try prepare()
    try checkMemory(prepared)
    return prepared
  }

  /// A limit that the largest block, or the largest layer where those are worked on by themselves, exceeds cannot be kept, and is refused
  /// before any work.
  private func checkMemory(_ prepared: Preparation) throws {
    guard let limit = settings.maximumMemory else { return }
    let alone = PlannedMemory.worksLayerByLayer(self, prepared)
    let needed = largestUnitBytes(prepared, layersAlone: alone) + (32 << 20)
    guard needed <= limit else {
      throw RecipeError(
        "--max-memory", "of \(limit) bytes is less than the largest \(alone ? "layer" : "block") needs, \(needed)",
        remedy: "allow \(needed) bytes or more", kind: .usage)
    }
  }

  /// The weights before and after of the largest block, or of the largest layer.
  func largestUnitBytes(_ prepared: Preparation, layersAlone: Bool) -> Int {
    prepared.layout.blocks.flatMap { block in
      let sizes = block.map { model.storedBytes(of: prepared.graph[$0].name) + (prepared.layout.parameters[$0]?.byteCount ?? 0) }
      return layersAlone ? sizes : [sizes.reduce(0, +)]
    }.max() ?? 0
  }

  /// What the output must not replace.
  var inputs: [URL] {
    [model.directory] + model.checkpoint.files + recipe.adapterFiles + (settings.evaluation.map { [$0.text] } ?? [])
      + (recipe.calibration.map { [$0.file] } ?? [])
  }

  /// The line that makes the same checkpoint again.
  private var command: String {
    "deepseek-quant --recipe recipe.yaml --model MODEL --output OUTPUT\(recipe.isCalibrated ? " --calibration TEXT" : "")"
  }

  private var recipeHeader: String {
    """
    # \(Tool.name) \(Tool.version). \(model.originalDigests == nil ? "The same checkpoint again" : "An adapter was taken out by unmerge; then"):
    #   \(command)

    """
  }

  private func card(of written: ModelBundle) -> ModelCard.Output {
    let isTakenOut = model.originalDigests != nil
    return ModelCard.Output(
      of: written, as: recipe.format, from: source, recipe.relation, command: isTakenOut ? nil : command)
  }
}
