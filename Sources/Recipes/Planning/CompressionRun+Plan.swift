import Calibration
import Compression
import Diagnostics
import Formats
import Foundation
import ModelGraph
import Tensors

extension CompressionRun {
  /// What a run would do and what it would take, found without reading a weight.
  public struct Plan: Sendable {
    /// One weight of the output.
    public struct Layer: Sendable {
      public let name: String
      public let shape: Shape
      /// How the source keeps it, in the words of its container: `F8_E4M3`, `W4A16 g128`.
      public let sourceType: String
      public let storage: WeightStorage
      public let reason: StorageReason
      public let sourceBytes: Int
      public let outputBytes: Int
    }

    /// Every weight of the output, in model order; then what is passed on beside the model.
    public let layers: [Layer]
    public let sourceBytes: Int
    public let outputBytes: Int
    /// The largest block's weights before and after.
    public let largestBlockBytes: Int
    public let memory: PlannedMemory
    public let traffic: PlannedTraffic
    public let time: PlannedTime
    /// What several processes would make of it; nil where none were asked for.
    public let ranks: PlannedRanks?
    /// False where files of the source hold their header alone: then this plan is all that can be had of it.
    public let canRun: Bool
    /// The limit that the run would be held to; nil without one.
    public let maximumMemory: Int?

    /// Of the output, over all weights: scales, and weights that are not quantized, included.
    public var bitsPerWeight: Double {
      Double(outputBytes) * 8 / Double(max(1, layers.reduce(0) { $0 + $1.shape.elementCount }))
    }
  }

  /// Checks everything that can be checked without weights, text and output included, lays the output out, and estimates what the run takes.
  ///
  /// The estimate of time measures this machine for a few hundredths of a second; no weight is read.
  /// - Parameter ranks: processes that would share the run; nil for one, which has it to itself.
  public func plan(for ranks: RankLayout? = nil) throws -> Plan {
    let prepared = try prepare()
    if let calibration = recipe.calibration { _ = try CalibrationText(contentsOf: calibration.file) }
    let evaluation = try settings.evaluation.map { try EvaluationPlan($0, model: model) }
    try checkPlace()
    let layers = try plannedLayers(prepared)
    let work = PlannedWork(run: self, prepared: prepared, layers: layers, evaluation: evaluation)
    let traffic = PlannedTraffic(work)
    let time = PlannedTime(work, traffic: traffic)
    return Plan(
      layers: layers, sourceBytes: work.sourceBytes, outputBytes: work.outputBytes,
      largestBlockBytes: largestUnitBytes(prepared, layersAlone: false), memory: PlannedMemory(work), traffic: traffic,
      time: time, ranks: ranks.map { PlannedRanks(work, $0, traffic: traffic, time: time) }, canRun: model.checkpoint.holdsValues,
      maximumMemory: settings.maximumMemory)
  }

  private func plannedLayers(_ prepared: Preparation) throws -> [Plan.Layer] {
    let (graph, layout) = (prepared.graph, prepared.layout)
    var decisions: [ParameterID: QuantizationTargets.Decision] = [:]
    for pass in recipe.passes {
      if let pass = pass as? any TargetedPass { decisions.merge(try pass.targets.decisions(for: graph)) { _, later in later } }
    }
    var planner: [ParameterID: String] = [:]
    for (pass, worker) in zip(recipe.passes, prepared.workers) {
      for id in worker.plan.keys { planner[id] = type(of: pass).identifier }
    }
    func layer(_ entry: OutputLayout.Entry, _ reason: StorageReason) -> Plan.Layer {
      let stored = model.checkpoint.descriptor(entry.name)?.dataType.rawValue
      return Plan.Layer(
        name: entry.name, shape: entry.shape, sourceType: stored ?? model.weights.describe(entry.name)?.storage.text ?? "",
        storage: entry.storage, reason: reason, sourceBytes: model.storedBytes(of: entry.name), outputBytes: entry.byteCount)
    }
    let linears = Set(graph.blocks.flatMap { graph.linears(of: $0).map(\.weight) })
    let parameters = layout.blocks.joined().compactMap { id -> Plan.Layer? in
      guard let entry = layout.parameters[id] else { return nil }
      if planner[id] != nil, !layout.format.keepsQuantizedWeights { return layer(entry, .decoded) }
      if let decision = decisions[id] { return layer(entry, decision.reason) }
      if let identifier = planner[id] { return layer(entry, .pass(identifier)) }
      return layer(entry, linears.contains(id) ? .noPass : .notLinear)
    }
    return parameters + layout.extras.map { layer($0, .notRun) }
  }
}

extension WeightStorage {
  /// In a table: `BF16`, `W4A16 g128`.
  public var text: String {
    switch self {
    case .dense(let type): type.rawValue
    case .quantized(let scheme): scheme.name
    }
  }
}
