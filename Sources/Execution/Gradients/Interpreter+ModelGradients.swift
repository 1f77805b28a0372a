import Diagnostics
import ModelGraph

/// What a backward run over a whole model does about the values between operations.
public enum ActivationRetention: Sendable, Hashable {
  /// Keeps each block's input only, and runs the block a second time before its gradients (activation checkpointing, Chen et al. 2016).
  case recompute
  /// Keeps everything: a forward run less, for memory that grows with the number of layers.
  case keep
}

extension Interpreter {
  /// Runs every block but the head.
  /// - Returns: what the last layer leaves, `[rows, width]`.
  public func hidden(of model: LoadedModel, tokens: [Int32], sequences: SequenceLayout) throws -> Matrix {
    try check(rows: tokens.count, sequences)
    var state: Matrix?
    for (block, weights) in zip(model.graph.blocks.dropLast(), model.blocks) {
      try Interruption.check()
      state = try run(block, of: model.graph, weights: weights, tokens: tokens, after: state, sequences: sequences)
    }
    guard let state else { throw ExecutionError(model.graph.family, "has no blocks before its head") }
    return state
  }

  /// The loss of a model's predictions and its gradients, forward and back over all blocks; nothing is computed in front of the first block
  /// that holds a wanted parameter.
  /// - Parameters:
  ///   - tokens: of all sequences, one behind the other.
  ///   - rowWeights: as in ``headLoss(_:of:weights:input:target:rowWeights:wanting:inputGradient:tileRows:addingTo:)``.
  ///   - retention: shows in memory and time, not in the result.
  ///   - sums: gradients to add to, in place.
  public func gradients(
    of model: LoadedModel, tokens: [Int32], sequences: SequenceLayout, target: LossTarget, rowWeights: [Float],
    wanting wanted: Set<ParameterID>, retention: ActivationRetention = .recompute, addingTo sums: [ParameterID: Matrix] = [:]
  ) throws -> (loss: Double, parameters: [ParameterID: Matrix]) {
    let graph = model.graph
    guard let head = graph.blocks.last, let headWeights = model.blocks.last else { return (0, sums) }
    try check(rows: tokens.count, sequences)
    let layers = Array(zip(graph.blocks.dropLast(), model.blocks))
    let first =
      layers.firstIndex { block, _ in graph.nodes[block.nodes].contains { !wanted.isDisjoint(with: $0.parameters) } } ?? layers.count
    var (state, inputs, tapes): (Matrix?, [Matrix?], [BlockTape?]) = (nil, [], [])
    for (index, (block, weights)) in layers.enumerated() {
      try Interruption.check()
      inputs.append(index >= first && retention == .recompute ? state : nil)
      if index >= first, retention == .keep {
        let tape = try record(block, of: graph, weights: weights, tokens: tokens, after: state, sequences: sequences)
        tapes.append(tape)
        state = tape.output
      } else {
        tapes.append(nil)
        state = try run(block, of: graph, weights: weights, tokens: tokens, after: state, sequences: sequences)
      }
    }
    guard let state else { return (0, sums) }
    let loss = try headLoss(
      head, of: graph, weights: headWeights, input: state, target: target, rowWeights: rowWeights, wanting: wanted,
      inputGradient: first < layers.count, addingTo: sums)
    var (gradient, sums) = (loss.gradients.input, loss.gradients.parameters)
    for index in stride(from: layers.count - 1, through: first, by: -1) {
      guard let outputGradient = gradient else { break }
      try Interruption.check()
      let (block, weights) = layers[index]
      let kept = tapes[index]
      // What a block held is let go as soon as its gradients are known.
      tapes[index] = nil
      let tape = try kept ?? record(block, of: graph, weights: weights, tokens: tokens, after: inputs[index], sequences: sequences)
      inputs[index] = nil
      let result = try backward(
        tape, outputGradient: outputGradient, wanting: wanted, inputGradient: index > first, addingTo: sums)
      (gradient, sums) = (result.input, result.parameters)
    }
    return (loss.loss, sums)
  }

  /// - Parameter state: what the block before left; nil for the one that looks tokens up.
  private func run(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, tokens: [Int32], after state: Matrix?, sequences: SequenceLayout
  ) throws -> Matrix {
    if let state { return try run(block, of: graph, weights: weights, input: state, sequences: sequences) }
    return try run(block, of: graph, weights: weights, tokens: tokens, sequences: sequences)
  }

  private func record(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, tokens: [Int32], after state: Matrix?, sequences: SequenceLayout
  ) throws -> BlockTape {
    if let state { return try runRecording(block, of: graph, weights: weights, input: state, sequences: sequences) }
    return try runRecording(block, of: graph, weights: weights, tokens: tokens, sequences: sequences)
  }

  private func check(rows: Int, _ sequences: SequenceLayout) throws {
    guard rows == sequences.rows else {
      throw ExecutionError("batch", "has \(rows) tokens in sequences of \(sequences.rows)", kind: .usage)
    }
  }
}
