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
    for (block, weights) in zip(model.graph.body, model.blocks) {
      try Interruption.check()
      state = try run(block, of: model.graph, weights: weights, tokens: tokens, after: state, sequences: sequences)
    }
    guard let state else { throw ExecutionError(model.graph.family, "has no blocks before its head") }
    return state
  }

  /// A loss over a model and its gradients, forward and back over all blocks; nothing is computed in front of the first block that holds a
  /// wanted parameter, and nothing behind the last that an objective looks at.
  /// - Parameters:
  ///   - tokens: of all sequences, one behind the other.
  ///   - rowWeights: as in ``headLoss(_:of:weights:input:target:rowWeights:wanting:inputGradient:tileRows:addingTo:)``.
  ///   - retention: shows in memory and time, not in the result.
  ///   - sums: gradients to add to, in place.
  public func gradients(
    of model: LoadedModel, tokens: [Int32], sequences: SequenceLayout, objective: TrainingObjective, rowWeights: [Float],
    wanting wanted: Set<ParameterID>, retention: ActivationRetention = .recompute, addingTo sums: [ParameterID: Matrix] = [:]
  ) throws -> ModelGradients {
    let graph = model.graph
    guard let head = graph.blocks.last, let headWeights = model.blocks.last else { return ModelGradients(parameters: sums) }
    try check(rows: tokens.count, sequences)
    let layers = Array(zip(graph.body, model.blocks))
    // Where the walk back ends: at the first wanted parameter, or at what the first block leaves.
    let wantedFirst =
      layers.firstIndex { block, _ in graph.nodes[block.nodes].contains { !wanted.isDisjoint(with: $0.parameters) } } ?? layers.count
    let first = objective.wantsEmbeddingGradient ? min(wantedFirst, 1) : wantedFirst
    let end = objective.target == nil ? min(layers.count, (objective.hidden?.blocks.max() ?? -1) + 1) : layers.count
    var result = ModelGradients(parameters: sums)
    var (state, inputs, tapes): (Matrix?, [Matrix?], [BlockTape?]) = (nil, [], [])
    var pulls: [Int: Matrix] = [:]
    for (index, (block, weights)) in layers.enumerated() where index < end {
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
      if index == 0, let offset = objective.embeddingOffset, let embedded = state { state = try moved(embedded, by: offset) }
      if let hidden = objective.hidden, hidden.blocks.contains(index), let output = state {
        let pull = try hidden.differentiate(index, output)
        (result.loss, pulls[index]) = (result.loss + pull.loss, pull.gradient)
      }
    }
    guard let state else { return result }
    var gradient: Matrix?
    if let target = objective.target {
      let loss = try headLoss(
        head, of: graph, weights: headWeights, input: state, target: target, rowWeights: rowWeights, wanting: wanted,
        inputGradient: first < layers.count, addingTo: result.parameters)
      (result.loss, result.parameters, gradient) = (result.loss + loss.loss, loss.gradients.parameters, loss.gradients.input)
    }
    for index in stride(from: end - 1, through: first, by: -1) {
      gradient = sum(gradient, pulls[index])
      guard let outputGradient = gradient else { continue }
      try Interruption.check()
      let (block, weights) = layers[index]
      let kept = tapes[index]
      // What a block held is let go as soon as its gradients are known.
      tapes[index] = nil
      let tape = try kept ?? record(block, of: graph, weights: weights, tokens: tokens, after: inputs[index], sequences: sequences)
      inputs[index] = nil
      let found = try backward(
        tape, outputGradient: outputGradient, wanting: wanted,
        inputGradient: index > first || index == 1 && objective.wantsEmbeddingGradient,
        addingTo: result.parameters)
      (gradient, result.parameters) = (found.input, found.parameters)
      if index == 1, objective.wantsEmbeddingGradient { result.embedding = gradient }
    }
    return result
  }

  /// The same for a loss of predictions alone.
  public func gradients(
    of model: LoadedModel, tokens: [Int32], sequences: SequenceLayout, target: LossTarget, rowWeights: [Float],
    wanting wanted: Set<ParameterID>, retention: ActivationRetention = .recompute, addingTo sums: [ParameterID: Matrix] = [:]
  ) throws -> (loss: Double, parameters: [ParameterID: Matrix]) {
    let result = try gradients(
      of: model, tokens: tokens, sequences: sequences, objective: TrainingObjective(target), rowWeights: rowWeights, wanting: wanted,
      retention: retention, addingTo: sums)
    return (result.loss, result.parameters)
  }

  /// The first is the caller's own to change.
  private func sum(_ gradient: Matrix?, _ pull: Matrix?) -> Matrix? {
    guard let gradient, let pull else { return gradient ?? pull }
    gradient.adds(pull, pool: pool)
    return gradient
  }

  private func moved(_ embedded: Matrix, by offset: Matrix) throws -> Matrix {
    guard offset.rows == embedded.rows, offset.columns == embedded.columns else {
      throw ExecutionError(
        "offset", "has \(offset.rows) × \(offset.columns) values, embeddings have \(embedded.rows) × \(embedded.columns)", kind: .usage)
    }
    let result = embedded.copy(rows: 0..<embedded.rows)
    result.adds(offset, pool: pool)
    return result
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
