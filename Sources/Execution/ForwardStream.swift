import Diagnostics
import Distribution
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
  ///   - observed: the batches that it is called for; nil for all.
  ///   - progress: called after each block.
  ///   - isDivided: whether several processes divide the batches, so that each returns, and observes, its own; all of them must ask.
  public func hidden(
    of graph: ModelGraph, windows: [[Int32]], observer: ((_ batch: Int, LinearRun) throws -> Void)? = nil, observed: Range<Int>? = nil,
    progress: (_ blocksDone: Int) throws -> Void = { _ in }, divided isDivided: Bool = false
  ) throws -> [Hidden] {
    let (batches, group) = (batches(of: windows), interpreter.group)
    let isShared = isDivided && interpreter.isTensorParallel
    var states: [Int: Matrix] = [:]
    for (blockIndex, block) in graph.body.enumerated() {
      var loaded: (weights: LoadedBlock, runner: Interpreter, wholeExperts: Bool)?
      for (index, batch) in batches.enumerated() {
        let isOwn = !isDivided || group.owns(index)
        guard isOwn || isShared && blockIndex > 0 else { continue }
        let isObserved = observer != nil && observed?.contains(index) != false
        // What looks tokens up gives little to divide; who observes wants to see all experts.
        let wholeExperts = isShared && blockIndex > 0 && !isObserved
        if wholeExperts != loaded?.wholeExperts {
          loaded = nil
          let runner = isShared && blockIndex > 0 ? interpreter.forSharedRows(wholeExperts: wholeExperts) : interpreter
          do {
            loaded = (try LoadedBlock(block, of: graph, experts: .passing, for: runner), runner, wholeExperts)
          } catch {
            // Others may have read theirs.
            throw runner.isAlone ? error : LostExchange(error)
          }
        }
        guard let (weights, runner, _) = loaded else { continue }
        if isShared, blockIndex > 0 { try group.checkInterruption() } else { try Interruption.check() }
        if blockIndex == 0 {
          let tokens = Array(windows[batch.windows].joined())
          states[index] = try runner.run(block, of: graph, weights: weights, tokens: tokens, sequences: batch.layout)
          continue
        }
        let input = isShared ? try group.broadcast(states[index], from: group.owner(of: index)) : states[index]
        guard let input else { continue }
        let result = try runner.run(
          block, of: graph, weights: weights, input: input, sequences: batch.layout,
          observer: !isOwn || !isObserved ? nil : observer.map { observer in { try observer(index, $0) } })
        if isOwn { states[index] = result }
      }
      try progress(blockIndex + 1)
    }
    return batches.enumerated().compactMap { index, batch in
      states[index].map { Hidden(matrix: $0, windows: batch.windows, layout: batch.layout) }
    }
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
