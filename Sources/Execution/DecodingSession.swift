import Diagnostics
import ModelGraph

/// A model that keeps its blocks at hand and its past in a cache, to continue one sequence token by token.
public final class DecodingSession {
  public let graph: ModelGraph
  /// The same model as it decodes.
  private let running: ModelGraph
  private let interpreter: Interpreter
  private let blocks: [LoadedBlock]
  private var cache: KeyValueCache

  /// - Parameters:
  ///   - capacity: the most tokens the sequence may reach.
  ///   - keyValues: the form of the cache.
  public init(
    graph: ModelGraph, interpreter: Interpreter, capacity: Int, keyValues: KeyValueQuantization = .none
  ) throws {
    self.graph = graph
    self.interpreter = interpreter
    let running = graph.absorbingLatentAttention()
    self.running = running
    blocks = try running.blocks.map { try LoadedBlock($0, of: running) }
    cache = KeyValueCache(capacity: capacity, quantization: keyValues)
  }

  /// Forgets all tokens, for another sequence.
  public func restart() { cache = KeyValueCache(capacity: cache.capacity, quantization: cache.quantization) }

  /// Tokens seen so far.
  public var length: Int { cache.length }
  /// Bytes that the cache has allocated.
  public var cacheBytes: Int { cache.byteCount }

  /// Appends tokens and returns the logits that follow the last of them, `[vocabularySize]`.
  /// - Parameter progress: called before each block, with how many are done. A stop that was asked for is honoured there.
  public func append(_ tokens: [Int32], progress: (_ blocksDone: Int) -> Void = { _ in }) throws -> [Float] {
    guard !tokens.isEmpty else { throw ExecutionError("prompt", "has no tokens", kind: .usage) }
    guard cache.length + tokens.count <= cache.capacity else {
      throw ExecutionError(
        "sequence", "of \(cache.length + tokens.count) tokens is longer than the \(cache.capacity) that were reserved", kind: .usage)
    }
    try Interruption.check()
    let layout = SequenceLayout(lengths: [tokens.count], positions: [cache.length])
    var state = Matrix(rows: 0, columns: 0)
    for (index, block) in running.blocks.enumerated() {
      // Nothing is lost by ending in the middle: the cache's length is that of before.
      if tokens.count > 1 { try Interruption.check() }
      progress(index)
      if index == 0 {
        state = try interpreter.run(block, of: running, weights: blocks[index], tokens: tokens, sequences: layout)
        continue
      }
      var layout = layout
      if index == running.blocks.count - 1 {
        // Only the last row's prediction is asked for.
        state = state.copy(rows: state.rows - 1..<state.rows)
        layout = SequenceLayout(lengths: [1], positions: [cache.length + tokens.count - 1])
      }
      state = try interpreter.run(
        block, of: running, weights: blocks[index], input: state, sequences: layout, cache: cache)
    }
    cache.length += tokens.count
    let logits = state.values(ofRow: 0)
    guard logits.allSatisfy(\.isFinite) else {
      throw ExecutionError(
        "the model", "gives logits that are not finite", remedy: "its weights hold NaN, infinities or values far out of range")
    }
    return logits
  }
}
