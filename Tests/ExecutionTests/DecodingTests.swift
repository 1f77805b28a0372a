import Diagnostics
import Execution
import Foundation
import ModelGraph
import Recipes
import Tensors
import Testing

@Suite struct DecodingTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  /// Token by token with a cache, in pieces, and all at once give the same logits, a sliding window included.
  @Test(arguments: ["llama-gqa", "mistral-window", "qwen2", "qwen3", "llama-rope-yarn"])
  func cacheAgreesWithPrefill(_ name: String) throws {
    let model = try GoldenModel(name)
    let tokens = Array(try model.integers("input_ids")[0].prefix(40))
    let whole = try GoldenModel.logits(model.graph, windows: [tokens], interpreter: interpreter)
    for pieces in [[1], [7, 1, 20], [40], [3]] {
      let session = try DecodingSession(graph: model.graph, interpreter: interpreter, capacity: tokens.count)
      var position = 0
      var step = 0
      while position < tokens.count {
        let count = min(pieces[step % pieces.count], tokens.count - position)
        let logits = try session.append(Array(tokens[position..<position + count]))
        position += count
        step += 1
        let expected = whole.values(ofRow: position - 1)
        #expect(zip(logits, expected).allSatisfy { abs($0 - $1) <= 1e-4 }, "\(name), \(pieces), position \(position)")
      }
    }
  }

  /// Greedy continuations of the demo model are those of transformers' generate.
  @Test(arguments: 0..<3)
  func greedyTokensAgreeWithTransformers(_ prompt: Int) throws {
    let model = try GoldenModel(model: DemoModel.directory, golden: GoldenModel.fixtures.appendingPathComponent("demo.safetensors"))
    let start = try model.integers("greedy.\(prompt).prompt").flatMap { $0 }
    let expected = try model.integers("greedy.\(prompt).output").flatMap { $0 }
    let session = try DecodingSession(graph: model.graph, interpreter: interpreter, capacity: start.count + expected.count)
    var sampling = Sampling()
    var logits = try session.append(start)
    var tokens: [Int32] = []
    for _ in expected {
      tokens.append(sampling.next(logits))
      logits = try session.append([tokens[tokens.count - 1]])
    }
    #expect(tokens == expected)
  }

  @Test func aTokenOutsideTheVocabularyIsRefused() throws {
    let model = try GoldenModel("llama-gqa")
    let session = try DecodingSession(graph: model.graph, interpreter: interpreter, capacity: 4)
    #expect(throws: ExecutionError.self) { try session.append([Int32(model.graph.vocabularySize)]) }
    #expect(throws: ExecutionError.self) { try session.append([-1]) }
    #expect(throws: ExecutionError.self) { try session.append([]) }
    #expect(throws: ExecutionError.self) { try session.append([1, 1, 1, 1, 1]) }
  }

  @Test func samplingIsSeededAndKeepsToTheLikely() {
    let logits: [Float] = [0, 5, 4.9, -3]
    var first = Sampling(temperature: 1, topP: 0.9, seed: 7)
    var second = Sampling(temperature: 1, topP: 0.9, seed: 7)
    let draws = (0..<200).map { _ in first.next(logits) }
    #expect(draws == (0..<200).map { _ in second.next(logits) })
    #expect(Set(draws) == [1, 2])
    var greedy = Sampling()
    #expect(greedy.next([1, 3, 3, 2]) == 1)
  }
}
