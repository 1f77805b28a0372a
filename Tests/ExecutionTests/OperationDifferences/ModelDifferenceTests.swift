import Execution
import ModelGraph
import Tensors
import Testing

/// All operations in one model, whose head is its table: the gradients of the loss by every parameter against central differences.
@Suite struct ModelDifferenceTests {
  private static func graph(tied: Bool, magnitude: Bool) throws -> ModelGraph {
    var tiny = TinyGraph(vocabulary: 13)
    let embedded = try tiny.embedding(width: 10)
    let x = try tiny.rmsNorm(embedded, "norm1", epsilon: 1e-5)
    let turn = RotaryEmbedding(heads: 4, headDimension: 6, rotaryDimension: 4, base: 100)
    var shared = turn
    shared.heads = 2
    let queries = try tiny.rmsNorm(try tiny.linear(x, "layer", outputs: 24, bias: true), "norm2", epsilon: 1e-5, perHead: 6)
    let keys = try tiny.linear(x, "keys", outputs: 12, as: .quantized(QuantizationScheme(bits: 4, granularity: .group(8))))
    let values = try tiny.linear(x, "values", outputs: 10)
    let turnedQueries = tiny.rotary(queries, turn), turnedKeys = tiny.rotary(keys, shared)
    let mixed = tiny.attention(
      turnedQueries, turnedKeys, values,
      Attention(queryHeads: 4, keyValueHeads: 2, headDimension: 6, valueDimension: 5, scale: 0.4, slidingWindow: 3))
    let residual = tiny.add(embedded, try tiny.linear(mixed, "out", outputs: 10))
    let second = try tiny.rmsNorm(residual, "norm3", epsilon: 1e-5)
    let gate = try tiny.linear(second, "gate", outputs: 17), up = try tiny.linear(second, "up", outputs: 17)
    let active = tiny.gatedActivation(gate, up, .silu)
    let state = tiny.add(residual, try tiny.linear(active, "down", outputs: 10))
    tiny.endLayer()
    let normed = try tiny.rmsNorm(state, "norm4", epsilon: 1e-5)
    let logits = try tiny.head(normed, tied: tied)
    var graph = try tiny.finish(logits)
    try graph.attachSample(to: "layer", rank: 2, scaling: 1.5, magnitude: magnitude)
    return graph
  }

  @Test(arguments: [(true, true), (false, false)], [ActivationRetention.recompute, .keep])
  func gradientsAreThoseOfDifferences(_ shape: (tied: Bool, magnitude: Bool), _ retention: ActivationRetention) throws {
    let graph = try Self.graph(tied: shape.tied, magnitude: shape.magnitude)
    let layout = SequenceLayout(lengths: [6, 1, 4])
    let tokens: [Int32] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 12]
    let rowWeights: [Float] = [0.1, 0.2, 0.1, 0.3, 0.1, 0, 0.4, 0.1, 0.2, 0.1, 0]
    let target = LossTarget.tokens(tokens.dropFirst() + [0])
    let trained = Set(graph.parameterIDs.filter { graph[$0].role != .adapterNorm })
    let found = try Interpreter(pool: ThreadPool(threads: 2)).gradients(
      of: LoadedModel(graph), tokens: tokens, sequences: layout, target: target, rowWeights: rowWeights, wanting: trained,
      retention: retention)
    var reference = try DoubleReference(graph, nodes: graph.nodes.indices, sequences: layout, tokens: tokens)
    let loss = try DoubleLoss(target, logits: reference.output, rowWeights: rowWeights)
    let expectedLoss = loss(reference.output)
    #expect(abs(found.loss - expectedLoss) <= 1e-6 * expectedLoss, "\(found.loss) instead of \(expectedLoss)")
    #expect(Set(found.parameters.keys) == trained)
    for id in trained {
      let slopes = reference.slopes(of: .parameter(id), step: 1e-5) { loss($0) }
      #expect(slopes.count == graph[id].shape.elementCount && largestMagnitude(slopes) > 0.01, "\(graph[id].name)")
      let error = relativeError(try #require(found.parameters[id]), slopes)
      #expect(error <= 5e-6, "gradient of \(graph[id].name): \(error)")
    }
  }
}
