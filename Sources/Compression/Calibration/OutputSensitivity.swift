import CKernels
import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors

/// What the model's output distribution feels of every linear layer's output: the Fisher information, by its Kronecker factor on the output side.
///
/// For the gradients g of −log p(y) with respect to a layer's output, y drawn from the model itself, E[g gᵀ] says how a small error of that
/// output moves the model's distribution: KL ≈ ½ E[(gᵀ ε)²]. With the Gram matrix of the inputs it makes the quadratic form
/// tr(G ΔW H ΔWᵀ) that two-sided rounding minimises (Martens & Grosse 2015, K-FAC; Tseng et al. 2025, YAQA). The gradients' squared norm per
/// token says how much a token matters at all.
public final class OutputSensitivity {
  private struct Layer {
    let size: Int
    let factorOffset: Int
    let importanceOffset: Int
  }

  /// Tokens that were sent through, in the order of the calibration stream.
  public let tokens: Int
  /// Bytes of factors that a process has in memory while they are added up.
  let waveBytes: Int
  private let file: SpillFile
  private var layers: [ParameterID: Layer] = [:]
  private var end = 0
  /// What earlier passes of the run divided outputs by.
  private var outputFactors: [ParameterID: [Float]] = [:]

  private init(tokens: Int, waveBytes: Int, directory: URL) throws {
    (self.tokens, self.waveBytes) = (tokens, waveBytes)
    file = try SpillFile(in: directory)
  }

  /// Σ g gᵀ over the tokens, for the layer of this weight; nil when the layer was not measured.
  package func factor(of weight: ParameterID) throws -> GramMatrix? {
    guard let layer = layers[weight] else { return nil }
    let values = Matrix(rows: layer.size, columns: layer.size)
    try file.read(values.bytes, at: layer.factorOffset)
    if let factors = outputFactors[weight], factors.count == layer.size {
      for row in 0..<layer.size { dso_scale_elements(values.row(row), factors, factors[row], Int64(layer.size)) }
    }
    return GramMatrix(lower: values, tokens: tokens, totalWeight: Double(tokens))
  }

  /// Follows a transform that divides output i of a layer by `factors[i]`: what is behind it feels that output as many times more.
  func scaleFactor(of weight: ParameterID, by factors: [Float]) {
    let earlier = outputFactors[weight]
    outputFactors[weight] = factors.indices.map { factors[$0] * (earlier?[$0] ?? 1) }
  }

  /// How much each token matters to the layers that read this value, with mean 1; nil when they were not measured.
  func importance(readersOf value: ValueID, in block: Block, of graph: ModelGraph) throws -> [Float]? {
    var sum = [Float](repeating: 0, count: tokens)
    var isKnown = false
    let isRouted = graph[value].route != nil
    for (node, weight) in graph.linears(of: block) where node.inputs[0] == value {
      guard let layer = layers[weight] else { continue }
      var part = [Float](repeating: 0, count: tokens)
      try part.withUnsafeMutableBytes { try file.read($0, at: layer.importanceOffset) }
      for index in sum.indices { sum[index] += part[index] }
      isKnown = true
    }
    // A token that an expert did not see then may come to it behind compressed blocks: it counts like any other.
    let mean = sum.reduce(0.0) { $0 + Double($1) } / Double(max(1, isRouted ? sum.count { $0 > 0 } : tokens))
    guard isKnown, mean > 0 else { return nil }
    return sum.map { isRouted && $0 == 0 ? 1 : Float(Double($0) / mean) }
  }

  /// Sends the text forward and its gradients back, a block at a time. Activations between blocks and all results wait in files.
  /// - Parameters:
  ///   - seed: of the tokens that are drawn.
  ///   - waveBytes: of factors that a process adds up at once; where those of a block take more, it is run again for the others.
  public static func measure(
    _ stream: CalibrationStream, seed: UInt64, spillingTo directory: URL, waveBytes: Int = 1 << 30, progress: ProgressHandler? = nil
  ) throws -> OutputSensitivity {
    let graph = stream.source
    let result = try OutputSensitivity(
      tokens: stream.batches.reduce(0) { $0 + $1.layout.rows }, waveBytes: waveBytes, directory: directory)
    try result.checkDisk(graph, directory)
    let layers = graph.body
    guard let head = graph.blocks.last, head.kind == .head else { return result }
    let widest = layers.compactMap { graph[graph.boundary(of: $0).output].width }.max() ?? 0
    // Forward; the head forward and back; then every layer but the first again, and back, with a Gram matrix of what its outputs feel.
    let tokens = result.tokens
    let forward = layers.map { graph.operations(of: $0, tokens: tokens) }
    let backward = layers.dropFirst().reversed().map { block in
      graph.linears(of: block).reduce(2 * graph.operations(of: block, tokens: tokens)) {
        $0 + WorkEstimate.gram(graph[$1.weight].shape[0], tokens: tokens)
      }
    }
    let meter = WorkMeter(
      "Measuring sensitivity", costs: forward + [3 * graph.operations(of: head, tokens: tokens)] + backward, tokens: tokens,
      progress: progress)
    return try meter.measure { try result.fill(stream, seed: seed, widest: widest, spillingTo: directory, meter) }
  }

  /// Every layer leaves a square of its outputs on the disk: models with many wide experts would fill any.
  private func checkDisk(_ graph: ModelGraph, _ directory: URL) throws {
    var bytes = 0.0
    for block in graph.body {
      for (_, weight) in graph.linears(of: block) {
        let outputs = Double(graph[weight].shape[0])
        bytes += (outputs * outputs + Double(tokens)) * Double(MemoryLayout<Float>.stride)
      }
    }
    var status = statvfs()
    guard statvfs(directory.path, &status) == 0 else { return }
    let free = Double(status.f_bavail) * Double(status.f_frsize)
    guard bytes <= free else {
      throw CompressionError(
        "output sensitivity", "takes \(Int64(min(bytes, 9e18))) bytes of space on the disk, and \(Int64(free)) are free",
        remedy: "use --algorithm gptq, which does without, or write to a larger disk", kind: .inputOutput)
    }
  }

  /// Keeps what was measured of a layer.
  func keep(_ factor: Matrix, importance: [Float], of weight: ParameterID) throws {
    let bytes = UnsafeRawBufferPointer(factor.bytes)
    layers[weight] = Layer(size: factor.rows, factorOffset: end, importanceOffset: end + bytes.count)
    try file.write(bytes, at: end)
    try importance.withUnsafeBytes { try file.write($0, at: end + bytes.count) }
    end += bytes.count + importance.count * MemoryLayout<Float>.stride
  }
}
