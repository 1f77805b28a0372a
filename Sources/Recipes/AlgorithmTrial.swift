import Calibration
import Compression
import Diagnostics
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
    public let name: String
    /// Mean KL divergence on the held-out windows, in nats per token.
    public let divergence: Double
    public let seconds: Double
  }

  /// Windows that candidates are calibrated on at most.
  public var windows = 32
  /// Windows that they are measured on.
  public var heldOut = 16
  /// Weights of the blocks that are tried, at most (the first layer is tried in any case).
  public var weights = 200_000_000

  public init() {}

  /// What will be done, in words.
  public struct Plan: Sendable {
    public let blocks: Int
    public let layers: Int
    public let windows: Int
    public let heldOut: Int
    /// Multiply-adds of all candidates together.
    public let operations: Double
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

  /// Tries the candidates in order.
  /// - Parameters:
  ///   - announce: told what will be done before it is.
  /// - Returns: all outcomes in the order of the candidates, and the place of the best.
  public func run(
    _ candidates: [(name: String, passes: [any CompressionPass])], of model: ModelBundle, calibration: CalibrationPlan, seed: UInt64,
    threads: Int?, progress: ProgressHandler?, announce: (String) -> Void
  ) throws -> (outcomes: [Outcome], best: Int) {
    let interpreter = Interpreter(pool: ThreadPool(threads: threads))
    let tokenizer = try model.tokenizer()
    let text = try CalibrationText(contentsOf: calibration.file)
    var settings = calibration.settings(maximumPositions: model.graph.maximumPositions, seed: seed)
    settings.strategy = .random
    settings.windows = min(settings.windows, windows + heldOut)
    let hasBeginnings = text.layout == .lines
    let selection = try text.selection(settings) {
      tokenizer.encode($0, addSpecialTokens: hasBeginnings)
    } grade: { _ in
      []
    }
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
    let trial = TrialRun(interpreter: interpreter, seed: seed, spill: FileManager.default.temporaryDirectory, progress: progress)
    var outcomes: [Outcome] = []
    for (index, candidate) in candidates.enumerated() {
      progress?(StageProgress(stage: "Trying \(candidate.name)", completed: index, total: candidates.count))
      let start = ContinuousClock.now
      let graph = try trial.compress(model.graph, by: candidate.passes, calibratedOn: used, blocks: plan.blocks)
      let divergence = try trial.divergence(of: graph, from: model.graph, on: held)
      outcomes.append(Outcome(name: candidate.name, divergence: divergence, seconds: (ContinuousClock.now - start).seconds))
    }
    progress?(StageProgress(stage: "Trying algorithms", completed: candidates.count, total: candidates.count))
    let best = outcomes.indices.min { outcomes[$0].divergence < outcomes[$1].divergence } ?? 0
    return (outcomes, best)
  }
}
