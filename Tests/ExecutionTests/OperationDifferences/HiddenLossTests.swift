import Execution
import ModelGraph
import Tensors
import Testing

/// Losses of hidden states, and the gradients of embeddings: against central differences of the loss itself.
@Suite struct HiddenLossTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))
  private let tokens: [Int32] = [3, 1, 4, 1, 5, 9, 2]
  private let layout = SequenceLayout(lengths: [4, 3])
  private let rowWeights: [Float] = [0.3, 0.2, 0.1, 0, 0.4, 0.1, 0]

  /// Σ c (h · v + h · h / 2): its gradient is c (v + h).
  private struct Pull: HiddenLoss {
    let blocks: Set<Int>

    func differentiate(_ block: Int, _ state: Matrix) throws -> (loss: Double, gradient: Matrix) {
      let (gradient, factor) = (Matrix(rows: state.rows, columns: state.columns), 0.01 * Float(block + 1))
      var loss = 0.0
      for index in 0..<state.rows * state.columns {
        let direction = Float(index % 5) - 2
        loss += Double(factor) * Double(state.pointer[index]) * (Double(direction) + Double(state.pointer[index]) / 2)
        gradient.pointer[index] = factor * (direction + state.pointer[index])
      }
      return (loss, gradient)
    }
  }

  private func graph() throws -> ModelGraph {
    var tiny = TinyGraph(vocabulary: 11)
    var x = try tiny.embedding(width: 6)
    for layer in 0..<3 {
      let normed = try tiny.rmsNorm(x, "norm\(layer)", epsilon: 1e-5)
      x = tiny.add(x, try tiny.linear(normed, "layer\(layer)", outputs: 6))
      tiny.endLayer(layer)
    }
    let logits = try tiny.head(x)
    return try tiny.finish(logits)
  }

  private func objective(_ blocks: Set<Int>, predicts: Bool, offset: Matrix?) -> TrainingObjective {
    TrainingObjective(
      predicts ? .tokens(tokens.dropFirst() + [0]) : nil, hidden: blocks.isEmpty ? nil : Pull(blocks: blocks), embeddingOffset: offset)
  }

  @Test(
    arguments: [([1, 2], true), ([1, 3], false), ([], true), ([0], false)] as [([Int], Bool)], [ActivationRetention.recompute, .keep])
  func gradientsAreThoseOfDifferences(_ shape: ([Int], Bool), _ retention: ActivationRetention) throws {
    let graph = try graph()
    let offset = sampleMatrix(rows: tokens.count, columns: 6, seed: 31, size: 0.3)
    let trained = Set(graph.parameterIDs)
    var objective = objective(Set(shape.0), predicts: shape.1, offset: offset)
    objective.wantsEmbeddingGradient = true
    let found = try interpreter.gradients(
      of: LoadedModel(graph), tokens: tokens, sequences: layout, objective: objective, rowWeights: rowWeights, wanting: trained,
      retention: retention)
    func loss(_ values: [ParameterID: Matrix], _ offset: Matrix) throws -> Double {
      try interpreter.gradients(
        of: LoadedModel(graph).overriding(values), tokens: tokens, sequences: layout,
        objective: self.objective(Set(shape.0), predicts: shape.1, offset: offset), rowWeights: rowWeights, wanting: []
      ).loss
    }
    #expect(abs(found.loss - (try loss([:], offset))) <= 1e-6 * abs(found.loss))
    let step: Float = 1.0 / 128
    for id in trained {
      let values = try Matrix(graph[id])
      for index in [0, 3, values.rows * values.columns - 1] {
        let start = values.pointer[index]
        values.pointer[index] = start + step
        let above = try loss([id: values], offset)
        values.pointer[index] = start - step
        let below = try loss([id: values], offset)
        values.pointer[index] = start
        let slope = (above - below) / Double(2 * step)
        let gradient = Double(found.parameters[id]?.pointer[index] ?? 0)
        #expect(abs(slope - gradient) <= 2e-3 * max(0.05, abs(slope)), "\(graph[id].name) \(index): \(gradient), not \(slope)")
      }
    }
    // Of what the first block leaves: the offset is added there. A loss of that alone ends before it.
    guard shape.0 != [0] else { return }
    let embedding = try #require(found.embedding)
    for index in [0, 7, 20, 41] {
      let start = offset.pointer[index]
      offset.pointer[index] = start + step
      let above = try loss([:], offset)
      offset.pointer[index] = start - step
      let below = try loss([:], offset)
      offset.pointer[index] = start
      let slope = (above - below) / Double(2 * step)
      #expect(abs(slope - Double(embedding.pointer[index])) <= 2e-3 * max(0.05, abs(slope)), "embedding \(index)")
    }
  }

  @Test func offsetsOfAnotherShapeAreRefused() throws {
    let graph = try graph()
    #expect(throws: ExecutionError.self) {
      try interpreter.gradients(
        of: LoadedModel(graph), tokens: tokens, sequences: layout,
        objective: objective([], predicts: true, offset: Matrix(rows: 1, columns: 6)), rowWeights: rowWeights, wanting: [])
    }
  }
}
