import Compression
import Diagnostics
import ModelGraph

extension WorkMeter {
  /// A stage that goes through a model block by block.
  /// - Parameters:
  ///   - tokens: of text that is sent through each block.
  ///   - runs: forward runs of a block, or what takes as long.
  ///   - isWritten: whether its values are read, written and digested too.
  ///   - perWeight: what each weight of a linear layer costs beside that.
  convenience init(
    _ stage: String, blocksOf graph: ModelGraph, tokens: Int = 0, runs: Double = 1, perWeight: Double = 0, isWritten: Bool = false,
    progress: ProgressHandler?
  ) {
    let costs = graph.blocks.map { block in
      graph.operations(of: block, tokens: block.kind == .head ? 0 : tokens) * runs + graph.linearWeights(of: block) * perWeight
        + (isWritten ? graph.storedValues(of: block) * WorkEstimate.storedValue : 0)
    }
    self.init(stage, costs: costs, tokens: tokens, progress: progress)
  }

  /// Does the work of the whole stage, which says before each part how many are done.
  func run<Result>(_ work: (_ done: (_ parts: Int, _ total: Int) -> Void) throws -> Result) rethrows -> Result {
    let result = try measure { try work { parts, _ in self.begin(parts) } }
    finish()
    return result
  }
}

extension [[Int32]] {
  /// Tokens of all windows.
  var tokenCount: Int { reduce(0) { $0 + $1.count } }
}
