import ModelGraph

extension Interpreter {
  /// Some of the values that a block computes, or reads.
  public func values(
    _ wanted: Set<ValueID>, of block: Block, in graph: ModelGraph, weights: LoadedBlock, input: Matrix, sequences: SequenceLayout
  ) throws -> [ValueID: Matrix] {
    let run = try execute(block, of: graph, weights: weights, tokens: [], input: input, sequences: sequences, keeping: wanted)
    return run.values.filter { wanted.contains($0.key) }
  }
}
