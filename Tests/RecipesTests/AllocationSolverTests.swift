import Compression
import DeepSeekOptimize
import ModelGraph
import Testing

@testable import Recipes

/// What is chosen for what options take and cost, and what is refused.
@Suite struct AllocationSolverTests {
  /// Groups of 800 weights each whose options take so many bytes.
  static func problem(bytes: [[Int]]) -> AllocationProblem {
    AllocationProblem(
      ways: [],
      groups: bytes.indices.map { FusedGroup(layers: [.init(module: "layer.\($0)", weight: ParameterIDs.all[$0])]) },
      options: bytes.map { $0.enumerated().map { .init(way: $0.offset, schemes: [], bytes: $0.element) } },
      weights: bytes.map { _ in 800 })
  }

  @Test func bothBudgetsAreKept() throws {
    let problem = Self.problem(bytes: [[200, 300, 400], [200, 300, 400]])
    let solver = try AllocationSolver(problem: problem, predictions: [[8, 4, 1], [2, 1, 0.5]])
    // 600 bytes for 1600 weights.
    let bits = try solver.solve(.bitsPerWeight(3))
    #expect(bits == .init(choices: [2, 0], isWithinBudget: true) && solver.bytes(of: bits) == 600 && solver.cost(of: bits) == 3)
    // 0.95 of the limit is aimed at, after scaling.
    #expect(try solver.solve(.klDivergence(3.001 / BitAllocation.aim)).choices == [2, 0])
    #expect(try solver.solve(.klDivergence(2.99 / BitAllocation.aim)).choices == [2, 1])
    #expect(try solver.solve(.klDivergence(3.001 / BitAllocation.aim), scale: 2).choices == [2, 2])
  }

  /// What cannot be met is answered by what comes closest; sizes and costs that are no numbers are no answer.
  @Test func anUnmeetableBudgetIsNotABrokenOne() throws {
    let problem = Self.problem(bytes: [[200, 300]])
    let solver = try AllocationSolver(problem: problem, predictions: [[2, 1]])
    #expect(try solver.solve(.klDivergence(0.5)) == .init(choices: [1], isWithinBudget: false))
    #expect(try solver.solve(.bitsPerWeight(1)) == .init(choices: [0], isWithinBudget: false))
    for bad in [Double.nan, .infinity] {
      let broken = try AllocationSolver(problem: problem, predictions: [[bad, 1]])
      #expect(throws: CompressionError.self) { try broken.solve(.bitsPerWeight(4)) }
      #expect(throws: CompressionError.self) { try broken.solve(.klDivergence(4)) }
    }
  }

  /// A cost that is missing is not 0.
  @Test func optionsWithoutACostAreNoChoice() throws {
    let problem = Self.problem(bytes: [[200, 300], [100], [200, 300]])
    for missing: [[Double?]] in [[[2, 1], [1], [nil, 1]], [[2, 1], [1], [2, nil]], [[2, 1], [nil], [nil, nil]]] {
      let error = #expect(throws: RecipeError.self) { try AllocationSolver(problem: problem, predictions: missing) }
      #expect(error?.kind == .usage && error?.subject == "layer.2")
      #expect(error?.remedy == "give it bits and a group size with --override")
    }
    // Where there is nothing to choose, nothing has to be known.
    let solver = try AllocationSolver(problem: problem, predictions: [[2, 1], [nil], [4, 1]])
    let solution = try solver.solve(.bitsPerWeight(2))
    #expect(solution.choices == [0, 0, 1] && solver.cost(of: solution) == 3)
  }

  /// With too few states for an exact search, it is said how far from the best the choice may be.
  @Test func whatIsNotExactSaysSo() throws {
    var seed: UInt64 = 1
    func draw() -> Double {
      seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(seed >> 40) / Double(1 << 24)
    }
    let bytes = ParameterIDs.all.map { _ in
      let size = 100 + Int(draw() * 1000)
      return [2, 3, 4, 5, 6, 8].map { $0 * size }
    }
    let predictions = bytes.map { options -> [Double?] in
      let scale = draw()
      return options.indices.map { scale * (0.5 + draw()) / Double(1 << (2 * $0)) }
    }
    let problem = Self.problem(bytes: bytes)
    let limit = problem.bitsPerWeight(bytes.reduce(0) { $0 + $1[2] })
    let exact = try AllocationSolver(problem: problem, predictions: predictions)
    let cramped = try AllocationSolver(problem: problem, predictions: predictions, capacity: 2)
    let (best, found) = (try exact.solve(.bitsPerWeight(limit)), try cramped.solve(.bitsPerWeight(limit)))
    #expect(best.gap == 0 && found.gap > 0)
    #expect(exact.cost(of: found) - found.gap <= exact.cost(of: best) * (1 + 1e-12))
  }
}

/// Identifiers of parameters can only be had from a graph.
private enum ParameterIDs {
  static let all: [ParameterID] = {
    guard let graph = try? ModelBundle(opening: "demo").graph else { return [] }
    return graph.blocks.flatMap { graph.parameters(of: $0) }
  }()
}
