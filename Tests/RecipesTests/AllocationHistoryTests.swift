import Compression
import DeepSeekOptimize
import ModelGraph
import Testing

@testable import Recipes

/// Which choice is measured next, and which is kept.
@Suite struct AllocationHistoryTests {
  /// One group: 100 to 600 bytes, predicted to cost 3.2, 1.6, 0.8, 0.4, 0.2 and 0.1.
  private static func solver() throws -> AllocationSolver {
    let problem = AllocationSolverTests.problem(bytes: [[100, 200, 300, 400, 500, 600]])
    return try AllocationSolver(problem: problem, predictions: [[3.2, 1.6, 0.8, 0.4, 0.2, 0.1]])
  }

  /// Goes through the rounds with these measurements, as many as are asked for.
  private func history(limit: Double = 1, _ measured: [Double]) throws -> (history: AllocationHistory, choices: [Int]) {
    let solver = try Self.solver()
    var history = AllocationHistory(budget: .klDivergence(limit), solver: solver, seconds: 1)
    var next: AllocationSolver.Solution? = try solver.solve(history.budget)
    while let solution = next {
      guard history.rounds.count < measured.count else {
        Issue.record("more rounds than \(measured.count)")
        break
      }
      history.add(solution, measured: measured[history.rounds.count])
      next = try history.next()
    }
    return (history, history.rounds.flatMap(\.solution.choices))
  }

  @Test func aFirstChoiceThatIsCloseIsKept() throws {
    let (history, choices) = try history([0.9])
    #expect(choices == [2] && history.kept == 0 && history.warnings.isEmpty)
  }

  @Test func measurementsCorrectPredictionsForThreeRounds() throws {
    // 2.5 times the prediction, then 1.5 times.
    let (history, choices) = try history([2, 0.3, 0.7])
    #expect(choices == [2, 4, 3] && history.kept == 2 && history.warnings.isEmpty)
  }

  @Test func aLastChoiceThatMissesGivesWayToOneThatHeld() throws {
    let (history, choices) = try history([2, 0.3, 1.2])
    #expect(choices == [2, 4, 3] && history.kept == 1 && history.warnings.isEmpty)
  }

  @Test(arguments: [([2, 1.5, 1.2], 2, "1.2"), ([2, 1.2, 1.5], 1, "1.2"), ([1.1, 2, 2], 0, "1.1")])
  func whenNoneHeldTheBestIsKeptAndSaidSo(_ measured: [Double], _ kept: Int, _ text: String) throws {
    let (history, _) = try history(measured)
    #expect(history.rounds.count == 3 && history.kept == kept)
    #expect(history.warnings == ["no choice held --max-kl 1.0 on held-out text; the best measured \(text)"])
  }

  /// Above the aim, within the limit, and smaller than the choice that is as close as was asked.
  @Test func aSmallerChoiceThatHeldIsKept() throws {
    let (history, choices) = try history([0.97, 0.9])
    #expect(choices == [2, 3] && history.kept == 0 && history.warnings.isEmpty)
  }

  @Test func aChoiceThatWasMeasuredIsNotMeasuredAgain() throws {
    // Room is left, and not enough for the next smaller one.
    let (roomy, choices) = try history([0.5])
    #expect(choices == [2] && roomy.kept == 0)
    // Back from 400 bytes to the 300 that missed.
    let (returning, visited) = try history([1.1, 0.4])
    #expect(visited == [2, 3] && returning.kept == 1 && returning.warnings.isEmpty)
    // Nothing is predicted to hold so low a limit, and scaling does not change that.
    let (low, only) = try history(limit: 0.01, [0.2])
    #expect(only == [5] && low.warnings == ["no choice held --max-kl 0.01 on held-out text; the best measured 0.2"])
    // What is predicted not to hold it may do so all the same.
    #expect(try history(limit: 0.01, [0.0095]).history.warnings.isEmpty)
  }

  @Test(arguments: [Double.nan, .infinity]) func aMeasurementThatIsNoNumberHoldsNothing(_ bad: Double) throws {
    let (history, choices) = try history([bad, 0.2, 0.97])
    #expect(choices.prefix(2) == [2, 5] && history.kept != 0 && history.warnings.isEmpty)
    // Nothing measured at all leaves any room.
    #expect(try self.history([0, 0.9]).choices == [2, 0])
  }

  @Test func aBudgetOfBitsIsMeasuredOnce() throws {
    let solver = try Self.solver()
    var history = AllocationHistory(budget: .bitsPerWeight(4), solver: solver, seconds: 1)
    history.add(try solver.solve(history.budget), measured: 100)
    #expect(try history.next() == nil)
    #expect(history.kept == 0 && history.warnings.isEmpty && history.rounds[0].solution.choices == [3])
  }

  @Test func theSectionIsOfTheChoiceThatIsKept() throws {
    let section = try #require(try history([2, 0.3, 1.2]).history.section(heldOutTokens: 77))
    #expect(section.rounds.map(\.isKept) == [false, true, false] && section.rounds.map(\.measuredKL) == [2, 0.3, 1.2])
    #expect(section.bytes == 500 && section.measuredKL == 0.3 && section.predictedKL == 0.2 && section.bitsPerWeight == 5)
    #expect(section.groups.map(\.bytes) == [500] && section.groups.map(\.predictedKL) == [0.2])
    #expect(section.gap == 0 && section.heldOutTokens == 77)
  }

  /// What was not searched exactly says so everywhere.
  @Test(arguments: [(BitBudget.klDivergence(1), "bytes"), (.bitsPerWeight(4), "nats")])
  func aGapIsReported(_ budget: BitBudget, _ unit: String) throws {
    let solver = try Self.solver()
    var history = AllocationHistory(budget: budget, solver: solver, seconds: 1)
    history.add(.init(choices: [3], isWithinBudget: true, gap: 12), measured: 0.9)
    let warning = try #require(history.warnings.first)
    #expect(history.warnings.count == 1 && warning.contains("up to 12 \(unit)"))
    var report = CompressionReport(tool: .init(name: "t", version: "1"), model: .init(name: "m"))
    report.allocation = history.section(heldOutTokens: 1)
    #expect(report.allocation?.gap == 12)
    #expect(try CompressionReport(json: report.json).allocation == report.allocation)
    for rendered in [ReportTable(report).text(), HTMLReport.render(report)] {
      #expect(rendered.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains("not searched exactly: up to"))
    }
    report.allocation?.gap = 0
    #expect(!HTMLReport.render(report).contains("not searched exactly"))
  }
}
