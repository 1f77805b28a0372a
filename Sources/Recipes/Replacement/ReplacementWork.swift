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
import StructuredData
import Tensors

/// The work of a replacement: what takes text is found, and the model is written weight by weight.
struct ReplacementWork {
  private let run: ReplacementRun
  private let graph: ModelGraph
  private let configuration: JSONValue
  let selection: CalibrationSelection?
  private(set) var warnings: [String]
  private let dropped: Set<String>

  init(_ run: ReplacementRun, spillingTo directory: URL) throws {
    self.run = run
    let (source, interpreter, replacement) = (run.model.graph, run.interpreter, run.replacement)
    let evaluator = Evaluator(interpreter: interpreter, progress: run.progress).limited(to: run.settings.maximumMemory, batch: nil)
    let plan = replacement.usesText ? try run.calibration?.resolved(for: source) : nil
    selection = try plan?.selection(of: run.model, graph: source, evaluator: evaluator, seed: run.seed)
    let limit = run.settings.maximumMemory.map { $0 / 3 } ?? 512 << 20
    var traits: [ValueID: ExpertTraits]?
    if replacement.mergeExperts > 0 {
      traits =
        try selection.map { found in
          let meter = WorkMeter(
            "Comparing experts", blocksOf: source, tokens: found.windows.tokenCount, runs: 2, progress: run.progress)
          return try meter.run { done in
            try ExpertTraits.measure(
              source, windows: found.windows, interpreter: interpreter, memoryLimit: limit, spillingTo: directory, progress: done)
          }
        } ?? ExpertTraits.ofRouters(source)
    }
    var graph = try replacement.mergingExperts(replacement.replacingOperations(source), traits: traits, pool: interpreter.pool).graph
    if let found = selection, replacement.normalization == .dynamicTanh {
      let meter = WorkMeter("Fitting norms", blocksOf: graph, tokens: found.windows.tokenCount, runs: 2, progress: run.progress)
      graph = try meter.run { done in
        try DynamicTanhFit.fitted(
          graph, windows: found.windows, interpreter: interpreter, memoryLimit: limit, spillingTo: directory, progress: done)
      }
    } else {
      try replacement.replaceNorms(of: &graph)
    }
    self.graph = graph
    var (json, caveats) = try ArchitectureCatalog.configuration(run.model.configuration, of: source, replacedAs: graph)
    dropped = replacement.mergeExperts > 0 ? Set(run.model.strayLayers) : []
    if replacement.mergeExperts > 0 {
      json = try ArchitectureCatalog.configuration(json, resizedTo: graph)
      if !dropped.isEmpty { json = .object((json.object ?? [:]).withoutPredictionLayers) }
    }
    if let first = dropped.sorted().first {
      caveats.append(
        "\(dropped.count) tensors of layers that the model does not run are left out: they would not fit it; the first is \(first)")
    }
    // Weights that were decoded as they were read are written as what they are.
    var object = json.object ?? [:]
    object.removeQuantization()
    (configuration, warnings) = (.object(object), caveats)
  }

  /// Writes the checkpoint, and compares what is read again with what it was written from.
  mutating func write(to output: OutputDirectory) throws -> ModelBundle {
    let model = run.model
    let layout = try OutputLayout(
      model: model, graph: graph, plan: [:], format: .compressedTensors, leavingOut: { dropped.contains($0) })
    var weights = try output.weights(of: layout, from: model.graph)
    let meter = WorkMeter("Replacing", blocksOf: graph, isWritten: true, progress: run.progress)
    for (index, block) in graph.blocks.enumerated() {
      try output.group.checkInterruption()
      meter.begin(index)
      for id in graph.parameters(of: block) {
        guard let entry = layout.parameters[id] else { continue }
        try weights.write(try graph[id].load(), entry)
        graph[id].releasePages()
      }
    }
    meter.finish()
    try weights.finish(passingOn: model.weights)
    try output.write(configuration.text(), to: "config.json")
    for companion in try model.companions() { try output.write(companion.content, to: companion.name) }
    let (written, unfit) = try output.reopened(of: model, with: weights, progress: run.progress)
    warnings += unfit
    return written
  }
}
