import Diagnostics
import ModelGraph

extension Interpreter {
  /// Runs a block like ``run(_:of:weights:input:sequences:cache:observer:)``, with the same bits, and keeps what its gradient needs.
  /// - Parameter input: `[rows, width]`; it is not changed, and must stay as it is until the backward run.
  public func runRecording(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, input: Matrix, sequences: SequenceLayout
  ) throws -> BlockTape {
    try record(block, of: graph, weights: weights, tokens: [], input: input, sequences: sequences)
  }

  /// The same for the block that looks tokens up.
  public func runRecording(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, tokens: [Int32], sequences: SequenceLayout
  ) throws -> BlockTape {
    try check(tokens, of: graph)
    return try record(block, of: graph, weights: weights, tokens: tokens, input: nil, sequences: sequences)
  }

  private func record(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, tokens: [Int32], input: Matrix?, sequences: SequenceLayout
  ) throws -> BlockTape {
    guard keyValues == .none else {
      throw ExecutionError(
        block.name, "cannot be differentiated while keys and values are rounded", remedy: "use an interpreter with keyValues .none",
        kind: .usage)
    }
    let run = try execute(
      block, of: graph, weights: weights, tokens: tokens, input: input, sequences: sequences,
      keeping: BlockTape.needed(by: block, of: graph))
    return BlockTape(
      output: try result(of: block, in: graph, run.values), block: block, graph: graph, weights: weights, tokens: tokens,
      sequences: sequences, values: run.values, routes: run.routes)
  }

  /// The vector-Jacobian products of a recorded block. Results do not depend on the number of threads.
  ///
  /// What leads to no wanted gradient is not computed. Rounding passes gradients straight through: a quantized weight gets the gradient of
  /// its dequantized values, and so does an input that is quantized to int8.
  /// - Parameters:
  ///   - outputGradient: of the shape of the tape's output; it is not changed.
  ///   - wanted: parameters whose gradients are wanted; those of other blocks are passed over.
  ///   - inputGradient: whether the gradient of the block's input is wanted.
  ///   - sums: gradients to add to, in place (accumulation); they are returned among the others.
  ///   - observer: called for every linear layer that the walk reaches, with the gradient of its output and the rows of the batch
  ///     that it has; nil for all.
  public func backward(
    _ tape: BlockTape, outputGradient: Matrix, wanting wanted: Set<ParameterID>, inputGradient: Bool,
    addingTo sums: [ParameterID: Matrix] = [:],
    observer: ((_ node: Node, _ outputGradient: Matrix, _ rows: [Int32]?) throws -> Void)? = nil
  ) throws -> BlockGradients {
    guard outputGradient.rows == tape.output.rows, outputGradient.columns == tape.output.columns else {
      throw ExecutionError(
        tape.block.name,
        "gives \(tape.output.rows) × \(tape.output.columns) values, "
          + "its gradient has \(outputGradient.rows) × \(outputGradient.columns)", kind: .usage)
    }
    let pass = BackwardPass(self, tape, wanting: wanted, inputGradient: inputGradient, addingTo: sums, observer: observer)
    return try pass.run(outputGradient)
  }
}
