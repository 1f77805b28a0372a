import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// A small decoder with random weights, in the shapes that families have: biases, head norms, tied heads.
struct DecoderFixture {
  var isTied = false
  var hasBiases = false
  var hasHeadNorms = false
  var hidden = 48
  var type = DataType.float32
  /// Biases that the type holds badly once they are divided: 0, tiny ones, and one so large that a factor takes it beyond float16.
  var hasExtremes = false
  /// A few features of the norms that are much larger than the others.
  var hasOutliers = false
  /// A feature of the norms that is always 0.
  var hasDeadInputs = false
  /// A weight that holds a NaN.
  var poisoned: String?
  /// Values in place of the random ones, by the name of the weight and the place in it; nil leaves one as it is.
  var replacing: (@Sendable (_ name: String, _ row: Int, _ column: Int) -> Float?)?
  let queryHeads = 4
  let keyValueHeads = 2
  let dimension = 8
  let inner = 40
  let vocabulary = 56
  var layers = 2

  func graph() throws -> ModelGraph {
    var builder = GraphBuilder(family: "test", vocabularySize: vocabulary, maximumPositions: 64, weights: RandomWeights(self))
    var x = try builder.embedding(builder.input, "embed", width: hidden)
    builder.endBlock(.embedding, "embed")
    for layer in 0..<layers {
      let scope = "layers.\(layer)"
      let normed = try builder.rmsNorm(x, scope + ".norm1", epsilon: 1e-6)
      let wide = queryHeads * dimension
      let narrow = keyValueHeads * dimension
      var q = try builder.linear(normed, scope + ".q", outputs: wide, role: .attentionQuery, bias: hasBiases)
      var k = try builder.linear(normed, scope + ".k", outputs: narrow, role: .attentionKey, bias: hasBiases)
      let v = try builder.linear(normed, scope + ".v", outputs: narrow, role: .attentionValue, bias: hasBiases)
      if hasHeadNorms {
        q = try builder.rmsNorm(q, scope + ".qn", epsilon: 1e-6, perHead: dimension)
        k = try builder.rmsNorm(k, scope + ".kn", epsilon: 1e-6, perHead: dimension)
      }
      q = builder.rotary(q, RotaryEmbedding(heads: queryHeads, headDimension: dimension, rotaryDimension: dimension, base: 1e4), scope: "r")
      k = builder.rotary(
        k, RotaryEmbedding(heads: keyValueHeads, headDimension: dimension, rotaryDimension: dimension, base: 1e4), scope: "r")
      let mixed = builder.attention(
        queries: q, keys: k, values: v,
        Attention(queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDimension: dimension, valueDimension: dimension, scale: 0.35),
        scope: scope + ".attention")
      let attended = try builder.linear(mixed, scope + ".o", outputs: hidden, role: .attentionOutput, bias: hasBiases)
      let residual = builder.add(x, attended, scope: scope)
      let second = try builder.rmsNorm(residual, scope + ".norm2", epsilon: 1e-6)
      let gate = try builder.linear(second, scope + ".gate", outputs: inner, role: .mlpGate, bias: hasBiases)
      let up = try builder.linear(second, scope + ".up", outputs: inner, role: .mlpUp, bias: hasBiases)
      let active = builder.gatedActivation(gate: gate, up: up, .silu, scope: scope)
      let down = try builder.linear(active, scope + ".down", outputs: hidden, role: .mlpDown, bias: hasBiases)
      x = builder.add(residual, down, scope: scope)
      builder.endBlock(.layer(layer), scope)
    }
    let last = try builder.rmsNorm(x, "norm", epsilon: 1e-6)
    let logits =
      isTied
      ? try builder.linear(last, "head", outputs: vocabulary, tiedTo: "embed.weight")
      : try builder.linear(last, "head", outputs: vocabulary, role: .languageModelHead)
    builder.endBlock(.head, "head")
    return try builder.finish(output: logits)
  }

  /// A few windows of tokens.
  var windows: [[Int32]] {
    var random = SeededRandom(seed: 9)
    return (0..<6).map { _ in (0..<24).map { _ in Int32(random.next() % UInt64(vocabulary)) } }
  }

  /// Logits of all windows, row by row.
  func logits(_ graph: ModelGraph, _ interpreter: Interpreter) throws -> [Float] { try Self.logits(graph, windows, interpreter) }

  static func logits(_ graph: ModelGraph, _ windows: [[Int32]], _ interpreter: Interpreter) throws -> [Float] {
    let states = try ForwardStream(interpreter: interpreter).hidden(of: graph, windows: windows)
    let head = graph.blocks[graph.blocks.count - 1]
    let weights = try LoadedBlock(head, of: graph)
    return try states.flatMap { state in
      let result = try interpreter.run(head, of: graph, weights: weights, input: state.matrix, sequences: state.layout)
      return (0..<result.rows).flatMap { result.values(ofRow: $0) }
    }
  }
}

extension DecoderFixture {
  /// Applies passes as a run does.
  func compressed(
    _ passes: [any CompressionPass], from source: ModelGraph? = nil, _ interpreter: Interpreter, batchRows: Int = 64
  ) throws -> (graph: ModelGraph, records: [PassRecord]) {
    try Self.compressed(passes, source ?? graph(), windows, interpreter, batchRows: batchRows)
  }

  static func compressed(
    _ passes: [any CompressionPass], _ source: ModelGraph, _ windows: [[Int32]], _ interpreter: Interpreter, batchRows: Int = 64
  ) throws -> (graph: ModelGraph, records: [PassRecord]) {
    var graph = source
    for pass in passes {
      try pass.validate(for: graph)
      graph = try pass.prepare(graph, using: PassResources(pool: ThreadPool(threads: 2)))
    }
    let context = PassContext(interpreter: interpreter)
    var workers = try passes.map { try $0.begin(on: graph, in: context) }
    let needs = passes.reduce(into: Set<PassNeed>()) { $0.formUnion($1.needs) }
    let directory = FileManager.default.temporaryDirectory
    let stream = try CalibrationStream(
      windows: windows, of: graph, interpreter: interpreter, needs: needs, spillingTo: directory, batchRows: batchRows)
    let sensitivity =
      needs.contains(.gradients)
      ? try OutputSensitivity.measure(stream, seed: 1, spillingTo: directory) : nil
    for (index, block) in graph.blocks.enumerated() {
      let context = context.with(stream.calibration(for: block, at: index, sensitivity: sensitivity))
      for worker in workers.indices { try workers[worker].apply(to: block, of: &graph, in: context) }
      try stream.advance(past: block, in: graph)
    }
    return (graph, workers.map(\.record))
  }
}

/// Weights that are functions of their names, a few columns much larger than the others.
private struct RandomWeights: WeightSource {
  let shapes: [String: Shape]
  let type: DataType
  let model: DecoderFixture
  var names: [String] { shapes.keys.sorted() }

  init(_ model: DecoderFixture) {
    type = model.type
    self.model = model
    var shapes: [String: Shape] = ["embed.weight": [model.vocabulary, model.hidden], "norm.weight": [model.hidden]]
    if !model.isTied { shapes["head.weight"] = [model.vocabulary, model.hidden] }
    let (wide, narrow) = (model.queryHeads * model.dimension, model.keyValueHeads * model.dimension)
    for layer in 0..<model.layers {
      let matrices = [
        "q": (wide, model.hidden), "k": (narrow, model.hidden), "v": (narrow, model.hidden), "o": (model.hidden, wide),
        "gate": (model.inner, model.hidden), "up": (model.inner, model.hidden), "down": (model.hidden, model.inner),
      ]
      for (name, size) in matrices {
        shapes["layers.\(layer).\(name).weight"] = [size.0, size.1]
        if model.hasBiases { shapes["layers.\(layer).\(name).bias"] = [size.0] }
      }
      for norm in ["norm1", "norm2"] { shapes["layers.\(layer).\(norm).weight"] = [model.hidden] }
      if model.hasHeadNorms { for norm in ["qn", "kn"] { shapes["layers.\(layer).\(norm).weight"] = [model.dimension] } }
    }
    self.shapes = shapes
  }

  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { shapes[name].map { ($0, .dense(type)) } }

  func load(_ name: String) throws -> Weight {
    let shape = try #require(shapes[name])
    let seed = name.utf8.reduce(UInt64(7)) { $0 &* 31 &+ UInt64($1) }
    let columns = shape[shape.rank - 1]
    let values = (0..<shape.elementCount).map { index in
      let unit = Float(SeededRandom.value(seed: seed, index: UInt64(index)) >> 40) / Float(1 << 24) - 0.5
      if name == model.poisoned, index == 3 { return Float.nan }
      if let value = model.replacing?(name, index / columns, index % columns) { return value }
      if let value = special(name, index: index, column: index % columns, unit: unit) { return value }
      if name.contains("norm") || name.contains("n.weight") { return 1 + unit * (index % 11 == 3 ? 8 : 1) }
      return unit * (index % columns % 17 == 5 ? 1.5 : 0.5)
    }
    return .dense(try #require(Tensor(values, shape: shape).converted(to: type)))
  }

  /// What differs for the options of the fixture.
  private func special(_ name: String, index: Int, column: Int, unit: Float) -> Float? {
    let isGain = name.contains("norm1") || name.contains("norm2")
    if model.hasOutliers, isGain { return column % 16 == 5 ? 40 * (1.5 + unit) : 1 + unit }
    if model.hasDeadInputs, isGain, index == 7 { return 0 }
    guard model.hasExtremes else { return nil }
    if name.hasSuffix(".v.bias") || name.hasSuffix(".up.bias") {
      // What the gate nearly closes may be large.
      if name.hasSuffix(".up.bias"), index == 3 { return 20_000 }
      return [0, 6e-8, 0.37, -1.3, unit][index % 5]
    }
    if name.hasSuffix(".gate.bias"), index == 3 { return -19 }
    return name.hasSuffix(".down.weight") && column == 3 ? 20 * unit : nil
  }
}
