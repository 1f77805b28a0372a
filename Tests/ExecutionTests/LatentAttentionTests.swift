import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

/// Multi-head latent attention as it decodes, over a cache of latents, against the same model without a cache.
@Suite struct LatentAttentionTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  static let models = ["deepseek-v3", "deepseek-v3-bf16", "deepseek-v2-lite", "deepseek-v2-groups"]

  /// The largest difference after every piece of the tokens, in units of the largest logit.
  private func difference(
    _ graph: ModelGraph, _ tokens: [Int32], pieces: [Int], keyValues: KeyValueQuantization = .none
  ) throws -> Float {
    let whole = try GoldenModel.logits(graph, windows: [tokens], interpreter: interpreter)
    let session = try DecodingSession(graph: graph, interpreter: interpreter, capacity: tokens.count, keyValues: keyValues)
    var (position, step, worst) = (0, 0, Float(0))
    while position < tokens.count {
      let count = min(pieces[step % pieces.count], tokens.count - position)
      let logits = try session.append(Array(tokens[position..<position + count]))
      (position, step) = (position + count, step + 1)
      let expected = whole.values(ofRow: position - 1)
      worst = max(worst, zip(logits, expected).map { abs($0 - $1) }.max() ?? .infinity)
    }
    return worst / ((0..<whole.rows * whole.columns).map { abs(whole.pointer[$0]) }.max() ?? 1)
  }

  /// Token by token, a prompt and then tokens, few tokens behind many, and many behind few.
  static let pieces = [[1], [7, 1, 1, 20], [30, 1, 1], [4, 36], [3], [40]]

  @Test(arguments: models, pieces) func decodingAgreesWithTheWholeForward(_ name: String, _ pieces: [Int]) throws {
    let model = try GoldenModel(name)
    let tokens = Array(try model.integers("input_ids")[0].prefix(40))
    #expect(try difference(model.graph, tokens, pieces: pieces) <= 1e-5)
  }

  @Test(arguments: models) func theCacheHoldsLatents(_ name: String) throws {
    let model = try GoldenModel(name)
    // Two layers, a latent of 8 and a rotary key of 4 features; in int8 a scale for each.
    #expect(KeyValueQuantization.none.bytesPerToken(of: model.graph) == (8 + 4) * 4 * 2)
    #expect(KeyValueQuantization.int8.bytesPerToken(of: model.graph) == (8 + 4 + 2 * 4) * 2)
    for quantization in KeyValueQuantization.allCases {
      let session = try DecodingSession(graph: model.graph, interpreter: interpreter, capacity: 100, keyValues: quantization)
      _ = try session.append([1, 2, 3])
      #expect(session.cacheBytes == 64 * quantization.bytesPerToken(of: model.graph))
      _ = try session.append([Int32](repeating: 4, count: 70))
      #expect(session.cacheBytes == 100 * quantization.bytesPerToken(of: model.graph))
    }
  }

  /// One layer of latent attention.
  struct Layer: Sendable, CustomTestStringConvertible {
    var heads = 5
    var rank = 24
    /// How the projection from latents is stored.
    var form = StoredForm.dense(.float32)
    var bias = false
    var window: Int?
    /// Whether an adapter stands beside the projection.
    var isAdapted = false
    var tolerance: Float = 1e-5

    var testDescription: String { "\(heads) heads, rank \(rank), \(form)\(bias ? ", bias" : "")\(isAdapted ? ", adapter" : "")" }

    func graph() throws -> ModelGraph {
      let (plain, turning, value) = (6, 4, 7)
      var tiny = TinyGraph(vocabulary: 31)
      let x = try tiny.embedding(width: 16)
      func rotary(heads: Int, offset: Int) -> RotaryEmbedding {
        RotaryEmbedding(
          heads: heads, headDimension: offset + turning, rotaryDimension: turning, offset: offset, interleaved: true, base: 100,
          scaling: .none)
      }
      let queries = try tiny.linear(x, "queries", outputs: heads * (plain + turning), size: 2)
      let turned = tiny.rotary(queries, rotary(heads: heads, offset: plain))
      let latents = try tiny.rmsNorm(try tiny.linear(x, "latents", outputs: rank), "norm", epsilon: 1e-6)
      let shared = tiny.rotary(try tiny.linear(x, "shared", outputs: turning, size: 2), rotary(heads: 1, offset: 0))
      let expanded = try tiny.linear(latents, "up", outputs: heads * (plain + value), as: form, bias: bias)
      let keys = tiny.slice(expanded, HeadSlice(heads: heads, width: plain + value, start: 0, count: plain))
      let values = tiny.slice(expanded, HeadSlice(heads: heads, width: plain + value, start: plain, count: value))
      let mixed = tiny.attention(
        turned, tiny.joinHeads(keys, shared, HeadJoin(heads: heads, left: plain, right: turning, sharesRight: true)), values,
        Attention(
          queryHeads: heads, keyValueHeads: heads, headDimension: plain + turning, valueDimension: value, scale: 0.3,
          slidingWindow: window))
      let output = tiny.add(x, try tiny.linear(mixed, "output", outputs: 16))
      tiny.endLayer()
      let logits = try tiny.head(output)
      var graph = try tiny.finish(logits)
      if isAdapted { try graph.attachSample(to: "up", rank: 2, scaling: 0.7, magnitude: false) }
      return graph
    }

    /// Codes with scales of groups, or of whole rows.
    static func codes(_ bits: Int, _ group: Int?, symmetric: Bool = true, _ activations: ActivationQuantization = .none) -> StoredForm {
      .quantized(
        QuantizationScheme(
          bits: bits, symmetric: symmetric, granularity: group.map { .group($0) } ?? .channel, activations: activations),
        inputScale: activations == .int8Static ? 0.02 : nil)
    }

    static let all = [
      Layer(), Layer(heads: 1), Layer(heads: 3, rank: 7), Layer(heads: 16, rank: 64), Layer(bias: true), Layer(heads: 9, window: 6),
      Layer(isAdapted: true), Layer(form: .dense(.bfloat16)), Layer(form: .dense(.float16), bias: true),
      Layer(form: codes(4, 8, symmetric: false)), Layer(heads: 8, rank: 32, form: codes(3, 16)), Layer(form: codes(8, nil), bias: true),
      Layer(form: codes(2, 12, symmetric: false)), Layer(form: codes(5, nil, symmetric: false)),
      Layer(
        form: .quantized(QuantizationScheme(bits: 4, offset: .minimum, granularity: .group(8))), bias: true),
      // A last bit of an input may move its code by a step.
      Layer(form: codes(8, nil, .int8), tolerance: 2e-3), Layer(form: codes(4, 8, .int8Static), tolerance: 2e-3),
    ]
  }

  private let tokens = (0..<40).map { Int32($0 * 7 % 31) }

  @Test(arguments: Layer.all) func anyProjectionDecodes(_ layer: Layer) throws {
    let graph = try layer.graph()
    for pieces in Self.pieces { #expect(try difference(graph, tokens, pieces: pieces) <= layer.tolerance, "\(pieces)") }
  }

  /// Quantizing latents costs little, and the same whatever the pieces: what is stored is what is attended to.
  @Test(arguments: [Layer(), Layer(heads: 16, rank: 64), Layer(form: Layer.codes(4, 8), bias: true)])
  func theQuantizedCacheWorks(_ layer: Layer) throws {
    let graph = try layer.graph()
    for pieces in Self.pieces {
      let cost = try difference(graph, tokens, pieces: pieces, keyValues: .int8)
      #expect(cost > 1e-5 && cost < 0.02, "\(pieces)")
    }
  }

  /// The windows of an evaluation see what generation sees.
  @Test(arguments: ["deepseek-v3", "deepseek-v2-lite"]) func evaluationSeesTheQuantizedCache(_ name: String) throws {
    let model = try GoldenModel(name)
    let windows = try model.integers("input_ids").map { Array($0.prefix(24)) }
    var rounding = interpreter
    rounding.keyValues = .int8
    let all = try GoldenModel.logits(model.graph.absorbingLatentAttention(), windows: windows, interpreter: rounding)
    for (index, window) in windows.enumerated() {
      let session = try DecodingSession(graph: model.graph, interpreter: interpreter, capacity: 24, keyValues: .int8)
      let generated = try session.append(window)
      #expect(zip(generated, all.values(ofRow: index * 24 + 23)).allSatisfy { abs($0 - $1) <= 1e-5 })
    }
  }

  /// Several sequences at once draw what each would by itself, also with the caller's own values for the projection.
  @Test func sequencesInLockstepKeepTheirOwnLatents() throws {
    let graph = try Layer(form: .dense(.bfloat16)).graph()
    let model = try LoadedModel(graph)
    let prompts = [[5, 9, 30, 2], [17, 22, 8, 2], [1, 4, 2, 9]] as [[Int32]]
    let sampler = LockstepSampler(interpreter: interpreter)
    let together = try sampler.continuations(of: prompts, by: model, tokens: 20, seed: 3)
    let alone = try sampler.continuations(of: [prompts[0]], by: model, tokens: 20, seed: 3)
    #expect(alone[0] == together[0] && Set(together).count == 3)
    let up = try #require(graph.parameterIDs.first { graph[$0].name == "up.weight" })
    let same = try model.overriding([up: Matrix(graph[up])])
    #expect(try sampler.continuations(of: prompts, by: same, tokens: 20, seed: 3) == together)
  }
}
