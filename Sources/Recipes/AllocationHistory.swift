import Compression
import Foundation
import Reporting
import Tensors

/// The choices that were quantized and measured, what they teach about the next one, and which of them is kept.
struct AllocationHistory {
  struct Round {
    let solution: AllocationSolver.Solution
    let predicted: Double
    /// On held-out text.
    let measured: Double
  }

  let budget: BitBudget
  let solver: AllocationSolver
  /// What measuring the options and solving took.
  let seconds: Double
  private(set) var rounds: [Round] = []

  init(budget: BitBudget, solver: AllocationSolver, seconds: Double) {
    self.budget = budget
    self.solver = solver
    self.seconds = seconds
  }

  mutating func add(_ solution: AllocationSolver.Solution, measured: Double) {
    // What is no number holds no limit.
    rounds.append(
      Round(solution: solution, predicted: solver.cost(of: solution), measured: measured.isNaN ? .infinity : measured))
  }

  /// The choice to measure next; nil when the last one is as close to the limit as is aimed at, when there were rounds enough, and when
  /// what was learned leads to a choice that was measured already.
  func next() throws -> AllocationSolver.Solution? {
    // A budget of bits is kept exactly by the first: a common scale would choose the same again.
    guard case .klDivergence(let limit) = budget, let last = rounds.last, rounds.count < BitAllocation.rounds else { return nil }
    let aim = limit * BitAllocation.aim
    if last.measured <= aim, last.measured >= aim * BitAllocation.slack { return nil }
    let scale = max(last.measured, .leastNormalMagnitude) / max(last.predicted, .leastNormalMagnitude)
    let next = try solver.solve(budget, scale: scale)
    return rounds.contains { $0.solution.choices == next.choices } ? nil : next
  }

  /// The round whose choice is the result: for a budget of divergence the smallest that was measured to hold it, or the one of least
  /// divergence when none did. Nil before the first round.
  var kept: Int? {
    guard case .klDivergence(let limit) = budget else { return rounds.indices.last }
    return rounds.indices.filter { rounds[$0].measured <= limit }.min { size($0) < size($1) }
      ?? rounds.indices.min { (rounds[$0].measured, size($0).bytes) < (rounds[$1].measured, size($1).bytes) }
  }

  private func size(_ round: Int) -> (bytes: Int, measured: Double) { (solver.bytes(of: rounds[round].solution), rounds[round].measured) }

  var warnings: [String] {
    guard let round = kept.map({ rounds[$0] }) else { return [] }
    var warnings: [String] = []
    switch budget {
    case .bitsPerWeight(let limit):
      if !round.solution.isWithinBudget { warnings.append("no choice of bits fits --\(budget.name) \(limit): the smallest was taken") }
    case .klDivergence(let limit):
      if round.measured > limit {
        let best = String(format: "%.3g", round.measured)
        warnings.append("no choice held --\(budget.name) \(limit) on held-out text; the best measured \(best)")
      }
    }
    if round.solution.gap > 0 {
      let gap = String(format: "%.3g", round.solution.gap)
      let unit = if case .klDivergence = budget { "\(gap) bytes smaller" } else { "\(gap) nats per token better by prediction" }
      warnings.append("there are too many choices of bits to search exactly: another may be up to \(unit)")
    }
    return warnings
  }

  /// - Parameter tokens: predictions that divergence was measured on.
  func section(heldOutTokens tokens: Int?) -> CompressionReport.Allocation? {
    guard let kept else { return nil }
    let (round, problem) = (rounds[kept], solver.problem)
    let groups = zip(problem.groups, round.solution.choices).enumerated().map { group, chosen in
      let (layers, choice) = chosen
      let option = problem.options[group][choice]
      var size = 0
      if case .group(let count)? = option.schemes.first?.granularity { size = count }
      return CompressionReport.Allocation.Group(
        name: layers.name, layers: layers.layers.map(\.module), bits: option.schemes.first?.bits, groupSize: size,
        weights: problem.weights[group], bytes: option.bytes, predictedKL: solver.predictions[group][choice])
    }
    return .init(
      goal: budget.name, limit: budget.limit, bitsPerWeight: problem.bitsPerWeight(solver.bytes(of: round.solution)),
      weights: problem.weightCount, bytes: solver.bytes(of: round.solution), predictedKL: round.predicted, measuredKL: round.measured,
      gap: round.solution.gap, heldOutTokens: tokens, seconds: seconds,
      rounds: rounds.enumerated().map { index, round in
        .init(
          bitsPerWeight: problem.bitsPerWeight(solver.bytes(of: round.solution)), predictedKL: round.predicted,
          measuredKL: round.measured, isKept: index == kept)
      }, groups: groups)
  }
}
