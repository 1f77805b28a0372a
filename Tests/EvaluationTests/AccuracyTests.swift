import Diagnostics
import Testing

@testable import Evaluation

@Suite struct AccuracyTests {
  private func accuracy(_ model: [Double], _ reference: [Double], correct: [Bool], before: [Bool]) -> Accuracy {
    var (own, other) = (ModelScores(), ModelScores())
    (own.losses, own.correct) = (model, correct)
    (other.losses, other.correct) = (reference, before)
    return Accuracy(text: "t", context: 3, model: own, reference: other, divergences: [0.1, 0.2, 0.3, 0.4], agreements: 3)
  }

  @Test func figuresFollowFromScores() throws {
    let result = accuracy([1, 2, 3, 4], [1, 2, 2, 3], correct: [true, false, true, false], before: [true, true, false, false])
    #expect(abs(result.modelPerplexity.value - 12.182_493_960_703_473) < 1e-9)
    let ratio = try #require(result.perplexityRatio)
    #expect(abs(ratio.value - 1.648_721_270_700_128) < 1e-12)
    #expect(try #require(ratio.interval).contains(ratio.value))
    #expect(result.flips?.gained == 1 && result.flips?.lost == 1)
    #expect(result.topTokenAgreement == 0.75)
    let divergence = try #require(result.klDivergence)
    #expect(abs(divergence.mean - 0.25) < 1e-12 && divergence.max == 0.4 && abs(divergence.median - 0.25) < 1e-12)
    #expect(result.windowLosses == [1.5, 3.5])
  }

  @Test func windowsAreConsecutiveAndWhole() throws {
    let text = try EvaluationText(name: "t", tokens: Array(0..<10), context: 4)
    #expect(text.windows == [[0, 1, 2, 3], [4, 5, 6, 7]])
    #expect(text.predictions == 6)
    #expect(try EvaluationText(name: "t", tokens: Array(0..<10), context: 4, limit: 7).windows.count == 1)
    #expect(try EvaluationText(name: "t", tokens: Array(0..<10), context: 4, limit: 1).windows.count == 1)
    let short = #expect(throws: EvaluationError.self) { try EvaluationText(name: "t", tokens: [1, 2, 3], context: 4) }
    #expect(short?.kind == .badData)
    #expect(throws: EvaluationError.self) { try EvaluationText(name: "t", tokens: [1, 2, 3], context: 1) }
  }
}
