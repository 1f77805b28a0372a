import Compression
import Diagnostics
import Evaluation
import Execution
import Foundation
import ModelGraph

/// Passes tried in memory on some windows and the first blocks of a model, and what they cost there.
struct TrialRun {
  let interpreter: Interpreter
  /// What passes get that rewrite the model as a whole.
  let resources: PassResources
  let seed: UInt64
  /// Where activations go that do not fit.
  let spill: URL
  /// `--max-memory`.
  let memoryLimit: Int?

  /// The model with its first blocks compressed. Memory holds the replaced weights of these blocks.
  /// - Parameters:
  ///   - source: the model before the passes.
  ///   - windows: calibration text.
  ///   - blocks: how many blocks to work on; the others stay as they are.
  func compress(_ source: ModelGraph, by passes: [any CompressionPass], calibratedOn windows: [[Int32]], blocks: Int) throws -> ModelGraph {
    var prepared = source
    for pass in passes { prepared = try pass.prepare(prepared, using: resources) }
    let context = PassContext(interpreter: interpreter, seed: seed)
    var workers = try passes.begin(on: prepared, in: context).workers
    let needs = passes.reduce(into: Set<PassNeed>()) { $0.formUnion($1.needs) }
    let stream =
      needs.isEmpty
      ? nil
      : try CalibrationStream(
        windows: windows, of: prepared, interpreter: interpreter, needs: needs, memoryLimit: memoryLimit.map { $0 / 3 } ?? 512 << 20,
        spillingTo: spill)
    let sensitivity =
      try needs.contains(.gradients)
      ? stream.map { try OutputSensitivity.measure($0, seed: seed, spillingTo: spill) } : nil
    var graph = prepared
    for (index, block) in graph.blocks.prefix(blocks).enumerated() {
      try Interruption.check()
      let context = context.with(stream?.calibration(for: block, at: index, sensitivity: sensitivity))
      for pass in workers.indices { try workers[pass].apply(to: block, of: &graph, in: context) }
      try stream?.advance(past: block, in: graph)
    }
    return graph
  }

  /// What compressing will cost, for progress.
  func operations(
    _ source: ModelGraph, by passes: [any CompressionPass], calibratedOn windows: [[Int32]], measuredOn held: Int, blocks: Int
  ) -> Double {
    // What cannot begin fails in a moment.
    guard let workers = try? passes.begin(on: source, in: PassContext(interpreter: interpreter, seed: seed)).workers else { return 1 }
    let needs = passes.reduce(into: Set<PassNeed>()) { $0.formUnion($1.needs) }
    let streams = needs.isEmpty ? 0.0 : needs.contains(.referenceActivations) ? 2 : 1
    let text = CalibrationExtent(windows)
    var sum = source.blocks.reduce(0) { $0 + 2 * source.operations(of: $1, tokens: held) }
    for block in source.blocks {
      let run = source.operations(of: block, tokens: text.tokens)
      if needs.contains(.gradients) { sum += run * (block.kind == .head ? 3 : 4) }
    }
    for block in source.blocks.prefix(blocks) {
      sum += block.kind == .head ? 0 : source.operations(of: block, tokens: text.tokens) * streams
      sum += workers.reduce(0) { $0 + $1.operations(on: block, of: source, calibratedOn: text) }
    }
    return sum
  }

  /// The mean KL divergence of a model from its source on windows that it was not calibrated on, in nats per token.
  /// - Returns: nil when it is not a number.
  func divergence(of model: ModelGraph, from source: ModelGraph, on windows: [[Int32]]) throws -> Double? {
    let text = try EvaluationText(name: "held-out calibration text", tokens: Array(windows.joined()), context: windows.first?.count ?? 0)
    let evaluator = Evaluator(interpreter: interpreter).limited(to: memoryLimit, batch: nil)
    return try evaluator.accuracy(of: model, reference: source, on: text).klDivergence?.mean
  }
}
