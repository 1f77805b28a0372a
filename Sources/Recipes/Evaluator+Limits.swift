import Evaluation

extension Evaluator {
  /// Half of a memory limit goes to activations that wait between blocks.
  func limited(to bytes: Int?, batch rows: Int?) -> Evaluator {
    var copy = self
    if let rows { copy.batchRows = rows }
    if let bytes {
      copy.activationBudget = min(activationBudget, bytes / 2)
      // Inside a block some ten matrices of a batch live at once, the widest a few times as wide as the model.
      copy.batchRows = min(copy.batchRows, max(64, bytes / (4 * 1 << 20)))
    }
    return copy
  }
}
