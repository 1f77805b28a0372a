import Execution
import Tensors
import Testing

@testable import Compression

@Suite struct CoordinateDescentTests {
  private func improve(
    _ problem: FeedbackProblem, _ grids: GridTable, from start: [UInt8]? = nil, sweeps: Int, twoSided: Bool
  ) throws -> (before: ErrorFeedback.Result, after: ErrorFeedback.Result, inputs: FeedbackFactor, rows: [Int32]) {
    let (inputs, outputs) = (try problem.inputFactor(), try problem.outputFactor())
    let weight = WeightRows.matrix(problem.weight)
    var before =
      twoSided
      ? try TwoSidedFeedback().quantize(weight, named: "w", grids: grids, inputs: inputs, outputs: outputs, pool: problem.pool)
      : try ErrorFeedback().quantize(weight, named: "w", grids: grids, factor: inputs, pool: problem.pool)
    if let start { before.codes = start }
    let after = CoordinateDescent(sweeps: sweeps).improve(
      before, of: weight, grids: grids, inputs: inputs, outputs: twoSided ? outputs : nil, pool: problem.pool)
    return (before, after, inputs, twoSided ? outputs.order : (0..<Int32(problem.weight.rows)).map { $0 })
  }

  /// The objective falls, sweep by sweep, to a place where no single weight can lower it; what is reported is what it is.
  @Test(arguments: [(35, 200), (150, 300), (16, 128), (1, 40), (129, 17)], [true, false])
  func descendsToALocalMinimum(_ size: (rows: Int, columns: Int), _ twoSided: Bool) throws {
    let problem = FeedbackProblem(rows: size.rows, columns: size.columns)
    for (bits, symmetric) in [(2, true), (4, false)] {
      let grids = try problem.grids(bits: bits, symmetric: symmetric)
      var last: Double?
      for sweeps in [1, 2, 50] {
        let (before, after, inputs, rows) = try improve(problem, grids, sweeps: sweeps, twoSided: twoSided)
        let h = FeedbackProblem.damped(problem.inputs, damping: 0.01, order: inputs.order)
        let g = twoSided ? FeedbackProblem.damped(problem.gradients, damping: 0.1, order: rows) : nil
        let e = problem.errors(after.codes, grids, rows: rows, columns: inputs.order)
        let start = FeedbackProblem.objective(
          problem.errors(before.codes, grids, rows: rows, columns: inputs.order), h: h, g: g)
        let objective = FeedbackProblem.objective(e, h: h, g: g)
        #expect(objective <= (last ?? start) * (1 + 1e-6))
        if size.rows > 1 { #expect(objective < start * 0.999, "\(objective) of \(start)") }
        last = objective
        var expected = objective
        if !twoSided {
          // Reported without damping, as error feedback does.
          let plain = FeedbackProblem.damped(problem.inputs, damping: 0, order: inputs.order)
          expected = FeedbackProblem.objective(e, h: plain, g: nil)
        }
        #expect(abs(after.error * Double(problem.inputs.rows) / expected - 1) < 3e-3, "\(after.error), not \(expected)")
        #expect(abs(after.rowErrors.reduce(0, +) / expected - 1) < 3e-3)
        guard sweeps == 50 else { continue }
        let slope = FeedbackProblem.product(g.map { FeedbackProblem.product($0, e) } ?? e, h)
        let most = (1 << bits) - 1
        for i in 0..<size.rows {
          for j in 0..<size.columns {
            let (row, column) = (Int(rows[i]), Int(inputs.order[j]))
            let scale = Double(grids.scales[row * grids.groups + column / grids.groupSize])
            let steps = slope[i][j] / ((g?[i][i] ?? 1) * h[j][j] * scale)
            let code = Int(after.codes[row * size.columns + column])
            let isStuck = steps > 0 ? code == most : code == 0
            #expect(abs(steps) < 0.503 || isStuck, "\(i) \(j) could still move by \(steps)")
          }
        }
      }
    }
  }

  /// From bad codes, too, it only ever gets better.
  @Test(arguments: [true, false])
  func neverRaisesTheObjective(_ twoSided: Bool) throws {
    let problem = FeedbackProblem(rows: 70, columns: 150)
    let grids = try problem.grids(bits: 3)
    var random = SeededRandom(seed: 3)
    for _ in 0..<3 {
      let start = (0..<70 * 150).map { _ in UInt8(random.nextUnit() * 8) }
      let (_, after, inputs, rows) = try improve(problem, grids, from: start, sweeps: 1, twoSided: twoSided)
      let h = FeedbackProblem.damped(problem.inputs, damping: 0.01, order: inputs.order)
      let g = twoSided ? FeedbackProblem.damped(problem.gradients, damping: 0.1, order: rows) : nil
      func objective(_ codes: [UInt8]) -> Double {
        FeedbackProblem.objective(problem.errors(codes, grids, rows: rows, columns: inputs.order), h: h, g: g)
      }
      #expect(objective(after.codes) < objective(start) * 0.5)
      #expect(after.codes.allSatisfy { $0 < 8 })
    }
  }

  @Test(arguments: [true, false])
  func threadsDoNotChangeAByte(_ twoSided: Bool) throws {
    var first: ErrorFeedback.Result?
    for threads in [1, 2, 3] {
      let problem = FeedbackProblem(rows: 270, columns: 410, pool: ThreadPool(threads: threads))
      let result = try improve(problem, try problem.grids(bits: 3), sweeps: 3, twoSided: twoSided).after
      #expect(first == nil || (first?.codes == result.codes && first?.error == result.error && first?.rowErrors == result.rowErrors))
      first = result
    }
  }

  @Test func noSweepsChangeNothing() throws {
    let problem = FeedbackProblem(rows: 20, columns: 40)
    let (before, after, _, _) = try improve(problem, try problem.grids(bits: 3), sweeps: 0, twoSided: true)
    #expect(before.codes == after.codes && before.error == after.error)
  }

  /// The inputs' factor serves the next weight as before.
  @Test func theInputFactorStays() throws {
    let problem = FeedbackProblem(rows: 40, columns: 140)
    let grids = try problem.grids(bits: 3)
    let (inputs, weight) = (try problem.inputFactor(), WeightRows.matrix(problem.weight))
    let results = try (0..<2).map { _ in
      let start = try ErrorFeedback().quantize(weight, named: "w", grids: grids, factor: inputs, pool: problem.pool)
      return CoordinateDescent().improve(start, of: weight, grids: grids, inputs: inputs, pool: problem.pool)
    }
    #expect(results[0].codes == results[1].codes && results[0].error == results[1].error)
  }
}
