import Architectures
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

/// The work of a pruning: block by block, what goes is found, the layers behind it are repaired, and what stays is written and let go.
struct PruningWork {
  private let run: PruningRun
  private let interpreter: Interpreter
  private let stream: CalibrationStream?
  private let given: TaylorScores?
  private var graph: ModelGraph
  /// The dimensions that run through the whole model and became smaller.
  private let hidden: [ChannelDimension]
  /// The layers that are gone, by their blocks in the source.
  private let removed: Set<Int>
  /// Of how many experts of a layer how many stay, by the layer's name.
  private let experts: [(name: String, units: Int, kept: Int)]
  /// The model in the sizes that it will have; its values are none that are kept.
  private let sizes: ModelGraph
  let selection: CalibrationSelection?
  /// What was passed on that is no number.
  private var unfit: [String] = []
  private(set) var outcomes: [StructuredPruning.Outcome] = []

  init(_ run: PruningRun, interpreter: Interpreter, spillingTo directory: URL) throws {
    (self.run, self.interpreter) = (run, interpreter)
    let pruning = run.pruning
    hidden = try run.pruning.sizes(of: run.model.graph).map(\.dimension).filter { $0.block == nil }
    guard let plan = try run.calibration?.resolved(for: run.model.graph) else {
      let fewer = try pruning.withoutExperts(
        run.model.graph, scores: pruning.experts > 0 ? ExpertScores.ofWeights(run.model.graph, importance: pruning.importance) : nil)
      experts = Self.experts(of: run.model.graph, fewer.kept)
      sizes = try pruning.shrunk(fewer.graph)
      graph = try pruning.withoutHidden(fewer.graph, pool: interpreter.pool)
      (selection, stream, removed, given) = (nil, nil, [], nil)
      return
    }
    let evaluator = Evaluator(interpreter: interpreter, progress: run.progress).limited(to: run.settings.maximumMemory, batch: nil)
    let found = try plan.selection(of: run.model, graph: run.model.graph, evaluator: evaluator, seed: run.seed)
    selection = found
    let limit = run.settings.maximumMemory.map { $0 / 3 } ?? 512 << 20
    let influences =
      run.pruning.layers == 0
      ? [:]
      : try WorkMeter(
        "Judging layers", blocksOf: run.model.graph, tokens: found.windows.tokenCount, runs: 2, progress: run.progress
      ).run { done in
        try LayerInfluence.measure(
          run.model.graph, windows: found.windows, interpreter: interpreter, memoryLimit: limit, spillingTo: directory, progress: done)
      }
    let shallower = try run.pruning.withoutLayers(run.model.graph, influences: influences)
    removed = shallower.removed
    let scores =
      pruning.experts == 0
      ? nil
      : try WorkMeter(
        "Judging experts", blocksOf: shallower.graph, tokens: found.windows.tokenCount, runs: 2, progress: run.progress
      ).run { done in
        try ExpertScores.measure(
          shallower.graph, windows: found.windows, interpreter: interpreter, memoryLimit: limit, spillingTo: directory, progress: done)
      }
    let fewer = try pruning.withoutExperts(shallower.graph, scores: scores)
    experts = Self.experts(of: shallower.graph, fewer.kept)
    sizes = try pruning.shrunk(fewer.graph)
    given =
      pruning.importance != .taylor
      ? nil
      : try TaylorScores(of: fewer.graph, windows: found.windows, interpreter: interpreter) { done, total in
        run.progress?(StageProgress(stage: "Judging channels", completed: done, total: total))
      }
    graph = try pruning.withoutHidden(fewer.graph, given: given, pool: interpreter.pool)
    stream = try CalibrationStream(
      windows: found.windows, of: graph, interpreter: interpreter, needs: [.calibration],
      memoryLimit: limit, spillingTo: directory)
  }

  private static func experts(of graph: ModelGraph, _ kept: [ValueID: [Int]]) -> [(name: String, units: Int, kept: Int)] {
    graph.routers.compactMap { router in
      kept[router.output].map { (graph.blocks[router.block].name, router.routing.experts, $0.count) }
    }
  }

  /// What was left out unasked, and what was not repaired though there was text for it.
  var warnings: [String] {
    let stray = run.model.strayLayers
    let leftOut =
      stray.isEmpty
      ? [] : ["\(stray.count) tensors of layers that the model does not run are left out: they would not fit it; the first is \(stray[0])"]
    return leftOut + repairWarnings + unfit
  }

  private var repairWarnings: [String] {
    guard selection != nil else { return [] }
    let left = outcomes.filter { $0.errors == nil }.map { graph.blocks[$0.dimension.block ?? 0].name + " (\($0.dimension.kind.rawValue))" }
    return
      (left.isEmpty
      ? []
      : ["not repaired, its inputs on the calibration text leave no solution, or none that its type holds: \(left.joined(separator: ", "))"])
      + (hidden.isEmpty ? [] : ["the width of the residual stream was made smaller without a repair: there is none for it"])
  }

  /// What the report says of it.
  var section: CompressionReport.Pruning {
    let source = run.model.graph
    let whole = hidden.map {
      CompressionReport.Pruning.Dimension(name: "model", kind: $0.kind.rawValue, units: $0.units, kept: run.pruning.kept(of: $0))
    }
    return CompressionReport.Pruning(
      parameters: source.parameterCount, keptParameters: graph.parameterCount,
      dimensions: removed.sorted().map { .init(name: source.blocks[$0].name, kind: "layer", units: 1, kept: 0) }
        + experts.map { .init(name: $0.name, kind: "experts", units: $0.units, kept: $0.kept) } + whole
        + outcomes.map { outcome in
          .init(
            name: outcome.dimension.block.map { graph.blocks[$0].name } ?? "model", kind: outcome.dimension.kind.rawValue,
            units: outcome.dimension.units, kept: outcome.kept, errorBefore: outcome.errors?.before, errorAfter: outcome.errors?.after)
        })
  }

  /// Writes the checkpoint, and compares what is read again with what it was written from.
  mutating func write(to output: OutputDirectory) throws -> ModelBundle {
    let model = run.model
    let dropped = Set(model.strayLayers)
    let layout = try OutputLayout(
      model: model, graph: sizes, plan: [:], format: .compressedTensors, leavingOut: { dropped.contains($0) })
    var weights = try output.weights(of: layout, from: model.graph)
    // A repair gathers what layers read, then sends the text on.
    let meter = WorkMeter(
      "Pruning", blocksOf: graph, tokens: selection?.windows.tokenCount ?? 0, runs: 3, isWritten: true, progress: run.progress)
    for (index, block) in graph.blocks.enumerated() {
      try output.group.checkInterruption()
      meter.begin(index)
      let (stream, whole) = (stream, graph.blocks[index])
      try meter.measure {
        outcomes += try run.pruning.prune(
          index, of: &graph, given: given, calibration: { stream?.calibration(for: whole, at: index, sensitivity: nil) },
          pool: interpreter.pool)
        try stream?.advance(past: block, in: graph)
      }
      for id in graph.parameters(of: block) {
        guard let entry = layout.parameters[id] else { continue }
        guard graph[id].shape == entry.shape else {
          throw RecipeError(entry.name, "became \(graph[id].shape) where \(entry.shape) was announced", kind: .badData)
        }
        try weights.write(try graph[id].load(), entry)
        graph[id].releasePages()
        graph.release(id)
      }
    }
    meter.finish()
    try weights.finish(passingOn: model.weights)
    let kept = model.graph.layerBlocks.enumerated().filter { !removed.contains($0.element) }.map(\.offset)
    var configuration =
      try ArchitectureCatalog.configuration(
        model.configuration, resizedTo: sizes, keeping: removed.isEmpty ? nil : kept
      ).object ?? [:]
    if !dropped.isEmpty { configuration = configuration.withoutPredictionLayers }
    configuration.removeQuantization()
    try output.write(JSONValue.object(configuration).text(), to: "config.json")
    for companion in try model.companions() { try output.write(companion.content, to: companion.name) }
    let (written, warnings) = try output.reopened(of: model, with: weights, progress: run.progress)
    unfit = warnings
    return written
  }
}
