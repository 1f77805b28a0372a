import Foundation
import ModelGraph
import Tensors

/// A graph of an embedding, a few operations and a head, whose random parameters come into being as they are asked for.
struct TinyGraph {
  private(set) var builder: GraphBuilder
  private let source = SampleSource()
  private var widths: [ValueID: Int] = [:]
  private let vocabulary: Int

  init(vocabulary: Int) {
    self.vocabulary = vocabulary
    builder = GraphBuilder(family: "tiny", vocabularySize: vocabulary, maximumPositions: 512, weights: source)
  }

  mutating func embedding(width: Int, as form: StoredForm = .dense(.float32)) throws -> ValueID {
    source.add("embed.weight", [vocabulary, width], form)
    let value = try builder.embedding(builder.input, "embed", width: width)
    builder.endBlock(.embedding, "embed")
    return noted(value, width)
  }

  mutating func linear(
    _ x: ValueID, _ name: String, outputs: Int, as form: StoredForm = .dense(.float32), bias: Bool = false, size: Double = 0.5
  ) throws -> ValueID {
    source.add(name + ".weight", [outputs, width(x)], form, size: size)
    if bias { source.add(name + ".bias", [outputs]) }
    return noted(try builder.linear(x, name, outputs: outputs, role: .mlpUp, bias: bias), outputs)
  }

  mutating func rmsNorm(_ x: ValueID, _ name: String, epsilon: Double, perHead: Int? = nil) throws -> ValueID {
    source.add(name + ".weight", [perHead ?? width(x)])
    return noted(try builder.rmsNorm(x, name, epsilon: epsilon, perHead: perHead), width(x))
  }

  mutating func layerNorm(_ x: ValueID, _ name: String, epsilon: Double) throws -> ValueID {
    source.add(name + ".weight", [width(x)])
    source.add(name + ".bias", [width(x)])
    return noted(try builder.layerNorm(x, name, epsilon: epsilon), width(x))
  }

  mutating func dynamicTanh(_ x: ValueID, _ name: String) throws -> ValueID {
    for (part, shape) in [("weight", [width(x)]), ("bias", [width(x)]), ("alpha", [1])] {
      source.add("\(name).\(part)", Shape(shape))
    }
    return noted(try builder.dynamicTanh(x, name), width(x))
  }

  mutating func addRow(_ x: ValueID, _ name: String, rows: Int, _ choice: RowChoice) throws -> ValueID {
    source.add(name + ".weight", [rows, width(x)])
    return noted(try builder.addRow(x, name, rows: rows, choice, role: .positionEmbedding), width(x))
  }

  mutating func activation(_ x: ValueID, _ activation: Activation) -> ValueID {
    noted(builder.activation(x, activation, scope: "activation"), width(x))
  }

  mutating func rotary(_ x: ValueID, _ rotary: RotaryEmbedding) -> ValueID { noted(builder.rotary(x, rotary, scope: "rotary"), width(x)) }

  mutating func attention(_ queries: ValueID, _ keys: ValueID, _ values: ValueID, _ attention: Attention) -> ValueID {
    noted(
      builder.attention(queries: queries, keys: keys, values: values, attention, scope: "attention"),
      attention.queryHeads * attention.valueDimension)
  }

  mutating func gatedActivation(_ gate: ValueID, _ up: ValueID, _ activation: Activation) -> ValueID {
    noted(builder.gatedActivation(gate: gate, up: up, activation, scope: "activation"), width(gate))
  }

  mutating func add(_ left: ValueID, _ right: ValueID) -> ValueID { noted(builder.add(left, right, scope: "sum"), width(left)) }

  mutating func slice(_ x: ValueID, _ slice: HeadSlice) -> ValueID {
    noted(builder.slice(x, slice, scope: "slice"), slice.heads * slice.count)
  }

  mutating func joinHeads(_ left: ValueID, _ right: ValueID, _ join: HeadJoin) -> ValueID {
    noted(builder.joinHeads(left, right, join, scope: "heads"), join.heads * (join.left + join.right))
  }

  /// A router and experts of two layers with an activation between.
  mutating func experts(_ x: ValueID, _ routing: Routing, channels: Int, corrected: Bool) throws -> ValueID {
    let width = width(x)
    let scores = try linear(x, "router", outputs: routing.experts, size: 2)
    if corrected { source.add("correction", [routing.experts]) }
    for index in 0..<routing.experts {
      source.add("experts.\(index).up.weight", [channels, width], size: 1)
      source.add("experts.\(index).down.weight", [width, channels], size: 1)
    }
    let output = try builder.experts(
      x, scores: scores, routing, correction: corrected ? "correction" : nil, scope: "experts"
    ) { index, rows, builder throws(GraphError) in
      let inner = try builder.linear(rows, "experts.\(index).up", outputs: channels, role: .expertUp)
      let activated = builder.gatedActivation(gate: inner, up: inner, .silu, scope: "experts.\(index)")
      return try builder.linear(activated, "experts.\(index).down", outputs: width, role: .expertDown)
    }
    return noted(output, width)
  }

  mutating func endLayer(_ number: Int = 0) { builder.endBlock(.layer(number), "layer") }

  /// The logits: by a weight of their own, or by the embedding's.
  mutating func head(_ x: ValueID, bias: Bool = false, tied: Bool = false) throws -> ValueID {
    if tied { return noted(try builder.linear(x, "head", outputs: vocabulary, tiedTo: "embed.weight"), vocabulary) }
    return try linear(x, "head", outputs: vocabulary, bias: bias)
  }

  consuming func finish(_ logits: ValueID) throws -> ModelGraph {
    builder.endBlock(.head, "head")
    return try builder.finish(output: logits)
  }

  private func width(_ value: ValueID) -> Int { widths[value] ?? 0 }

  private mutating func noted(_ value: ValueID, _ width: Int) -> ValueID {
    widths[value] = width
    return value
  }
}

extension ModelGraph {
  /// A random adapter on the layer of that name; behind a magnitude one length of a row is 0.
  mutating func attachSample(to module: String, rank: Int, scaling: Float, magnitude: Bool) throws {
    guard let shape = (parameters.first { $0.name == module + ".weight" })?.shape else { return }
    func sample(_ shape: Shape, seed: UInt64) -> Tensor {
      StoredForm.dense(.float32).sample(shape, seed: seed, size: 0.5)?.float32() ?? Tensor([], shape: [0])
    }
    let attached = try attach([
      module: LowRankAdapter(
        down: sample([rank, shape[1]], seed: 91), up: sample([shape[0], rank], seed: 92), scaling: scaling,
        magnitude: magnitude ? sample([shape[0]], seed: 93) : nil)
    ])
    for case let norm? in attached.map(\.norm) {
      let lengths = sample([shape[0]], seed: 94).float32Values() ?? []
      try replace(norm, with: .dense(Tensor(lengths.enumerated().map { $0 == 2 ? 0 : $1 }, shape: [shape[0]])))
    }
  }
}

/// Parameters by name, each random in its own way.
private final class SampleSource: WeightSource, @unchecked Sendable {
  private let lock = NSLock()
  private var weights: [String: Weight] = [:]

  var names: [String] { lock.withLock { weights.keys.sorted() } }

  func add(_ name: String, _ shape: Shape, _ form: StoredForm = .dense(.float32), size: Double = 0.5) {
    let seed = name.utf8.reduce(UInt64(17)) { $0 &* 31 &+ UInt64($1) }
    lock.withLock { weights[name] = form.sample(shape, seed: seed, size: size) }
  }

  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    switch lock.withLock({ weights[name] }) {
    case .dense(let tensor): (tensor.shape, .dense(tensor.dataType))
    case .quantized(let tensor): (tensor.shape, .quantized(tensor.scheme))
    case nil: nil
    }
  }

  func load(_ name: String) throws -> Weight {
    guard let weight = lock.withLock({ weights[name] }) else { throw GraphError(tensor: name, "is not in the sample") }
    return weight
  }
}
