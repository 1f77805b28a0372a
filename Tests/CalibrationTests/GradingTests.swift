import Diagnostics
import Evaluation
import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Calibration

/// Small random weights, a function of the name.
private struct RandomWeights: WeightSource {
  let shapes: [String: Shape]
  var names: [String] { shapes.keys.sorted() }
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { shapes[name].map { ($0, .dense(.float32)) } }
  func load(_ name: String) throws -> Weight {
    let shape = shapes[name] ?? [0]
    var random = SeededRandom(seed: UInt64(name.utf8.count))
    return .dense(Tensor((0..<shape.elementCount).map { _ in Float(random.nextUnit() - 0.5) }, shape: shape))
  }
}

@Suite struct GradingTests {
  /// Embedding, one gated layer and a head over bytes.
  private func model(maximumPositions: Int = 128) throws -> ModelGraph {
    let shapes: [String: Shape] = [
      "embed.weight": [256, 16], "layer.gate.weight": [32, 16], "layer.upward.weight": [32, 16], "layer.down.weight": [16, 32],
      "head.weight": [256, 16],
    ]
    var builder = GraphBuilder(
      family: "toy", vocabularySize: 256, maximumPositions: maximumPositions, weights: RandomWeights(shapes: shapes))
    var hidden = try builder.embedding(builder.input, "embed", width: 16)
    builder.endBlock(.embedding, "embed")
    let gate = try builder.linear(hidden, "layer.gate", outputs: 32, role: .mlpGate)
    let up = try builder.linear(hidden, "layer.upward", outputs: 32, role: .mlpUp)
    let active = builder.gatedActivation(gate: gate, up: up, .silu, scope: "layer")
    hidden = builder.add(hidden, try builder.linear(active, "layer.down", outputs: 16, role: .mlpDown), scope: "layer")
    builder.endBlock(.layer(0), "layer")
    let logits = try builder.linear(hidden, "head", outputs: 256, role: .languageModelHead)
    builder.endBlock(.head, "head")
    return try builder.finish(output: logits)
  }

  private func evaluator(threads: Int) -> Evaluator { Evaluator(interpreter: Interpreter(pool: ThreadPool(threads: threads))) }

  private let windows = (0..<30).map { window in
    (0..<64).map { Int32(SeededRandom.value(seed: UInt64(window), index: UInt64($0)) % 256) }
  }

  /// The mean of the losses that the logits themselves give.
  @Test func theLossIsThatOfTheLogits() throws {
    let graph = try model()
    let losses = try evaluator(threads: 2).meanLosses(of: graph, windows: windows)
    #expect(losses.count == 30)
    let session = try DecodingSession(graph: graph, interpreter: Interpreter(pool: ThreadPool(threads: 1)), capacity: 64)
    var sum = 0.0
    for position in 0..<63 {
      let logits = try session.append([windows[7][position]]).map(Double.init)
      sum += log(logits.reduce(0) { $0 + exp($1) }) - logits[Int(windows[7][position + 1])]
    }
    #expect(abs(losses[7] - sum / 63) < 1e-5)
  }

  /// Neither threads, nor how much is worked on together, nor the number of rounds change a bit.
  @Test func theLossDoesNotDependOnHowItIsComputed() throws {
    let graph = try model()
    let expected = try evaluator(threads: 1).meanLosses(of: graph, windows: windows)
    for threads in 2...5 { #expect(try evaluator(threads: threads).meanLosses(of: graph, windows: windows) == expected) }
    var small = evaluator(threads: 2)
    small.activationBudget = 64 * 16 * 4 * 4
    small.batchRows = 64
    #expect(try small.meanLosses(of: graph, windows: windows) == expected)
    #expect(try small.meanLosses(of: graph, windows: []) == [])
    #expect(throws: EvaluationError.self) { try small.meanLosses(of: graph, windows: [[1, 2], [1, 2, 3]]) }
  }

  @Test func aSelectionIsTheSameForAnyThreads() throws {
    let graph = try model()
    let file = try TemporaryText(bytes: SelectionTests.prose(bytes: 200_000, seed: 3))
    let text = try CalibrationText(contentsOf: file.file)
    let settings = CalibrationSettings(windows: 20, sequenceLength: 64, strategy: .tiers)
    let first = try text.selection(settings, for: graph, evaluator: evaluator(threads: 1), tokenize: byteTokens)
    #expect(first.tiers.map(\.chosen) == [4, 4, 4, 4, 4])
    #expect(first.tiers.map(\.meanLoss) == first.tiers.map(\.meanLoss).sorted())
    for threads in [2, 3, 5] {
      let other = try text.selection(settings, for: graph, evaluator: evaluator(threads: threads), tokenize: byteTokens)
      #expect(other.windows == first.windows)
      #expect(other.losses == first.losses)
      #expect(other.tiers == first.tiers)
    }
  }

  @Test func windowsMustFitTheModel() throws {
    let file = try TemporaryText(bytes: SelectionTests.prose(bytes: 20_000, seed: 3))
    let text = try CalibrationText(contentsOf: file.file)
    let settings = CalibrationSettings(windows: 20, sequenceLength: 64)
    let long = try #require(throws: CalibrationError.self) {
      try text.selection(settings, for: model(maximumPositions: 63), evaluator: evaluator(threads: 1), tokenize: byteTokens)
    }
    #expect(long.kind == .usage)
    let stray = try #require(throws: CalibrationError.self) {
      try text.selection(settings, for: model(), evaluator: evaluator(threads: 1)) { byteTokens($0).map { $0 + 200 } }
    }
    #expect(stray.kind == .badData)
    #expect(stray.subject == "tokenizer.json")
  }
}
