import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// A small decoder with latent attention and experts: the first layer is dense, the others have a router, experts and a shared one.
struct MixtureFixture {
  var layers = 3
  var hidden = 48
  let heads = 4
  let queryRank = 24
  let keyValueRank = 16
  let plain = 8
  let turning = 4
  let valueWidth = 6
  let inner = 40
  let channels = 20
  let vocabulary = 56
  var routing = Routing(experts: 6, selected: 2, scoring: .sigmoid, normalized: true, scale: 1.5)
  /// The expert that the correction keeps every token from.
  var unchosen: Int? = 3

  func graph() throws -> ModelGraph {
    var maker = MixtureMaker(fixture: self)
    return try maker.make()
  }

  /// A few windows of tokens.
  var windows: [[Int32]] {
    var random = SeededRandom(seed: 9)
    return (0..<6).map { _ in (0..<24).map { _ in Int32(random.next() % UInt64(vocabulary)) } }
  }

  /// Logits of all windows, row by row.
  func logits(_ graph: ModelGraph, _ interpreter: Interpreter) throws -> [Float] {
    try DecoderFixture.logits(graph, windows, interpreter)
  }
}

private struct MixtureMaker {
  let fixture: MixtureFixture
  private let source: SampleWeights
  private var builder: GraphBuilder

  init(fixture: MixtureFixture) {
    self.fixture = fixture
    source = SampleWeights(unchosen: fixture.unchosen)
    builder = GraphBuilder(family: "test", vocabularySize: fixture.vocabulary, maximumPositions: 64, weights: source)
  }

  mutating func make() throws -> ModelGraph {
    source.add("embed.weight", [fixture.vocabulary, fixture.hidden])
    var x = try builder.embedding(builder.input, "embed", width: fixture.hidden)
    builder.endBlock(.embedding, "embed")
    for layer in 0..<fixture.layers {
      let scope = "layers.\(layer)"
      let attended = try attention(try norm(x, scope + ".norm1"), scope)
      let residual = builder.add(x, attended, scope: scope)
      let second = try norm(residual, scope + ".norm2")
      let output =
        layer == 0
        ? try mlp(second, scope + ".mlp", fixture.inner, [.mlpGate, .mlpUp, .mlpDown]) : try mixture(second, scope)
      x = builder.add(residual, output, scope: scope)
      builder.endBlock(.layer(layer), scope)
    }
    let logits = try linear(try norm(x, "norm"), "head", fixture.vocabulary, .languageModelHead)
    builder.endBlock(.head, "head")
    return try builder.finish(output: logits)
  }

  private mutating func linear(_ x: ValueID, _ name: String, _ outputs: Int, _ role: ParameterRole) throws -> ValueID {
    source.add("\(name).weight", [outputs, builder.width(x)])
    return try builder.linear(x, name, outputs: outputs, role: role)
  }

  private mutating func norm(_ x: ValueID, _ name: String, _ role: ParameterRole = .normGain) throws -> ValueID {
    source.add("\(name).weight", [builder.width(x)])
    return try builder.rmsNorm(x, name, epsilon: 1e-6, role: role)
  }

  private mutating func mlp(_ x: ValueID, _ scope: String, _ width: Int, _ roles: [ParameterRole]) throws -> ValueID {
    let gate = try linear(x, scope + ".gate", width, roles[0])
    let up = try linear(x, scope + ".up", width, roles[1])
    let active = builder.gatedActivation(gate: gate, up: up, .silu, scope: scope)
    return try linear(active, scope + ".down", fixture.hidden, roles[2])
  }

  private mutating func mixture(_ x: ValueID, _ scope: String) throws -> ValueID {
    let scores = try linear(x, scope + ".router", fixture.routing.experts, .router)
    source.add(scope + ".correction", [fixture.routing.experts])
    let sizes = [("gate", ParameterRole.expertGate), ("up", .expertUp), ("down", .expertDown)]
    for expert in 0..<fixture.routing.experts {
      for (name, role) in sizes {
        let shape: Shape = role == .expertDown ? [fixture.hidden, fixture.channels] : [fixture.channels, fixture.hidden]
        source.add("\(scope).experts.\(expert).\(name).weight", shape)
      }
    }
    let (channels, hidden) = (fixture.channels, fixture.hidden)
    let routed = try builder.experts(
      x, scores: scores, fixture.routing, correction: scope + ".correction", scope: scope + ".experts"
    ) { index, rows, builder throws(GraphError) in
      let name = "\(scope).experts.\(index)"
      let gate = try builder.linear(rows, name + ".gate", outputs: channels, role: .expertGate)
      let up = try builder.linear(rows, name + ".up", outputs: channels, role: .expertUp)
      let active = builder.gatedActivation(gate: gate, up: up, .silu, scope: name)
      return try builder.linear(active, name + ".down", outputs: hidden, role: .expertDown)
    }
    let shared = try mlp(x, scope + ".shared", channels, [.sharedExpertGate, .sharedExpertUp, .sharedExpertDown])
    return builder.add(routed, shared, scope: scope)
  }

  private mutating func attention(_ x: ValueID, _ scope: String) throws -> ValueID {
    let (heads, plain, turning, valueWidth) = (fixture.heads, fixture.plain, fixture.turning, fixture.valueWidth)
    let rank = fixture.keyValueRank
    let latent = try norm(try linear(x, scope + ".qa", fixture.queryRank, .attentionQueryDown), scope + ".qnorm", .latentNormGain)
    let queries = builder.rotary(
      try linear(latent, scope + ".qb", heads * (plain + turning), .attentionQuery),
      RotaryEmbedding(
        heads: heads, headDimension: plain + turning, rotaryDimension: turning, offset: plain, interleaved: true, base: 1e4), scope: "r")
    let both = try linear(x, scope + ".kva", rank + turning, .attentionKeyValueDown)
    let narrow = builder.slice(both, HeadSlice(width: rank + turning, start: 0, count: rank), scope: scope)
    let turned = builder.rotary(
      builder.slice(both, HeadSlice(width: rank + turning, start: rank, count: turning), scope: scope),
      RotaryEmbedding(heads: 1, headDimension: turning, rotaryDimension: turning, interleaved: true, base: 1e4), scope: "r")
    let wide = try linear(
      try norm(narrow, scope + ".kvnorm", .latentNormGain), scope + ".kvb", heads * (plain + valueWidth), .attentionKeyValueUp)
    let perHead = plain + valueWidth
    let plainKeys = builder.slice(wide, HeadSlice(heads: heads, width: perHead, start: 0, count: plain), scope: scope)
    let values = builder.slice(wide, HeadSlice(heads: heads, width: perHead, start: plain, count: valueWidth), scope: scope)
    let keys = builder.joinHeads(plainKeys, turned, HeadJoin(heads: heads, left: plain, right: turning, sharesRight: true), scope: scope)
    let mixed = builder.attention(
      queries: queries, keys: keys, values: values,
      Attention(queryHeads: heads, keyValueHeads: heads, headDimension: plain + turning, valueDimension: valueWidth, scale: 0.3),
      scope: scope)
    return try linear(mixed, scope + ".o", fixture.hidden, .attentionOutput)
  }
}

/// Weights that are functions of their names, of shapes that were announced.
private final class SampleWeights: WeightSource, @unchecked Sendable {
  private let lock = NSLock()
  private var shapes: [String: Shape] = [:]
  private let unchosen: Int?

  init(unchosen: Int?) { self.unchosen = unchosen }

  func add(_ name: String, _ shape: Shape) { lock.withLock { shapes[name] = shape } }

  var names: [String] { lock.withLock { shapes.keys.sorted() } }

  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    lock.withLock { shapes[name] }.map { ($0, .dense(.float32)) }
  }

  func load(_ name: String) throws -> Weight {
    let shape = try #require(lock.withLock { shapes[name] })
    let seed = name.utf8.reduce(UInt64(7)) { $0 &* 31 &+ UInt64($1) }
    let values = (0..<shape.elementCount).map { index in
      let unit = Float(SeededRandom.value(seed: seed, index: UInt64(index)) >> 40) / Float(1 << 24) - 0.5
      if name.hasSuffix(".correction") { return index == unchosen ? -100 : 0.1 * unit }
      return name.contains("norm") ? 1 + unit : unit
    }
    return .dense(Tensor(values, shape: shape))
  }
}
