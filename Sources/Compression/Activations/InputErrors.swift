import CKernels
import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors

/// What int8 inputs alone do to the output of every layer: ‖(x − x̂) Wᵀ‖² over ‖x Wᵀ + b‖², on calibration text and float weights.
public struct InputErrors: Sendable {
  /// Noise over signal of each layer's output, as powers, by its weight; without layers whose output was 0 or not finite.
  public let ratios: [ParameterID: Double]

  /// Tokens of calibration text that are measured on at most.
  package static let mostTokens = 8192

  public init(ratios: [ParameterID: Double]) { self.ratios = ratios }

  /// Sends the first windows through the model, block by block.
  /// - Parameters:
  ///   - graph: the model that passes begin on.
  ///   - passes: those of the run. What comes before the first that quantizes is done to each block before it is measured: it is there to
  ///     make activations easier.
  ///   - windows: calibration text; what is beyond `limit` tokens is left out.
  package static func measure(
    _ graph: ModelGraph, under passes: [any CompressionPass], windows: [[Int32]], tokens limit: Int = mostTokens, in context: PassContext,
    spillingTo directory: URL, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws -> InputErrors {
    let (workers, plan) = try passes.begin(on: graph, in: context)
    let count = workers.firstIndex { !$0.plan.isEmpty } ?? workers.count
    var transforms = Array(workers[..<count])
    var tokens = 0
    let chosen = windows.prefix {
      tokens += $0.count
      return tokens <= max(limit, $0.count)
    }
    let needs = passes[..<count].reduce(into: Set<PassNeed>()) { $0.formUnion($1.needs) }.subtracting([.gradients])
    let stream = try CalibrationStream(
      windows: Array(chosen), of: graph, interpreter: context.interpreter, needs: needs, spillingTo: directory)
    var graph = graph
    var ratios: [ParameterID: Double] = [:]
    for (index, block) in graph.blocks.enumerated() {
      try Interruption.check()
      progress(index, graph.blocks.count)
      let context = context.with(stream.calibration(for: block, at: index, sensitivity: nil))
      for transform in transforms.indices { try transforms[transform].apply(to: block, of: &graph, in: context) }
      if let calibration = context.calibration {
        try ratios.merge(Self.ratios(of: block, in: graph, plan.mapValues(\.inputs), calibration, context)) { $1 }
      }
      try stream.advance(past: block, in: graph)
      for id in graph.parameters(of: block) { graph.release(id) }
    }
    progress(graph.blocks.count, graph.blocks.count)
    return InputErrors(ratios: ratios)
  }

  private static func ratios(
    of block: Block, in graph: ModelGraph, _ inputs: [ParameterID: ActivationQuantization], _ calibration: BlockCalibration,
    _ context: PassContext
  ) throws -> [ParameterID: Double] {
    let kinds = graph.linears(of: block).compactMap { inputs[$0.weight] }
    guard kinds.contains(where: { $0 != .none }) else { return [:] }
    let histograms = kinds.contains(.int8Static) ? try calibration.histograms(in: graph) : [:]
    let scales = histograms.mapValues { $0.smallestError(in: .float32).scale }
    var powers: [ParameterID: (noise: Double, signal: Double)] = [:]
    try calibration.forward(in: graph) { _, run in
      let (node, x) = (run.node, run.input)
      guard let weight = node.parameters.first, let kind = inputs[weight], kind != .none, x.rows > 0 else { return }
      let bias = node.parameters.dropFirst().first
      let rounded =
        kind == .float8
        ? context.interpreter.float8Quantized(x)
        : context.interpreter.fakeQuantized(x, scale: kind == .int8Static ? scales[node.inputs[0]] : nil)
      let plain = try context.interpreter.linear(x, weight: weight, bias: bias, of: graph)
      let noisy = try context.interpreter.linear(rounded, weight: weight, bias: bias, of: graph)
      let count = Int64(plain.rows * plain.columns)
      powers[weight, default: (0, 0)].noise += dso_sum_squared_differences(plain.pointer, noisy.pointer, count)
      powers[weight, default: (0, 0)].signal += dso_sum_squares(plain.pointer, count)
    }
    return powers.compactMapValues { $0.signal > 0 && ($0.noise / $0.signal).isFinite ? $0.noise / $0.signal : nil }
  }
}
