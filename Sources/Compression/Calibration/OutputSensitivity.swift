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
  private let file: SpillFile
  private var layers: [ParameterID: Layer] = [:]
  private var end = 0
  /// What earlier passes of the run divided outputs by.
  private var outputFactors: [ParameterID: [Float]] = [:]

  private init(tokens: Int, directory: URL) throws {
    self.tokens = tokens
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
  /// - Parameter seed: of the tokens that are drawn.
  public static func measure(
    _ stream: CalibrationStream, seed: UInt64, spillingTo directory: URL, progress: ProgressHandler? = nil
  ) throws -> OutputSensitivity {
    let graph = stream.source
    let result = try OutputSensitivity(tokens: stream.batches.reduce(0) { $0 + $1.layout.rows }, directory: directory)
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

  private func fill(_ stream: CalibrationStream, seed: UInt64, widest: Int, spillingTo directory: URL, _ meter: WorkMeter) throws
    -> OutputSensitivity
  {
    let (graph, interpreter, batches) = (stream.source, stream.interpreter, stream.batches)
    let layers = graph.body
    guard let head = graph.blocks.last else { return self }
    var states: [ActivationStore] = []
    for (place, block) in layers.enumerated() {
      meter.begin(place)
      let store = try ActivationStore(rows: batches.map(\.layout.rows), widest: widest, spillingTo: directory)
      let weights = try LoadedBlock(block, of: graph)
      for (index, batch) in batches.enumerated() {
        try Interruption.check()
        let output =
          if let input = states.last {
            try interpreter.run(block, of: graph, weights: weights, input: try input.load(index), sequences: batch.layout)
          } else {
            try interpreter.run(
              block, of: graph, weights: weights, tokens: Array(stream.windows[batch.windows].joined()), sequences: batch.layout)
          }
        try store.store(output, for: index)
      }
      states.append(store)
    }
    guard let gradients = states.popLast() else { return self }
    meter.begin(layers.count)
    try differentiateHead(head, gradients, stream, seed: seed)
    for (index, block) in layers.enumerated().reversed() where index > 0 {
      guard let inputs = states.popLast() else { break }
      meter.begin(2 * layers.count - index)
      try differentiate(block, inputs, gradients, stream)
    }
    meter.finish()
    return self
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

  /// Puts the gradients of what the last layer leaves in its place.
  private func differentiateHead(_ head: Block, _ states: ActivationStore, _ stream: CalibrationStream, seed: UInt64) throws {
    let weights = try LoadedBlock(head, of: stream.source)
    var first = 0
    for (index, batch) in stream.batches.enumerated() {
      try Interruption.check()
      let rows = batch.layout.rows
      let loss = try stream.interpreter.headLoss(
        head, of: stream.source, weights: weights, input: try states.load(index), target: .drawn(seed: seed, firstRow: first),
        rowWeights: Array(repeating: 1, count: rows), wanting: [], inputGradient: true)
      // Gradients of no number would be found in every layer, and the first of them blamed.
      guard loss.loss.isFinite else {
        throw stream.source.notFinite()
          ?? CompressionError(
            "the model", "gives logits that are not finite: its weights are numbers, but some are far out of range",
            remedy: "repair the checkpoint, or fetch it again", kind: .badData)
      }
      if let gradient = loss.gradients.input { try states.store(gradient, for: index) }
      first += rows
    }
  }

  /// Takes the gradients behind a block to those in front of it, in their place, and keeps what its layers' outputs saw.
  private func differentiate(
    _ block: Block, _ inputs: ActivationStore, _ gradients: ActivationStore, _ stream: CalibrationStream
  ) throws {
    let (graph, interpreter) = (stream.source, stream.interpreter)
    let weights = try LoadedBlock(block, of: graph)
    let waves = Self.waves(graph.linears(of: block).map(\.weight), of: graph)
    for (number, wave) in waves.enumerated() {
      var factors: [ParameterID: GramMatrix] = [:]
      var importance: [ParameterID: [Float]] = [:]
      for weight in wave {
        factors[weight] = GramMatrix(inputs: graph[weight].shape[0])
        importance[weight] = Array(repeating: 0, count: tokens)
      }
      var first = 0
      for (index, batch) in stream.batches.enumerated() {
        try Interruption.check()
        let tape = try interpreter.runRecording(
          block, of: graph, weights: weights, input: try inputs.load(index), sequences: batch.layout)
        let result = try interpreter.backward(
          tape, outputGradient: try gradients.load(index), wanting: [], inputGradient: true
        ) { node, gradient, rows in
          guard let weight = node.parameters.first, let factor = factors[weight] else { return }
          try factor.accumulate(gradient, pool: interpreter.pool)
          for row in 0..<gradient.rows {
            importance[weight]?[first + (rows.map { Int($0[row]) } ?? row)] =
              Float(dso_sum_squares(gradient.row(row), Int64(gradient.columns)))
          }
        }
        first += batch.layout.rows
        if number == waves.count - 1, let input = result.input { try gradients.store(input, for: index) }
      }
      for weight in wave {
        guard let factor = factors[weight], let importance = importance[weight], factor.tokens > 0 else { continue }
        let values = factor.take(pool: interpreter.pool)
        let bytes = UnsafeRawBufferPointer(values.bytes)
        layers[weight] = Layer(size: values.rows, factorOffset: end, importanceOffset: end + bytes.count)
        try file.write(bytes, at: end)
        try importance.withUnsafeBytes { try file.write($0, at: end + bytes.count) }
        end += bytes.count + importance.count * MemoryLayout<Float>.stride
      }
    }
  }

  /// Layers whose factors are found together, so that those of a block with many experts need not all be in memory: each wave runs the block again.
  private static func waves(_ weights: [ParameterID], of graph: ModelGraph, limit: Int = 1 << 30) -> [[ParameterID]] {
    var waves: [[ParameterID]] = [[]]
    var bytes = 0
    for weight in weights {
      let size = graph[weight].shape[0] * graph[weight].shape[0] * MemoryLayout<Float>.stride
      if bytes + size > limit, !waves[waves.count - 1].isEmpty {
        waves.append([])
        bytes = 0
      }
      waves[waves.count - 1].append(weight)
      bytes += size
    }
    return waves
  }
}
