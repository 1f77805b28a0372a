import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

/// Attention whose reach was replaced in a model's graph.
@Suite struct ReplacedAttentionTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  private func graph(_ name: String, _ reach: AttentionReach) throws -> (graph: ModelGraph, tokens: [Int32]) {
    let model = try GoldenModel(name)
    let graph = try model.graph.replacingOperations { _, operation in
      guard case .attention(var attention) = operation else { return operation }
      attention.reach = reach
      return .attention(attention)
    }
    return (graph, Array(try model.integers("input_ids")[0].prefix(40)))
  }

  static let reaches: [AttentionReach] = [
    .blocks(.init(block: 4, count: 3)), .blocks(.init(block: 1, count: 6)), .blocks(.init(block: 16, count: 1)), .window(9),
  ]

  /// Token by token, in pieces and all at once give the same logits.
  @Test(arguments: ["llama-gqa", "qwen3", "deepseek-v3"], reaches) func cacheAgreesWithPrefill(_ name: String, _ reach: AttentionReach)
    throws
  {
    let (graph, tokens) = try graph(name, reach)
    let whole = try GoldenModel.logits(graph, windows: [tokens], interpreter: interpreter)
    for pieces in [[1], [7, 1, 20], [3]] {
      let session = try DecodingSession(graph: graph, interpreter: interpreter, capacity: tokens.count)
      var (position, step) = (0, 0)
      while position < tokens.count {
        let count = min(pieces[step % pieces.count], tokens.count - position)
        let logits = try session.append(Array(tokens[position..<position + count]))
        (position, step) = (position + count, step + 1)
        let expected = whole.values(ofRow: position - 1)
        #expect(zip(logits, expected).allSatisfy { abs($0 - $1) <= 1e-4 }, "\(name), \(pieces), position \(position)")
      }
    }
  }

  /// What leaves nothing out is what was there; what leaves something out is not.
  @Test func reachMatters() throws {
    let tokens = try graph("llama-gqa", .full).tokens
    func logits(_ reach: AttentionReach) throws -> Matrix {
      try GoldenModel.logits(graph("llama-gqa", reach).graph, windows: [tokens], interpreter: interpreter)
    }
    let full = try logits(.full)
    func distance(_ other: Matrix) -> Float { (0..<full.rows * full.columns).map { abs(full.pointer[$0] - other.pointer[$0]) }.max() ?? 0 }
    #expect(try distance(logits(.blocks(.init(block: 8, count: 5)))) <= 1e-4)
    #expect(try distance(logits(.window(40))) <= 1e-4)
    #expect(try distance(logits(.blocks(.init(block: 8, count: 2)))) > 1e-2)
    #expect(try distance(logits(.window(39))) > 1e-4)
  }

  /// An int8 cache costs as little as with full attention.
  @Test func theQuantizedCacheWorks() throws {
    let (graph, tokens) = try graph("llama-gqa", .blocks(.init(block: 4, count: 4)))
    let exact = try DecodingSession(graph: graph, interpreter: interpreter, capacity: 40).append(tokens)
    let session = try DecodingSession(graph: graph, interpreter: interpreter, capacity: 40, keyValues: .int8)
    var logits: [Float] = []
    for piece in [tokens[..<13], tokens[13..<14], tokens[14...]] { logits = try session.append(Array(piece)) }
    #expect(zip(logits, exact).allSatisfy { abs($0 - $1) < 0.05 * (exact.map(abs).max() ?? 0) })
  }

  @Test func threadsDoNotChangeABit() throws {
    let (graph, tokens) = try graph("llama-gqa", .blocks(.init(block: 4, count: 3)))
    let one = try GoldenModel.logits(graph, windows: [tokens, tokens], interpreter: Interpreter(pool: ThreadPool(threads: 1)))
    let many = try GoldenModel.logits(graph, windows: [tokens, tokens], interpreter: Interpreter(pool: ThreadPool(threads: 3)))
    #expect((0..<one.rows * one.columns).allSatisfy { abs(one.pointer[$0] - many.pointer[$0]) <= 1e-5 })
  }

  /// Impossible reaches do not pass the verifier.
  @Test(
    arguments: [
      .window(0), .window(-1), .blocks(.init(block: 0, count: 1)), .blocks(.init(block: 4, count: 0)),
      .blocks(.init(block: 1 << 20, count: 1 << 20)),
    ] as [AttentionReach])
  func impossibleReachesAreRefused(_ reach: AttentionReach) {
    #expect(throws: GraphError.self) { try graph("llama-gqa", reach) }
  }
}
