import Compression
import Evaluation
import Reporting
import Tensors

/// The choices that were quantized and measured, and what they teach about the next one.
struct AllocationHistory {
  private struct Round {
    let solution: AllocationSolver.Solution
    let predicted: Double
    let measured: Double
  }

  let budget: BitBudget
  let solver: AllocationSolver
  /// What measuring the options and solving took.
  let seconds: Double
  private var rounds: [Round] = []

  init(budget: BitBudget, solver: AllocationSolver, seconds: Double) {
    self.budget = budget
    self.solver = solver
    self.seconds = seconds
  }

  mutating func add(_ solution: AllocationSolver.Solution, measured: Double) {
    rounds.append(Round(solution: solution, predicted: solver.cost(of: solution), measured: measured))
  }

  /// The choice to measure next; nil when the last one is kept.
  func next() -> AllocationSolver.Solution? {
    // A budget of bits is kept exactly by the first: a common scale would choose the same again.
    guard case .klDivergence(let limit) = budget, let last = rounds.last else { return nil }
    let aim = limit * BitAllocation.aim
    if last.measured <= aim, last.measured >= aim * BitAllocation.slack { return nil }
    if rounds.count < BitAllocation.rounds {
      return solver.solve(budget, scale: last.measured / max(last.predicted, .leastNormalMagnitude))
    }
    if last.measured <= limit { return nil }
    return rounds.filter { $0.measured <= limit }.min { solver.bytes(of: $0.solution) < solver.bytes(of: $1.solution) }?.solution
  }

  var warnings: [String] {
    guard let last = rounds.last else { return [] }
    var warnings: [String] = []
    if !last.solution.isWithinBudget {
      warnings.append("no choice of bits is predicted to keep --\(budget.name) \(budget.limit); the most bits were taken")
    }
    return warnings
  }

  func section(_ held: HeldOutText) -> CompressionReport.Allocation? {
    guard let last = rounds.last else { return nil }
    let problem = solver.problem
    let groups = problem.groups.indices.map { group -> CompressionReport.Allocation.Group in
      let choice = last.solution.choices[group]
      let option = problem.options[group][choice]
      var size = 0
      if case .group(let count)? = option.schemes.first?.granularity { size = count }
      return .init(
        name: problem.groups[group].name, layers: problem.groups[group].layers.map(\.module), bits: option.schemes.first?.bits,
        groupSize: size, weights: problem.weights[group], bytes: option.bytes, predictedKL: solver.costs[group][choice])
    }
    return .init(
      goal: budget.name, limit: budget.limit, bitsPerWeight: problem.bitsPerWeight(solver.bytes(of: last.solution)),
      weights: problem.weightCount, bytes: solver.bytes(of: last.solution), predictedKL: last.predicted, measuredKL: last.measured,
      heldOutTokens: held.text.predictions, seconds: seconds,
      rounds: rounds.map {
        .init(
          bitsPerWeight: problem.bitsPerWeight(solver.bytes(of: $0.solution)), predictedKL: $0.predicted, measuredKL: $0.measured)
      }, groups: groups)
  }
}
