import Diagnostics
import Execution
import Foundation
import ModelGraph
import Recipes
import Tensors
import Testing

/// Alone, these comparisons hold to the bit (as the command-line tests check in processes of their own). Here they may not ask for that: the
/// kernel tests run beside them in the same process and force instruction sets, which add in different orders.
@Suite struct KeyValueCacheTests {
  /// Logits after every piece of the tokens.
  private func logits(
    _ graph: ModelGraph, _ tokens: [Int32], pieces: [Int], threads: Int = 2, keyValues: KeyValueQuantization = .int8
  ) throws -> [[Float]] {
    let session = try DecodingSession(
      graph: graph, interpreter: Interpreter(pool: ThreadPool(threads: threads)), capacity: tokens.count, keyValues: keyValues)
    var rows: [[Float]] = []
    var position = 0
    while position < tokens.count {
      let count = min(pieces[rows.count % pieces.count], tokens.count - position)
      rows.append(try session.append(Array(tokens[position..<position + count])))
      position += count
    }
    return rows
  }

  private func distance(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } }

  /// What a code that moved by one step may change, of what quantizing itself costs: a lost or misplaced token changes more than all of it.
  private static let flip: Float = 0.1

  /// What the int8 cache changes in the logits after the tokens.
  private func cost(_ graph: ModelGraph, _ tokens: [Int32], _ quantized: [Float]) throws -> Float {
    let exact = try #require(try logits(graph, tokens, pieces: [tokens.count], keyValues: .none).last)
    let cost = distance(quantized, exact)
    #expect(cost > 0 && cost < 0.03 * (exact.map(abs).max() ?? 0))
    return cost
  }

  static let models = ["llama-gqa", "mistral-window", "qwen2", "qwen3", "llama-rope-yarn"]

  /// Pieces long enough for the products of a prefill give what one prefill gives: what was stored is what is attended to.
  @Test(arguments: models) func piecesAgreeWithOnePrefill(_ name: String) throws {
    let model = try GoldenModel(name)
    let tokens = Array(try model.integers("input_ids")[0].prefix(40))
    let whole = try #require(try logits(model.graph, tokens, pieces: [40]).last)
    let limit = try cost(model.graph, tokens, whole) * Self.flip
    for pieces in [[20], [9, 31], [12, 14, 14]] {
      let last = try #require(try logits(model.graph, tokens, pieces: pieces).last)
      #expect(distance(last, whole) <= limit, "\(pieces)")
    }
  }

  /// Token by token adds up in another order, as with the float cache; a last bit may then move a code by one step. Quantizing itself costs
  /// these models up to 1.2 % of their largest logit, a code that moved one eightieth of that.
  @Test(arguments: models) func decodingAgreesWithPrefill(_ name: String) throws {
    let model = try GoldenModel(name)
    let tokens = Array(try model.integers("input_ids")[0].prefix(40))
    let whole = try #require(try logits(model.graph, tokens, pieces: [40]).last)
    let limit = try cost(model.graph, tokens, whole) * Self.flip
    for pieces in [[1], [7, 1, 20], [3]] {
      let stepped = try #require(try logits(model.graph, tokens, pieces: pieces).last)
      #expect(distance(stepped, whole) <= limit, "\(pieces)")
    }
  }

  /// The windows of an evaluation see what generation sees, whatever lies beside them in the batch.
  @Test(arguments: models) func evaluationSeesTheCacheOfGeneration(_ name: String) throws {
    let model = try GoldenModel(name)
    let windows = try model.integers("input_ids").map { Array($0.prefix(24)) }
    var interpreter = Interpreter(pool: ThreadPool(threads: 3))
    interpreter.keyValues = .int8
    let all = try GoldenModel.logits(model.graph, windows: windows + [windows[0]], interpreter: interpreter)
    for (index, window) in (windows + [windows[0]]).enumerated() {
      let generated = try #require(try logits(model.graph, window, pieces: [24]).last)
      let limit = try cost(model.graph, window, generated) * Self.flip
      #expect(distance(generated, all.values(ofRow: index * 24 + 23)) <= limit)
    }
  }

  /// The cache grows from 64 tokens by doubling; what was in it stays.
  @Test func growingKeepsWhatIsStored() throws {
    let model = try GoldenModel(model: DemoModel.directory, golden: GoldenModel.fixtures.appendingPathComponent("demo.safetensors"))
    let tokens = (0..<200).map { Int32($0 * 37 % 1024) }
    let whole = try #require(try logits(model.graph, tokens, pieces: [200]).last)
    let grown = try #require(try logits(model.graph, tokens, pieces: [60, 20, 60, 60]).last)
    #expect(distance(grown, whole) <= (try cost(model.graph, tokens, whole)) * Self.flip)
  }

  @Test func memoryIsThatOfTheCodes() throws {
    let model = try GoldenModel(model: DemoModel.directory, golden: GoldenModel.fixtures.appendingPathComponent("demo.safetensors"))
    // Four layers, two heads of 32 each for keys and values: 512 features; with int8 two scales a head and layer more.
    #expect(KeyValueQuantization.none.bytesPerToken(of: model.graph) == 512 * 4)
    #expect(KeyValueQuantization.int8.bytesPerToken(of: model.graph) == 512 + 4 * 2 * 2 * 4)
    for quantization in KeyValueQuantization.allCases {
      let session = try DecodingSession(
        graph: model.graph, interpreter: Interpreter(pool: ThreadPool(threads: 1)), capacity: 100, keyValues: quantization)
      #expect(session.cacheBytes == 0)
      _ = try session.append([1, 2, 3])
      #expect(session.cacheBytes == 64 * quantization.bytesPerToken(of: model.graph))
      _ = try session.append([Int32](repeating: 4, count: 70))
      #expect(session.cacheBytes == 100 * quantization.bytesPerToken(of: model.graph))
    }
  }
}
