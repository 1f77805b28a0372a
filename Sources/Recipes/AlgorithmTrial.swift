import Calibration
import Compression
import Diagnostics
import Distribution
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors

/// Several ways to quantize, each tried on a part of the calibration text and measured on another part; the best is kept.
///
/// What is tried is bounded by the amount of work, never by the clock, so that the choice is the same on every machine: at most
/// `windows` windows and as many of the first blocks as `weights` allows.
public struct AlgorithmTrial: Sendable {
  /// One way, and what it came to.
  public struct Outcome: Sendable, Hashable {
    /// As the candidate was named.
    public let name: String
    /// Mean KL divergence on the held-out windows, in nats per token; nil when the trial failed.
    public let divergence: Double?
    /// Wall-clock time of the trial.
    public let seconds: Double
    /// Why the trial failed.
    public let failure: String?
  }

  /// Windows that candidates are calibrated on at most.
  public var windows = 32
  /// Windows that they are measured on.
  public var heldOut = 16
  /// Weights of the blocks that are tried, at most (the first layer is tried in any case).
  public var weights = 200_000_000

  /// Trials of the usual extent.
  public init() {}

  /// What will be done.
  struct Plan {
    /// Blocks that are compressed, the embedding included, of a model with that many layers.
    let blocks: Int
    let layers: Int
    /// Windows to calibrate on, and to measure on.
    let windows: Int
    let heldOut: Int
    /// Multiply-adds of all candidates together.
    let operations: Double
  }

  /// - Parameter candidates: how many there are.
  func plan(_ graph: ModelGraph, windows available: Int, length: Int, candidates: Int) -> Plan {
    let heldOut = min(heldOut, max(1, available / 4))
    let used = min(windows, available - heldOut)
    var (blocks, weights) = (0, 0)
    for block in graph.blocks.dropLast() {
      let size = graph.linears(of: block).reduce(0) { $0 + graph[$1.weight].shape.elementCount }
      if blocks >= 2, weights + size > self.weights { break }
      (blocks, weights) = (blocks + 1, weights + size)
    }
    // Forward, statistics and (for a third of the candidates) gradients over the calibration windows; two forwards over the others.
    let tokens = Double(length) * (Double(used) * 6 + Double(heldOut) * 2)
    return Plan(
      blocks: blocks, layers: graph.blocks.count - 2, windows: used, heldOut: heldOut,
      operations: Double(graph.parameterCount) * tokens * Double(candidates))
  }

  /// Tries the candidates in order. Which layers keep float activations is left out: that is the same for all.
  /// - Parameters:
  ///   - run: the run that the best is found for; its recipe says what text, its settings what may be used.
  ///   - announce: told what will be done before it is.
  /// - Returns: all outcomes in the order of the candidates, and the place of the best.
  /// - Throws: when the text has too little for it, when the run is stopped, or when every trial fails (as the first did).
  public func run(
    _ candidates: [(name: String, passes: [any CompressionPass])], for run: CompressionRun, announce: (String) -> Void
  ) throws -> (outcomes: [Outcome], best: Int) {
    guard let calibration = try run.recipe.calibration?.resolved(for: run.model.graph) else {
      throw RecipeError("calibration", "has no text to try algorithms on", remedy: "give --calibration FILE", kind: .usage)
    }
    let (model, interpreter, limit) = (run.model, run.interpreter, run.settings.maximumMemory)
    var settings = calibration.settings(seed: run.recipe.seed)
    settings.strategy = .random
    settings.windows = min(settings.windows, windows + heldOut)
    let evaluator = Evaluator(interpreter: interpreter, progress: nil).limited(to: limit, batch: nil)
    let selection = try calibration.selection(settings, of: model, graph: model.graph, evaluator: evaluator, seed: run.recipe.seed)
    guard selection.windows.count >= 2 else {
      throw RecipeError(
        calibration.text, "has too little text to hold any out", remedy: "name one with --algorithm, or give more text", kind: .badData)
    }
    let plan = plan(
      model.graph, windows: selection.windows.count, length: settings.sequenceLength, candidates: candidates.count)
    // A core does some 50 thousand million multiply-adds a second here.
    let seconds = plan.operations / (5e10 * Double(interpreter.pool.threads))
    announce(
      "trying \(candidates.map(\.name).joined(separator: ", ")) on \(plan.windows) windows and the first "
        + "\(plan.blocks - 1) of \(plan.layers) layers, measured on \(plan.heldOut) others: about \(max(1, Int(seconds.rounded()))) s")
    let held = Array(selection.windows.suffix(plan.heldOut))
    let used = Array(selection.windows.prefix(plan.windows))
    // Beside the output: the system's temporary directory may be memory.
    let trial = TrialRun(
      interpreter: interpreter, resources: run.resources, seed: run.recipe.seed, spill: run.settings.output.deletingLastPathComponent(),
      memoryLimit: limit)
    let reference = try run.reference()
    var outcomes: [Outcome] = []
    var problem: (any Error)?
    let costs = candidates.map { candidate in
      trial.operations(
        model.graph, by: candidate.passes, calibratedOn: used, measuredOn: held.tokenCount, blocks: plan.blocks)
    }
    let meter = WorkMeter("Trying algorithms", costs: costs, progress: run.progress)
    for (index, candidate) in candidates.enumerated() {
      meter.begin(index)
      let start = ContinuousClock.now
      var (divergence, failure): (Double?, String?) = (nil, nil)
      do {
        let passes = candidate.passes.filter { !$0.needs.contains(.inputErrors) }
        divergence = try meter.measure {
          let graph = try trial.compress(model.graph, by: passes, calibratedOn: used, blocks: plan.blocks)
          return try trial.divergence(of: graph, from: reference, on: held)
        }
        if divergence == nil { failure = "its divergence is not a number" }
      } catch let error as any Failure where error.kind == .badData && !(error is LostExchange) {
        // One method that cannot work on these weights leaves the others.
        failure = error.description
        problem = problem ?? error
      }
      outcomes.append(
        Outcome(name: candidate.name, divergence: divergence, seconds: (ContinuousClock.now - start).seconds, failure: failure))
    }
    meter.finish()
    let measured = outcomes.indices.filter { outcomes[$0].divergence != nil }
    guard let best = measured.min(by: { (outcomes[$0].divergence ?? .infinity) < (outcomes[$1].divergence ?? .infinity) }) else {
      throw problem
        ?? RecipeError(
          calibration.text, "gives no algorithm a divergence that is a number", remedy: "name one with --algorithm", kind: .badData)
    }
    return (outcomes, best)
  }
}
