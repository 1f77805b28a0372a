import Diagnostics
import ModelGraph

/// Runs a model over many windows of tokens one block at a time: memory is one block's weights and the windows' activations, whatever the model's size.
public struct ForwardStream: Sendable {
  public let interpreter: Interpreter
  /// Rows that a block works on together; more use the caches better, fewer need less memory.
  public var batchRows = 2048

  public init(interpreter: Interpreter) { self.interpreter = interpreter }

  /// What the last block before the head leaves, a matrix per batch of whole windows.
  public struct Hidden: Sendable {
    public let matrix: Matrix
    /// The windows (by index) whose rows follow each other in the matrix.
    public let windows: Range<Int>
    public let layout: SequenceLayout
  }

  /// Runs every block but the head over the windows.
  /// - Parameters:
  ///   - observer: called for every linear layer, with the index of the batch it works on.
  ///   - progress: called after each block.
  ///   - isWanted: which batches are run, by their place; nil for all.
  public func hidden(
    of graph: ModelGraph, windows: [[Int32]], observer: ((_ batch: Int, LinearRun) throws -> Void)? = nil,
    progress: (_ blocksDone: Int) throws -> Void = { _ in }, only isWanted: ((_ batch: Int) -> Bool)? = nil
  ) throws -> [Hidden] {
    let batches = batches(of: windows).enumerated().filter { isWanted?($0.offset) ?? true }
    var states: [Matrix] = []
    for (blockIndex, block) in graph.body.enumerated() {
      let weights = try LoadedBlock(block, of: graph, experts: .passing)
      for (place, (index, batch)) in batches.enumerated() {
        try Interruption.check()
        if blockIndex == 0 {
          let tokens = Array(windows[batch.windows].joined())
          states.append(
            try interpreter.run(block, of: graph, weights: weights, tokens: tokens, sequences: batch.layout))
        } else {
          states[place] = try interpreter.run(
            block, of: graph, weights: weights, input: states[place], sequences: batch.layout,
            observer: observer.map { observer in { try observer(index, $0) } })
        }
      }
      try progress(blockIndex + 1)
    }
    return zip(batches, states).map { Hidden(matrix: $1, windows: $0.element.windows, layout: $0.element.layout) }
  }

  /// How windows are cut: whole ones that run together.
  package func batches(of windows: [[Int32]]) -> [(windows: Range<Int>, layout: SequenceLayout)] {
    var batches: [(windows: Range<Int>, layout: SequenceLayout)] = []
    var start = 0
    while start < windows.count {
      var end = start
      var rows = 0
      while end < windows.count, end == start || rows + windows[end].count <= batchRows {
        rows += windows[end].count
        end += 1
      }
      batches.append((start..<end, SequenceLayout(lengths: windows[start..<end].map(\.count))))
      start = end
    }
    return batches
  }
}
