import Diagnostics
import Execution
import Tensors
import Testing

@testable import Compression

@Suite struct TwoSidedFeedbackTests {
  /// Every code is its target's nearest, targets in double by the definition, from the errors of the codes themselves: a rounding at a
  /// boundary does not change all that follows.
  @Test(arguments: [(35, 200), (150, 300), (16, 128), (1, 40), (129, 17)], [2, 4])
  func codesAreNearestToTheirTargets(_ size: (rows: Int, columns: Int), _ bits: Int) throws {
    let problem = FeedbackProblem(rows: size.rows, columns: size.columns)
    let grids = try problem.grids(bits: bits, symmetric: bits == 4)
    let (inputs, outputs) = (try problem.inputFactor(), try problem.outputFactor())
    let one = try ErrorFeedback().quantize(.matrix(problem.weight), named: "w", grids: grids, factor: inputs, pool: problem.pool)
    let result = try TwoSidedFeedback().quantize(
      .matrix(problem.weight), named: "w", grids: grids, inputs: inputs, outputs: outputs, pool: problem.pool)
    let h = FeedbackProblem.damped(problem.inputs, damping: 0.01, order: inputs.order)
    let g = FeedbackProblem.damped(problem.gradients, damping: 0.1, order: outputs.order)
    let e = problem.errors(result.codes, grids, rows: outputs.order, columns: inputs.order)
    let (mh, mg) = (FeedbackProblem.factor(h), FeedbackProblem.factor(g))
    let half = Double(1 << (bits - 1))
    var clipped = 0
    for j in 0..<size.columns {
      // (E MHᵀ) of this column, for the rows so far.
      var sums: [Double] = []
      for i in 0..<size.rows {
        let before = (0..<j).reduce(0) { $0 + mh[j][$1] * e[i][$1] }
        let spread = (0..<i).reduce(0) { $0 + mg[i][$1] * sums[$1] }
        sums.append(before + e[i][j])
        let (row, column) = (Int(outputs.order[i]), Int(inputs.order[j]))
        let place = row * grids.groups + column / grids.groupSize
        let (scale, zero) = (Double(grids.scales[place]), Double(grids.zeroPoints[place]))
        let steps = (Double(problem.weight.row(row)[column]) + before + spread) / scale + zero
        if steps < -half - 0.5 || steps > half - 0.5 { clipped += 1 }
        let code = Double(result.codes[row * size.columns + column]) - half
        #expect(abs(min(max(steps, -half), half - 1) - code) <= 0.5 + 2e-3, "\(i) \(j): \(steps) became \(code)")
      }
    }
    #expect(abs(result.clipped - clipped) <= 2)
    let objective = FeedbackProblem.objective(e, h: h, g: g)
    #expect(abs(result.error * Double(problem.inputs.rows) / objective - 1) < 2e-3)
    #expect(abs(result.rowErrors.reduce(0, +) / objective - 1) < 2e-3)
    let other = problem.errors(one.codes, grids, rows: outputs.order, columns: inputs.order)
    if size.rows > 1 { #expect(objective < FeedbackProblem.objective(other, h: h, g: g)) }
    #expect(result.fallback == nil)
  }

  /// G = 1: rows do not matter to each other. Sums are added in another order, so a row may part at a boundary.
  @Test func identityIsErrorFeedback() throws {
    let problem = FeedbackProblem(rows: 150, columns: 300)
    let grids = try problem.grids(bits: 3)
    let inputs = try problem.inputFactor()
    let one = try ErrorFeedback().quantize(.matrix(problem.weight), named: "w", grids: grids, factor: inputs, pool: problem.pool)
    let identity = Matrix(rows: 150, columns: 150)
    for row in 0..<150 { identity.row(row)[row] = 1 }
    let outputs = try FeedbackFactor(
      of: GramMatrix(lower: identity, tokens: 1, totalWeight: 1), named: "w", options: .init(damping: 0),
      pool: problem.pool)
    let two = try TwoSidedFeedback().quantize(
      .matrix(problem.weight), named: "w", grids: grids, inputs: inputs, outputs: outputs, pool: problem.pool)
    let parted = (0..<150).filter { row in
      one.codes[row * 300..<(row + 1) * 300] != two.codes[row * 300..<(row + 1) * 300]
    }
    #expect(parted.count <= 5, "\(parted.count) of 150 rows differ")
  }

  @Test func threadsDoNotChangeAByte() throws {
    var first: ErrorFeedback.Result?
    for threads in [1, 2, 3] {
      let problem = FeedbackProblem(rows: 270, columns: 410, pool: ThreadPool(threads: threads))
      let result = try TwoSidedFeedback().quantize(
        .matrix(problem.weight), named: "w", grids: try problem.grids(bits: 3), inputs: try problem.inputFactor(),
        outputs: try problem.outputFactor(), pool: problem.pool)
      #expect(first == nil || (first?.codes == result.codes && first?.error == result.error && first?.rowErrors == result.rowErrors))
      first = result
    }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let problem = FeedbackProblem(rows: 20, columns: 30)
    var grids = try problem.grids(bits: 3)
    let (inputs, outputs) = (try problem.inputFactor(), try problem.outputFactor())
    #expect(throws: CompressionError.self) {
      try TwoSidedFeedback().quantize(
        .matrix(problem.weight), named: "w", grids: grids, inputs: outputs, outputs: inputs, pool: problem.pool)
    }
    problem.weight.row(3)[4] = .nan
    let error = #expect(throws: CompressionError.self) {
      try TwoSidedFeedback().quantize(
        .matrix(problem.weight), named: "layer", grids: grids, inputs: inputs, outputs: outputs, pool: problem.pool)
    }
    #expect(error?.subject == "layer" && error?.kind == .badData)
    grids.scales[2] = .infinity
    #expect(throws: CompressionError.self) {
      try TwoSidedFeedback().quantize(
        .matrix(problem.weight), named: "w", grids: grids, inputs: inputs, outputs: outputs, pool: problem.pool)
    }
  }
}
