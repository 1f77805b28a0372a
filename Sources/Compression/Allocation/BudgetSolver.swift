import Diagnostics

/// The multiple-choice knapsack, solved exactly: of every group one option is taken, so that the sum of what options are worth is least
/// while the sum of what they weigh stays within a limit.
///
/// States of the dynamic programme are kept as a frontier (a state is dropped when another weighs and costs no more), and none whose
/// Lagrangian bound exceeds the best solution known: what is left is small for any sizes, and nothing has to be rounded to a grid
/// (Dyer, Riha & Walker 1995; Kellerer, Pferschy & Pisinger 2004, chapter 11).
package struct BudgetSolver {
  /// One way to treat a group.
  package struct Option: Sendable, Hashable {
    /// To be made small in sum.
    package var value: Double
    /// To be kept within the limit in sum.
    package var weight: Double

    package init(value: Double, weight: Double) {
      self.value = value
      self.weight = weight
    }
  }

  package struct Solution: Sendable, Equatable {
    /// The option of each group.
    package let choices: [Int]
    package let value: Double
    package let weight: Double
    /// How far the value may be above the least there is; 0 unless states had to be given up for memory.
    package let gap: Double
  }

  private let groups: [[Option]]
  private let limit: Double
  /// States that are kept at most.
  private let capacity: Int

  private init(_ groups: [[Option]], limit: Double, capacity: Int) {
    self.groups = groups
    self.limit = limit
    self.capacity = capacity
  }

  /// - Parameters:
  ///   - groups: at least one option each; values and weights at least 0 and finite.
  ///   - limit: of the weights together.
  ///   - capacity: states that may be held at once; beyond it the solution says how far from the least it may be.
  /// - Returns: the solution of least value, of several the lightest; nil when even the lightest options exceed the limit.
  /// - Throws: groups without options, values or weights that are not finite, a limit that is no number: they say nothing of the limit.
  package static func solve(
    _ groups: [[Option]], limit: Double, capacity: Int = 1 << 20
  ) throws(CompressionError) -> Solution? {
    guard groups.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.value.isFinite && $0.weight.isFinite } }), !limit.isNaN else {
      throw CompressionError("the choice of bits", "has an option whose size or cost is no finite number", kind: .badData)
    }
    // Differences from the limit are formed: one that is beyond all weights says the same as none.
    let most = groups.reduce(0) { $0 + ($1.map(\.weight).max() ?? 0) }
    return BudgetSolver(groups, limit: min(limit, 2 * most + 1), capacity: max(1, capacity)).solution()
  }

  private func solution() -> Solution? {
    let kept = groups.map(Self.frontier)
    guard let start = LagrangianStart(kept.map { $0.map(\.option) }, limit: limit) else { return nil }
    let search = FrontierSearch(kept.map { $0.map(\.option) }, limit: limit, start: start, capacity: capacity)
    let (positions, gap) = search.run()
    let choices = zip(kept, positions).map { $0[$1].index }
    let chosen = zip(groups, choices).map { $0[$1] }
    return Solution(
      choices: choices, value: chosen.reduce(0) { $0 + $1.value }, weight: chosen.reduce(0) { $0 + $1.weight }, gap: gap)
  }

  /// The options that no other beats in both respects, from the lightest on.
  private static func frontier(_ options: [Option]) -> [(index: Int, option: Option)] {
    let sorted = options.enumerated().sorted {
      ($0.element.weight, $0.element.value, $0.offset) < ($1.element.weight, $1.element.value, $1.offset)
    }
    var kept: [(index: Int, option: Option)] = []
    for (index, option) in sorted where kept.last.map({ option.value < $0.option.value }) ?? true { kept.append((index, option)) }
    return kept
  }
}
