import Tensors
import Testing

@testable import Compression

/// The solver against trying everything.
@Suite struct BudgetSolverTests {
  /// Groups of up to 7 options with sizes and costs as layers have them: cost falls about fourfold for each bit, not quite regularly.
  private static func problem(seed: UInt64, groups: Int, isCoarse: Bool) -> [[BudgetSolver.Option]] {
    var state = seed
    func draw() -> Double {
      state = SeededRandom.value(seed: state, index: 1)
      return Double(state >> 11) / Double(1 << 53)
    }
    return (0..<groups).map { _ in
      let size = isCoarse ? Double(1 + Int(draw() * 3)) : (draw() * 1000).rounded()
      let scale = draw()
      return (0..<1 + Int(draw() * 7)).map { index in
        let value = isCoarse ? (draw() * 4).rounded() : scale * (0.2 + draw()) / Double(1 << (2 * index))
        return .init(value: value, weight: size * Double(index + 2) + (isCoarse ? 0 : (draw() * 50).rounded()))
      }
    }
  }

  /// The least value within the limit, and the least weight that has it.
  private static func bruteForce(_ groups: [[BudgetSolver.Option]], limit: Double) -> (value: Double, weight: Double)? {
    var best: (value: Double, weight: Double)?
    func visit(_ group: Int, _ value: Double, _ weight: Double) {
      guard weight <= limit else { return }
      guard group < groups.count else {
        if best.map({ (value, weight) < $0 }) ?? true { best = (value, weight) }
        return
      }
      for option in groups[group] { visit(group + 1, value + option.value, weight + option.weight) }
    }
    visit(0, 0, 0)
    return best
  }

  @Test(arguments: 0..<150)
  func isAsGoodAsTryingEverything(_ seed: UInt64) throws {
    let groups = Self.problem(seed: seed, groups: 1 + Int(seed % 7), isCoarse: seed % 3 == 0)
    let least = groups.reduce(0) { $0 + ($1.map(\.weight).min() ?? 0) }
    let most = groups.reduce(0) { $0 + ($1.map(\.weight).max() ?? 0) }
    for share in [-0.01, 0, 0.1, 0.37, 0.5, 0.81, 1, 1.5] {
      let limit = (least + share * (most - least)).rounded(.down)
      let expected = Self.bruteForce(groups, limit: limit)
      let found = try BudgetSolver.solve(groups, limit: limit)
      guard let expected else {
        #expect(found == nil)
        continue
      }
      let solution = try #require(found)
      #expect(solution.gap == 0 && solution.weight <= limit)
      #expect(abs(solution.value - expected.value) <= 1e-12 * max(1, expected.value))
      #expect(abs(solution.weight - expected.weight) <= 1e-9 * max(1, expected.weight))
      let sum = zip(groups, solution.choices).reduce(0) { $0 + $1.0[$1.1].value }
      #expect(sum == solution.value)
    }
  }

  /// Sizes and costs changed about: the smallest size within a cost.
  @Test(arguments: 0..<60)
  func theDualIsExactToo(_ seed: UInt64) throws {
    let groups = Self.problem(seed: 1000 + seed, groups: 2 + Int(seed % 6), isCoarse: false).map { options in
      options.map { BudgetSolver.Option(value: $0.weight, weight: $0.value) }
    }
    let least = groups.reduce(0) { $0 + ($1.map(\.weight).min() ?? 0) }
    for factor in [1.0, 1.3, 3, 20] {
      let expected = try #require(Self.bruteForce(groups, limit: least * factor))
      let solution = try #require(try BudgetSolver.solve(groups, limit: least * factor))
      #expect(solution.value == expected.value && solution.weight <= least * factor)
    }
  }

  /// A model of many blocks: exact, and soon.
  @Test func manyGroupsStayExact() throws {
    let groups = Self.problem(seed: 7, groups: 400, isCoarse: false)
    let least = groups.reduce(0) { $0 + ($1.map(\.weight).min() ?? 0) }
    let solution = try #require(try BudgetSolver.solve(groups, limit: (least * 1.4).rounded()))
    #expect(solution.gap == 0)
    #expect(try solution == BudgetSolver.solve(groups, limit: (least * 1.4).rounded()))
    // With few states the value is at most so much above it as is admitted.
    let cramped = try #require(try BudgetSolver.solve(groups, limit: (least * 1.4).rounded(), capacity: 3))
    #expect(cramped.weight <= (least * 1.4).rounded())
    #expect(cramped.value - cramped.gap <= solution.value * (1 + 1e-12) && cramped.value >= solution.value * (1 - 1e-12))
  }

  /// A limit that cannot be kept is an answer; what is no number is not.
  @Test(arguments: [Double.nan, .infinity, -.infinity]) func whatCannotBeIsRefused(_ bad: Double) throws {
    #expect(try BudgetSolver.solve([[.init(value: 1, weight: 2)]], limit: 1.5) == nil)
    #expect(try BudgetSolver.solve([], limit: 0)?.choices == [])
    #expect(throws: CompressionError.self) { try BudgetSolver.solve([[]], limit: 1) }
    #expect(throws: CompressionError.self) { try BudgetSolver.solve([[.init(value: bad, weight: 0)]], limit: 1) }
    #expect(throws: CompressionError.self) { try BudgetSolver.solve([[.init(value: 0, weight: bad)]], limit: 1) }
    #expect(throws: CompressionError.self) { try BudgetSolver.solve([[.init(value: 0, weight: 0)]], limit: .nan) }
  }

  @Test func noLimitIsALimitThatAllKeep() throws {
    let groups = Self.problem(seed: 3, groups: 6, isCoarse: false)
    let least = groups.reduce(0) { $0 + ($1.map(\.value).min() ?? 0) }
    for limit in [Double.infinity, .greatestFiniteMagnitude] {
      let solution = try #require(try BudgetSolver.solve(groups, limit: limit))
      #expect(abs(solution.value - least) <= 1e-12 * least && solution.gap == 0)
    }
    #expect(try BudgetSolver.solve(groups, limit: -.infinity) == nil)
  }
}
