import Diagnostics
import Execution
import ModelGraph

extension Evaluator {
  /// The mean negative log-likelihood of every window's predictions, in nats per token: what its perplexity is the exponential of.
  ///
  /// Each window is run alone from an empty cache. Memory is one block's weights, `activationBudget` of activations and one tile of logits,
  /// however many windows there are.
  /// - Parameter windows: of one length, at least two tokens.
  /// - Throws: `EvaluationError` when the lengths differ or the model gives values that are not finite.
  public func meanLosses(of model: ModelGraph, windows: [[Int32]]) throws -> [Double] {
    guard let length = windows.first?.count else { return [] }
    guard windows.allSatisfy({ $0.count == length }) else {
      throw EvaluationError("the windows", "to grade are not of one length", remedy: "cut the text into equal windows", kind: .usage)
    }
    let width = model[model.boundary(of: model.blocks[model.blocks.count - 1]).input].width ?? 1
    let perRound = max(1, activationBudget / max(1, length * width * 4))
    let rounds = (windows.count + perRound - 1) / perRound
    var losses: [Double] = []
    losses.reserveCapacity(windows.count)
    for round in 0..<rounds {
      let part = windows[round * perRound..<min((round + 1) * perRound, windows.count)]
      let report: ProgressHandler = { [progress] step in
        let (done, all) = (round * step.total + step.completed, rounds * step.total)
        let tokens = part.count * length
        let before = round * perRound * length
        progress?(
          StageProgress(
            stage: "Grading the calibration text", completed: done, total: all, tokens: before + Int(step.share * Double(tokens))))
      }
      var grader = Evaluator(interpreter: stream.interpreter, progress: report)
      grader.batchRows = batchRows
      grader.activationBudget = activationBudget
      let text = try EvaluationText(name: "calibration", tokens: Array(part.joined()), context: length)
      losses += try grader.accuracy(of: model, on: text).windowLosses
    }
    return losses
  }
}
