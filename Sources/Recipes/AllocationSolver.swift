import Compression

/// The best choice of bits for what every option takes and costs.
struct AllocationSolver {
  /// An option for each group.
  struct Solution: Equatable {
    let choices: [Int]
    /// False when no choice keeps the budget, and this is the one that comes closest.
    let isWithinBudget: Bool
  }

  let problem: AllocationProblem
  /// KL divergence per token of each option, as the sensitivities predict it.
  let costs: [[Double]]

  /// - Parameter scale: what divergence was measured over what was predicted, when that is known.
  func solve(_ budget: BitBudget, scale: Double = 1) -> Solution {
    switch budget {
    case .bitsPerWeight(let limit):
      let bytes = (limit * Double(problem.weightCount) / 8 * (1 + 1e-12)).rounded(.down)
      return solve(limit: bytes, value: { costs[$0][$1] }, weight: { Double(problem.options[$0][$1].bytes) })
    case .klDivergence(let limit):
      return solve(
        limit: limit * BitAllocation.aim / scale, value: { Double(problem.options[$0][$1].bytes) }, weight: { costs[$0][$1] })
    }
  }

  private func solve(limit: Double, value: (Int, Int) -> Double, weight: (Int, Int) -> Double) -> Solution {
    let groups = problem.options.enumerated().map { group, options in
      options.indices.map { BudgetSolver.Option(value: value(group, $0), weight: weight(group, $0)) }
    }
    if let solution = BudgetSolver.solve(groups, limit: limit) { return Solution(choices: solution.choices, isWithinBudget: true) }
    let lightest = groups.map { options in
      options.indices.min { (options[$0].weight, options[$0].value) < (options[$1].weight, options[$1].value) } ?? 0
    }
    return Solution(choices: lightest, isWithinBudget: false)
  }

  /// The divergence that a choice is predicted to have.
  func cost(of solution: Solution) -> Double { zip(costs, solution.choices).reduce(0) { $0 + $1.0[$1.1] } }

  func bytes(of solution: Solution) -> Int { zip(problem.options, solution.choices).reduce(0) { $0 + $1.0[$1.1].bytes } }
}
