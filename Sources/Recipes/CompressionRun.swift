import Calibration
import Compression
import Diagnostics
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

  public init(model: ModelBundle, recipe: Recipe, settings: RunSettings, progress: ProgressHandler? = nil) {
    self.model = model
    self.recipe = recipe
    self.settings = settings
    self.progress = progress
    interpreter = Interpreter(pool: ThreadPool(threads: settings.threads))
  }

  /// What a run would do, found without reading a weight.
  public struct Plan: Sendable {
    public struct Layer: Sendable {
      public let name: String
      public let shape: Shape
      public let storage: WeightStorage
      public let sourceBytes: Int
      public let outputBytes: Int
    }
    public let layers: [Layer]
    public let sourceBytes: Int
    public let outputBytes: Int
    /// The largest block's weights before and after, the most that quantizing holds at once.
    public let largestBlockBytes: Int
  }

  /// Checks everything that can be checked without weights, text and output included, and lays the output out.
  public func plan() throws -> Plan {
    let (layout, _, _) = try prepare()
    if let calibration = recipe.calibration { _ = try CalibrationText(contentsOf: calibration.file) }
    _ = try settings.evaluation.map { try MeasurementPlan($0, model: model) }
    try OutputDirectory.check(settings.output, overwrite: settings.overwrite, inputs: inputs)
    let layers = layout.entries.map { entry in
      Plan.Layer(
        name: entry.name, shape: entry.shape, storage: entry.storage, sourceBytes: model.storedBytes(of: entry.name),
        outputBytes: entry.byteCount)
    }
    return Plan(
      layers: layers, sourceBytes: layers.reduce(0) { $0 + $1.sourceBytes },
      outputBytes: layers.reduce(0) { $0 + $1.outputBytes }, largestBlockBytes: largestBlockBytes(layout))
  }

  private func prepare() throws -> (layout: OutputLayout, workers: [any BlockPass], graph: ModelGraph) {
    let graph = try recipe.prepare(model.graph)
    let context = PassContext(interpreter: interpreter, seed: recipe.seed)
    var plan: [ParameterID: WeightStorage] = [:]
    var workers: [any BlockPass] = []
    for pass in recipe.passes {
      let worker = try pass.begin(on: graph, in: context)
      plan.merge(worker.plan) { _, later in later }
      workers.append(worker)
    }
    return (try OutputLayout(model: model, graph: graph, plan: plan, format: recipe.format), workers, graph)
  }

  /// Runs the recipe.
  /// - Returns: the report that was written, too.
  /// - Throws: a `Failure`; then nothing is left at the output's place. A missed gate does not throw: the report says so.
  public func execute() throws -> CompressionReport {
    let clock = ContinuousClock()
    let start = clock.now
    var (layout, workers, graph) = try prepare()
    try checkMemory(layout)
    let evaluation = try settings.evaluation.map { try MeasurementPlan($0, model: model) }
    let output = try OutputDirectory(
      settings.output, overwrite: settings.overwrite, resume: settings.resume, inputs: inputs)
    do {
      let calibration =
        recipe.needs.isEmpty
        ? nil : try recipe.calibration.map { try CalibrationWork($0, for: self, graph: graph, spillingTo: output.partial) }
      return try execute(into: output, layout, graph, &workers, calibration, evaluation, since: start, clock)
    } catch is StoppedFailure {
      throw StoppedFailure(isResumable: output.keepsPartial)
    } catch {
      // Whatever failed may fail again the same way: nothing is left behind.
      output.keepsPartial = false
      throw error
    }
  }

  private func execute(
    into output: OutputDirectory, _ layout: OutputLayout, _ graph: ModelGraph, _ workers: inout [any BlockPass],
    _ calibration: CalibrationWork?, _ evaluation: MeasurementPlan?, since start: ContinuousClock.Instant, _ clock: ContinuousClock
  ) throws -> CompressionReport {
    let configuration = try OutputConfiguration(model: model, graph: graph, layout: layout)
    let yaml = recipe.yaml()
    let journal = try RunJournal(self, in: output, calibration: calibration?.selection)
    let digests = try writeWeights(
      layout, graph, &workers, calibration, to: output, journal, configuration: configuration.json, recipe: yaml)
    try output.write(configuration.json.text(), to: "config.json")
    for companion in try model.companions() { try output.write(companion.content, to: companion.name) }
    try output.write(recipeHeader + yaml, to: "recipe.yaml")

    let written = try ModelBundle(opening: output.partial.path)
    try compare(written, with: digests)
    var report = try ReportBuilder(
      run: self, written: written, records: workers.map(\.record), calibration: calibration?.selection, caveats: configuration.caveats
    )
      .report(evaluation: evaluation)
    report.resources = ResourceMeter.resources(
      since: start, clock: clock, bytesRead: model.sourceBytes, bytesWritten: report.size?.outputBytes, threads: interpreter.pool.threads)
    try output.write(report.json.text(), to: "report.json")
    try output.write(HTMLReport.render(report), to: "report.html")
    journal.remove()
    try output.commit()
    return report
  }

  /// A limit that the largest block alone exceeds cannot be kept, and is refused before any work.
  private func checkMemory(_ layout: OutputLayout) throws {
    guard let limit = settings.maximumMemory else { return }
    let needed = largestBlockBytes(layout) + (32 << 20)
    guard needed <= limit else {
      throw RecipeError(
        "--max-memory", "of \(limit) bytes is less than the largest block needs, \(needed)", remedy: "allow \(needed) bytes or more",
        kind: .usage)
    }
  }

  /// The largest block's weights before and after.
  private func largestBlockBytes(_ layout: OutputLayout) -> Int {
    model.graph.blocks.map { block in
      model.graph.parameters(of: block).reduce(0) { sum, id in
        sum + model.storedBytes(of: model.graph[id].name) + (layout.parameters[id]?.byteCount ?? 0)
      }
    }.max() ?? 0
  }

  /// What the output must not replace.
  private var inputs: [URL] { [model.directory] + model.checkpoint.files + (settings.evaluation.map { [$0.text] } ?? [])
    + (recipe.calibration.map { [$0.file] } ?? []) }

  private var recipeHeader: String {
    """
    # \(Tool.name) \(Tool.version). The same checkpoint again:
    #   deepseek-quant --recipe recipe.yaml --model MODEL --output OUTPUT

    """
  }
}
