import Execution
import Foundation
import ModelGraph
import Recipes
import Tensors
import Testing

/// What a teacher predicts, in part and on the disk, and what a student writes.
@Suite struct DistributionTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))
  private let tokens: [Int32] = [5, 9, 300, 17, 22, 8, 1, 40]

  private func model() throws -> LoadedModel { try LoadedModel(ModelBundle(opening: "demo").graph) }

  /// The probabilities behind every token, in double.
  private func shares(_ model: LoadedModel, temperature: Double) throws -> [[Double]] {
    let graph = model.graph, last = graph.blocks.count - 1
    let state = try interpreter.hidden(of: model, tokens: tokens, sequences: SequenceLayout(lengths: [tokens.count]))
    let logits = try interpreter.run(
      graph.blocks[last], of: graph, weights: model.blocks[last], input: state, sequences: SequenceLayout(lengths: [state.rows]))
    return (0..<logits.rows).map { row in
      let scaled = logits.values(ofRow: row).map { Double($0) / temperature }
      let peak = scaled.max() ?? 0
      let sum = scaled.reduce(0) { $0 + exp($1 - peak) }
      return scaled.map { exp($0 - peak) / sum }
    }
  }

  @Test(arguments: [1, 2] as [Float], [1, 7, 5000]) func theLikeliestAreKept(_ temperature: Float, _ kept: Int) throws {
    let model = try model()
    let found = try interpreter.distributions(
      of: model, tokens: tokens, sequences: SequenceLayout(lengths: [tokens.count]), keeping: kept, temperature: temperature)
    let expected = try shares(model, temperature: Double(temperature))
    let count = min(kept, model.graph.vocabularySize)
    #expect(found.kept == count && found.ids.count == tokens.count * count)
    for (row, shares) in expected.enumerated() {
      let ids = found.ids[row * count..<(row + 1) * count].map(Int.init)
      let probabilities = found.probabilities[row * count..<(row + 1) * count]
      #expect(ids == ids.sorted() && Set(ids).count == count)
      #expect(zip(ids, probabilities).allSatisfy { abs(shares[$0] - Double($1)) < 1e-5 })
      let least = probabilities.min() ?? 0
      #expect(shares.indices.allSatisfy { ids.contains($0) || shares[$0] <= Double(least) + 1e-6 })
    }
  }

  @Test(arguments: [512, 100_000]) func whatIsStoredComesBack(_ vocabulary: Int) throws {
    let file = try DistributionFile(
      windowRows: 3, keeping: 4, vocabulary: vocabulary, temperature: 1.5, in: FileManager.default.temporaryDirectory)
    func window(_ seed: Int) -> LossTarget.PartialDistributions {
      .init(
        kept: 4, ids: (0..<12).map { UInt32(($0 % 4) * (vocabulary / 4 - 1) + seed) },
        probabilities: (0..<12).map { Float($0 + seed) / 64 },
        temperature: 1.5)
    }
    #expect(!file.holds(7))
    try file.store(window(3), for: [7])
    try file.store(window(1), for: [2])
    let both = try file.load([2, 7])
    #expect(both.ids == window(1).ids + window(3).ids && both.probabilities == window(1).probabilities + window(3).probabilities)
    #expect(file.holds(7) && both.temperature == 1.5 && file.windowBytes == 12 * (vocabulary > 65_536 ? 6 : 4))
  }

  /// All sequences at once draw what each would by itself, and the draws are of the model's distribution.
  @Test func continuationsAreThoseOfEachPromptAlone() throws {
    let model = try model()
    let sampler = LockstepSampler(interpreter: interpreter)
    let prompts = [[5, 9, 300], [17, 22, 8], [1, 40, 2]] as [[Int32]]
    let together = try sampler.continuations(of: prompts, by: model, tokens: 12, seed: 4)
    #expect(together.allSatisfy { $0.count == 15 } && zip(prompts, together).allSatisfy { Array($1.prefix(3)) == $0 })
    for (place, text) in together.enumerated() {
      // By a session of its own, which has one sequence only.
      let session = try DecodingSession(graph: model.graph, interpreter: interpreter, capacity: 16)
      var logits = try session.append(prompts[place])
      for step in 0..<12 {
        let number = SeededRandom.value(seed: 4, index: UInt64(step) << 32 | UInt64(place))
        let unit = Double(number >> 11) * 0x1p-53, peak = Double(logits.max() ?? 0)
        let weights = logits.map { exp(Double($0) - peak) }
        let total = weights.reduce(0, +)
        var below = 0.0
        let drawn = weights.firstIndex {
          below += $0 / total
          return below > unit
        }
        #expect(text[3 + step] == Int32(drawn ?? -1), "sequence \(place), token \(step)")
        logits = try session.append([text[3 + step]])
      }
    }
    let other = try LockstepSampler(interpreter: Interpreter(pool: ThreadPool(threads: 1))).continuations(
      of: prompts, by: model, tokens: 12, seed: 4)
    #expect(other == together)
    #expect(throws: ExecutionError.self) { try sampler.continuations(of: [[1], [1, 2]], by: model, tokens: 1, seed: 0) }
    #expect(throws: ExecutionError.self) { try sampler.continuations(of: [[1]], by: model, tokens: 100_000, seed: 0) }
  }

  @Test func scoresAreLogProbabilities() throws {
    let model = try model()
    let next = Array(tokens.dropFirst()) + [3]
    let scores = try interpreter.policyScores(
      of: model, against: model, rows: tokens, sequences: SequenceLayout(lengths: [tokens.count]), followedBy: next)
    let shares = try shares(model, temperature: 1)
    for row in tokens.indices {
      #expect(abs(Double(scores.student[row]) - log(shares[row][Int(next[row])])) < 1e-4 && scores.divergence[row] == 0)
    }
    #expect(scores.student == scores.teacher)
  }
}
