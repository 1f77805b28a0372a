import Compression

/// The best choice of bits for what every option takes and costs.
struct AllocationSolver {
  /// An option for each group.
  struct Solution: Equatable {
    let choices: [Int]
    /// False when no choice is predicted to keep the budget, and this is the one that comes closest.
    let isWithinBudget: Bool
    /// How far it may be from the best, in what the budget leaves to be made small: nats per token for a budget of bits, bytes for one of
    /// divergence. 0 unless there were too many to search exactly.
    var gap = 0.0
  }

  let problem: AllocationProblem
  /// KL divergence per token of each option, as the sensitivities predict it; nil where it is unknown and there is nothing to choose.
  let predictions: [[Double?]]

  /// States of the search that are kept at most.
  private let capacity: Int

  /// - Parameter predictions: of every option of every group, nil where it was not measured.
  /// - Throws: a group that has several options and not a prediction for each: what is unknown must not pass for free.
  init(problem: AllocationProblem, predictions: [[Double?]], capacity: Int = 1 << 20) throws(RecipeError) {
    precondition(predictions.map(\.count) == problem.options.map(\.count), "a prediction for every option, or nil")
    for (group, own) in predictions.enumerated() where own.count > 1 && own.contains(where: { $0 == nil }) {
      throw problem.unmeasured(group)
    }
    self.problem = problem
    self.predictions = predictions
    self.capacity = capacity
  }

  /// - Parameter scale: what divergence was measured over what was predicted, when that is known.
  /// - Throws: sizes or predictions that are not finite.
  func solve(_ budget: BitBudget, scale: Double = 1) throws(CompressionError) -> Solution {
    switch budget {
    case .bitsPerWeight(let limit):
      let bytes = (limit * Double(problem.weightCount) / 8 * (1 + 1e-12)).rounded(.down)
      return try solve(limit: bytes, value: { cost($0, $1) }, weight: { Double(problem.options[$0][$1].bytes) })
    case .klDivergence(let limit):
      return try solve(
        limit: limit * BitAllocation.aim / scale, value: { Double(problem.options[$0][$1].bytes) }, weight: { cost($0, $1) })
    }
  }

  private func solve(
    limit: Double, value: (Int, Int) -> Double, weight: (Int, Int) -> Double
  ) throws(CompressionError) -> Solution {
    let groups = problem.options.enumerated().map { group, options in
      options.indices.map { BudgetSolver.Option(value: value(group, $0), weight: weight(group, $0)) }
    }
    if let solution = try BudgetSolver.solve(groups, limit: limit, capacity: capacity) {
      return Solution(choices: solution.choices, isWithinBudget: true, gap: solution.gap)
    }
    let lightest = groups.map { options in
      options.indices.min { (options[$0].weight, options[$0].value) < (options[$1].weight, options[$1].value) } ?? 0
    }
    return Solution(choices: lightest, isWithinBudget: false)
  }

  /// What an option adds to the predicted divergence. What is unknown is the same whatever is chosen.
  private func cost(_ group: Int, _ option: Int) -> Double { predictions[group][option] ?? 0 }

  /// The divergence that a choice is predicted to have.
  func cost(of solution: Solution) -> Double { solution.choices.enumerated().reduce(0) { $0 + cost($1.offset, $1.element) } }

  func bytes(of solution: Solution) -> Int { zip(problem.options, solution.choices).reduce(0) { $0 + $1.0[$1.1].bytes } }
}
