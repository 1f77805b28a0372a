import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

/// Adapters as nodes of the graph, against the model that their merged weights make.
@Suite struct AdapterTests {
  let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  private func random(_ rows: Int, _ columns: Int, seed: UInt64, size: Double, around centre: Double = 0) -> Tensor {
    var random = SeededRandom(seed: seed)
    return Tensor((0..<rows * columns).map { _ in Float(centre + size * (2 * random.nextUnit() - 1)) }, shape: [rows, columns])
  }

  private struct Adapted {
    let graph: ModelGraph
    let adapters: [AttachedAdapter]
    let values: [ParameterID: Matrix]
  }

  /// Adapters on every linear layer of the model's blocks, biased ones and the head among them; a head that is also the table is left out,
  /// since merging would change the table too.
  private func adapted(_ base: ModelGraph, magnitude: Bool) throws -> Adapted {
    var graph = base
    var requested: [String: LowRankAdapter] = [:]
    for block in base.blocks {
      for (node, weight) in base.linears(of: block) where !base.sharedParameters.contains(weight) {
        let shape = base[weight].shape, seed = UInt64(weight.index)
        requested[node.scope] = LowRankAdapter(
          down: random(5, shape[1], seed: 3 * seed, size: 0.2), up: random(shape[0], 5, seed: 3 * seed + 1, size: 0.1), scaling: 1.7,
          magnitude: magnitude
            ? Tensor(random(1, shape[0], seed: 3 * seed + 2, size: 0.2, around: 1).float32Values() ?? [], shape: [shape[0]]) : nil)
      }
    }
    let adapters = try graph.attach(requested)
    var values: [ParameterID: Matrix] = [:]
    for adapter in adapters {
      for id in [adapter.down, adapter.up, adapter.magnitude, adapter.norm].compactMap({ $0 }) { values[id] = try Matrix(graph[id]) }
      if let norm = adapter.norm, let norms = values[norm], let down = values[adapter.down], let up = values[adapter.up] {
        try AdaptedWeight(graph[adapter.weight], down: down, up: up, scaling: adapter.scaling).norms(into: norms, pool: interpreter.pool)
      }
    }
    return Adapted(graph: graph, adapters: adapters, values: values)
  }

  private func merged(_ adapted: Adapted) throws -> [ParameterID: Matrix] {
    var weights: [ParameterID: Matrix] = [:]
    for adapter in adapted.adapters {
      let (down, up) = (try #require(adapted.values[adapter.down]), try #require(adapted.values[adapter.up]))
      weights[adapter.weight] = try AdaptedWeight(adapted.graph[adapter.weight], down: down, up: up, scaling: adapter.scaling)
        .merged(magnitude: adapter.magnitude.flatMap { adapted.values[$0] }, pool: interpreter.pool)
    }
    return weights
  }

  private func gradients(
    _ model: GoldenModel, _ graph: ModelGraph, _ values: [ParameterID: Matrix], wanting wanted: Set<ParameterID>
  ) throws -> (loss: Double, parameters: [ParameterID: Matrix]) {
    let windows = try model.integers("input_ids")
    return try interpreter.gradients(
      of: LoadedModel(graph).overriding(values), tokens: windows.flatMap { $0 },
      sequences: SequenceLayout(lengths: windows.map(\.count)), target: .tokens(windows.flatMap { $0.dropFirst() + [0] }),
      rowWeights: windows.flatMap { Array(repeating: 0.01, count: $0.count - 1) + [0] }, wanting: wanted)
  }

  /// With the gradient dW of the merged weight: dB = γ·dW·Aᵀ and dA = γ·Bᵀ·dW; behind a magnitude, with dV = dW·m/n in the place of dW and
  /// dm the rows of dW times those of V / n. In double, from dW as another graph computes it.
  @Test(arguments: [("llama-gqa", false), ("qwen2", false), ("qwen2", true), ("qwen3", true), ("llama-biases", true)])
  func lossAndGradientsAreThoseOfTheMergedWeights(_ name: String, _ magnitude: Bool) throws {
    let model = try GoldenModel(name)
    let adapted = try adapted(model.graph, magnitude: magnitude)
    let parts = Set(adapted.adapters.flatMap { [$0.down, $0.up] + [$0.magnitude].compactMap { $0 } })
    let found = try gradients(model, adapted.graph, adapted.values, wanting: parts)
    #expect(Set(found.parameters.keys) == parts)
    let weights = try merged(adapted)
    let plain = try gradients(model, model.graph, weights, wanting: Set(weights.keys))
    #expect(abs(found.loss - plain.loss) < 1e-5 * plain.loss)
    for adapter in adapted.adapters {
      let slope = try #require(plain.parameters[adapter.weight])
      let (down, up) = (try #require(adapted.values[adapter.down]), try #require(adapted.values[adapter.up]))
      let weight = try Matrix(adapted.graph[adapter.weight])
      let (outputs, inputs, rank, scaling) = (up.rows, down.columns, down.rows, Double(adapter.scaling))
      let (downSlope, upSlope) = (Matrix(rows: rank, columns: inputs), Matrix(rows: outputs, columns: rank))
      let magnitudeSlope = Matrix(rows: 1, columns: outputs)
      var sums = [Double](repeating: 0, count: rank * inputs)
      for row in 0..<outputs {
        var full = (0..<inputs).map { column in
          Double(weight.row(row)[column])
            + scaling * (0..<rank).reduce(0.0) { $0 + Double(up.row(row)[$1]) * Double(down.row($1)[column]) }
        }
        var direction = (0..<inputs).map { Double(slope.row(row)[$0]) }
        if let id = adapter.magnitude, let lengths = adapted.values[id] {
          let norm = full.reduce(0) { $0 + $1 * $1 }.squareRoot()
          full = full.map { $0 / norm }
          magnitudeSlope.pointer[row] = Float(zip(full, direction).reduce(0) { $0 + $1.0 * $1.1 })
          direction = direction.map { $0 * Double(lengths.pointer[row]) / norm }
        }
        for part in 0..<rank {
          upSlope.row(row)[part] = Float(scaling * (0..<inputs).reduce(0.0) { $0 + direction[$1] * Double(down.row(part)[$1]) })
          for column in 0..<inputs { sums[part * inputs + column] += scaling * Double(up.row(row)[part]) * direction[column] }
        }
      }
      for index in sums.indices { downSlope.pointer[index] = Float(sums[index]) }
      #expect(relativeDifference(try #require(found.parameters[adapter.down]), downSlope) < 1e-4, "\(adapter.module)")
      #expect(relativeDifference(try #require(found.parameters[adapter.up]), upSlope) < 1e-4, "\(adapter.module)")
      if let id = adapter.magnitude {
        #expect(relativeDifference(try #require(found.parameters[id]), magnitudeSlope) < 1e-4, "\(adapter.module)")
      }
    }
  }

  /// What is added is no layer of the model: passes do not see it.
  @Test func passesSeeTheModelOnly() throws {
    let base = try GoldenModel("qwen2").graph
    let graph = try adapted(base, magnitude: true).graph
    for (before, after) in zip(base.blocks, graph.blocks) {
      #expect(base.linears(of: before).map(\.weight) == graph.linears(of: after).map(\.weight))
      #expect(before.name == after.name)
    }
    var again = base
    let shape = base[base.linears(of: base.blocks[1])[0].weight].shape
    let fitting = LowRankAdapter(down: random(2, shape[1], seed: 1, size: 1), up: random(shape[0], 2, seed: 2, size: 1), scaling: 1)
    #expect(throws: GraphError.self) { try again.attach(["model.layers.0.self_attn.k_projection": fitting]) }
    let wide = LowRankAdapter(down: random(2, shape[1] + 1, seed: 1, size: 1), up: random(shape[0], 2, seed: 2, size: 1), scaling: 1)
    #expect(throws: GraphError.self) { try again.attach([base.linears(of: base.blocks[1])[0].node.scope: wide]) }
  }
}
