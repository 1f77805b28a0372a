import Diagnostics
import Execution
import Tensors
import Testing

@testable import Compression

@Suite struct ErrorFeedbackTests {
  private let pool = ThreadPool(threads: 2)

  /// Activations whose inputs follow each other: x[j] = 0.8 · x[j−1] + noise, with sizes of their own.
  private func activations(_ tokens: Int, _ inputs: Int, seed: UInt64 = 5) -> Matrix {
    var random = SeededRandom(seed: seed)
    let sizes = (0..<inputs).map { _ in 0.2 + random.nextUnit() }
    let result = Matrix(rows: tokens, columns: inputs)
    for token in 0..<tokens {
      var state = 0.0
      for input in 0..<inputs {
        state = 0.8 * state + random.nextUnit() - 0.5
        result.row(token)[input] = Float(state * sizes[input])
      }
    }
    return result
  }

  private func weight(_ rows: Int, _ columns: Int, seed: UInt64 = 9) -> Matrix {
    var random = SeededRandom(seed: seed)
    let result = Matrix(rows: rows, columns: columns)
    for index in 0..<rows * columns {
      result.pointer[index] = Float(random.nextUnit() + random.nextUnit() + random.nextUnit() - 1.5)
    }
    return result
  }

  private func gram(_ x: Matrix) throws -> GramMatrix {
    let gram = GramMatrix(inputs: x.columns)
    try gram.accumulate(x, pool: pool)
    return gram
  }

  private func table(_ w: Matrix, bits: Int = 3, symmetric: Bool = true, group: Int = 32) throws -> GridTable {
    try GridTable(
      rule: .signedAbsmax, weight: .matrix(w), named: "w",
      scheme: QuantizationScheme(bits: bits, symmetric: symmetric, granularity: .group(group)), pool: pool)
  }

  /// Mean squared error of the outputs, from the activations themselves, in double.
  private func outputError(_ tensor: QuantizedTensor, _ w: Matrix, _ x: Matrix) throws -> Double {
    let values = try #require(tensor.dequantized().float32Values())
    var total = 0.0
    for token in 0..<x.rows {
      for row in 0..<w.rows {
        var sum = 0.0
        for column in 0..<w.columns {
          sum += Double(w.row(row)[column] - values[row * w.columns + column]) * Double(x.row(token)[column])
        }
        total += sum * sum
      }
    }
    return total / Double(x.rows)
  }

  @Test(arguments: [2, 3, 4, 8], [true, false])
  func isBetterThanNearestAndReportsItsError(_ bits: Int, _ symmetric: Bool) throws {
    let (x, w) = (activations(300, 200), weight(35, 200))
    let grids = try table(w, bits: bits, symmetric: symmetric, group: 48)
    let nearest = try outputError(try grids.quantize(.matrix(w), named: "w", pool: pool).tensor, w, x)
    for actOrder in [true, false] {
      let result = try ErrorFeedback().quantize(
        .matrix(w), named: "w", grids: grids, gram: try gram(x), options: .init(actOrder: actOrder), pool: pool)
      let tensor = try result.codes.withUnsafeBufferPointer {
        try grids.assemble(codes: try #require($0.baseAddress), named: "w", pool: pool)
      }
      let error = try outputError(tensor, w, x)
      #expect(error < nearest * 0.6, "\(error) of \(nearest)")
      #expect(abs(result.error / error - 1) < 1e-2, "\(result.error), not \(error)")
      #expect(result.fallback == nil)
    }
  }

  @Test func threadsDoNotChangeAByte() throws {
    let (x, w) = (activations(700, 530), weight(1000, 530))
    let grids = try table(w)
    var first: ErrorFeedback.Result?
    for threads in [1, 2, 3] {
      let pool = ThreadPool(threads: threads)
      let gram = GramMatrix(inputs: x.columns)
      try gram.accumulate(x, pool: pool)
      let result = try ErrorFeedback().quantize(.matrix(w), named: "w", grids: grids, gram: gram, pool: pool)
      #expect(first == nil || first?.codes == result.codes)
      #expect(first == nil || first?.error == result.error)
      #expect(first == nil || first?.clipped == result.clipped)
      first = result
    }
  }

  @Test func oneFactorServesSeveralWeightsAndBothMemories() throws {
    let (x, w) = (activations(300, 150), weight(40, 150))
    let grids = try table(w)
    let kept = try gram(x)
    let copying = try FeedbackFactor(of: kept.copy(), named: "w", pool: pool)
    #expect(kept.inputs == 150)
    let taking = try FeedbackFactor(of: kept, named: "w", pool: pool)
    #expect(kept.inputs == 0)
    #expect(throws: CompressionError.self) { try kept.accumulate(x, pool: pool) }
    let results = try [copying, taking, copying].map {
      try ErrorFeedback().quantize(.matrix(w), named: "w", grids: grids, factor: $0, pool: pool)
    }
    #expect(results.allSatisfy { $0.codes == results[0].codes && $0.error == results[0].error })
  }

  @Test func deadInputsAreRoundedByThemselves() throws {
    let (x, w) = (activations(300, 140), weight(20, 140))
    let dead = [0, 63, 139]
    for token in 0..<x.rows { for input in dead { x.row(token)[input] = 0 } }
    let grids = try table(w)
    let factor = try FeedbackFactor(of: try gram(x), named: "w", pool: pool)
    #expect(factor.deadInputs == 3 && factor.fallback == nil)
    let result = try ErrorFeedback().quantize(.matrix(w), named: "w", grids: grids, factor: factor, pool: pool)
    for row in 0..<w.rows {
      var nearest = [UInt8](repeating: 0, count: 140)
      grids.roundRow(row, w.row(row), into: &nearest)
      for input in dead { #expect(result.codes[row * 140 + input] == nearest[input]) }
    }
  }

  /// Not positive definite, whatever is added up to the mean of the diagonal: rounding to nearest, and an error by the definition.
  @Test func anIndefiniteMatrixFallsBack() throws {
    let w = weight(20, 130)
    let grids = try table(w)
    let values = Matrix(rows: 130, columns: 130)
    for i in 0..<130 { for j in 0...i { values.row(i)[j] = i == j ? Float(1 + i % 3) : 6 } }
    let gram = GramMatrix(lower: values.copy(rows: 0..<130), tokens: 10, totalWeight: 10)
    let result = try ErrorFeedback().quantize(
      .matrix(w), named: "w", grids: grids, gram: gram, pool: pool)
    #expect(result.fallback?.contains("rounded to nearest") == true && result.dampingUsed == 0)
    let nearest = try grids.quantize(.matrix(w), named: "w", pool: pool)
    let q = try #require(nearest.tensor.dequantized().float32Values())
    var expected = 0.0
    for row in 0..<20 {
      let e = (0..<130).map { Double(w.row(row)[$0] - q[row * 130 + $0]) }
      for i in 0..<130 { for j in 0..<130 { expected += e[i] * e[j] * Double(values.row(max(i, j))[min(i, j)]) } }
    }
    expected = max(0, expected) / 10
    #expect(abs(result.error - expected) <= 1e-4 * expected)
    #expect(result.clipped == nearest.clipped)
    let codes = try result.codes.withUnsafeBufferPointer {
      try grids.assemble(codes: try #require($0.baseAddress), named: "w", pool: pool)
    }
    #expect(codes.dequantized().float32Values() == q)
  }

  /// A matrix that a damping of 0.01 does not make definite, and one of 0.1 or 1 does.
  @Test func dampingGrowsUntilItServes() throws {
    let w = weight(8, 40)
    let values = Matrix(rows: 40, columns: 40)
    for i in 0..<40 { values.row(i)[i] = 1 }
    values.row(1)[0] = 1.05
    let factor = try FeedbackFactor(
      of: GramMatrix(lower: values, tokens: 1, totalWeight: 1), named: "w", pool: pool)
    #expect(factor.dampingUsed == 0.1)
    #expect(factor.fallback?.contains("damped by 0.1") == true)
    let result = try ErrorFeedback().quantize(.matrix(w), named: "w", grids: try table(w), factor: factor, pool: pool)
    #expect(result.fallback == factor.fallback)
  }

  @Test func noActivationsMeansNearest() throws {
    let w = weight(8, 40)
    let grids = try table(w)
    let result = try ErrorFeedback().quantize(.matrix(w), named: "w", grids: grids, gram: GramMatrix(inputs: 40), pool: pool)
    #expect(result.fallback?.contains("no activation") == true && result.error == 0)
  }

  @Test(arguments: [Float.nan, .infinity])
  func whatIsNotFiniteIsRefusedByName(_ bad: Float) throws {
    let (x, w) = (activations(50, 40), weight(8, 40))
    let grids = try table(w)
    let factor = try FeedbackFactor(of: try gram(x), named: "w", pool: pool)
    w.row(3)[7] = bad
    let error = #expect(throws: CompressionError.self) {
      try ErrorFeedback().quantize(.matrix(w), named: "layer", grids: grids, factor: factor, pool: pool)
    }
    #expect(error?.subject == "layer" && error?.kind == .badData && error?.problem.contains("1 weights") == true)
    x.row(2)[5] = bad
    let other = #expect(throws: CompressionError.self) {
      try FeedbackFactor(of: try gram(x), named: "layer", pool: pool)
    }
    #expect(other?.subject == "layer" && other?.kind == .badData)
  }

  @Test func extentsThatDoNotFitAreRefused() throws {
    let (x, w) = (activations(50, 40), weight(8, 40))
    let grids = try table(w)
    let factor = try FeedbackFactor(of: try gram(x), named: "w", pool: pool)
    for other in [weight(8, 39), weight(7, 40)] {
      #expect(throws: CompressionError.self) {
        try ErrorFeedback().quantize(.matrix(other), named: "w", grids: grids, factor: factor, pool: pool)
      }
    }
    #expect(throws: CompressionError.self) { try gram(x).accumulate(activations(3, 41), pool: pool) }
    #expect(throws: CompressionError.self) { try gram(x).accumulate(x, weights: [1], pool: pool) }
    #expect(throws: CompressionError.self) {
      try FeedbackFactor(of: try gram(x), named: "w", options: .init(damping: -1), pool: pool)
    }
  }

  /// Onto levels: the error that is told is that of the codes that are kept, and below that of the search.
  @Test(arguments: [WeightType.iq4_NL, .mxfp4, .nvfp4]) func levelsTakeFeedback(_ type: WeightType) throws {
    let (w, x) = (weight(80, 96), activations(400, 96))
    // The scale of such a group is 0.
    for column in 32..<64 { w.row(5)[column] = 0 }
    let scheme = try #require(type.blockScheme)
    let search = try #require(FreeSearch(scheme, scaleType: .float16))
    let start = try search.quantize(.matrix(w), named: "w", pool: pool)
    let grid = ShiftedGrid(start, .matrix(w), pool: pool)
    let searched = try outputError(start, w, x)
    let result = try ErrorFeedback().quantize(
      grid.weight, named: "w", grids: grid.table, gram: gram(x), options: .init(damping: 0), pool: pool)
    #expect(result.fallback == nil && result.codes.allSatisfy { $0 < 16 })
    let fed = try outputError(grid.assemble(codes: result.codes, named: "w", pool: pool), w, x)
    #expect(fed < 0.7 * searched, "\(fed) \(searched)")
    #expect(abs(result.error / fed - 1) < 1e-3, "\(result.error) \(fed)")
    let inputs = try FeedbackFactor(of: gram(x), named: "w", options: .init(), pool: pool)
    let outputs = try FeedbackFactor(of: gram(activations(300, 80, seed: 6)), named: "w", options: .init(), pool: pool)
    let both = try TwoSidedFeedback().quantize(grid.weight, named: "w", grids: grid.table, inputs: inputs, outputs: outputs, pool: pool)
    let kept = try grid.assemble(codes: both.codes, named: "w", pool: pool)
    #expect(try outputError(kept, w, x) < searched)
    // Steps are no moves between levels.
    let descent = CoordinateDescent().improve(both, of: grid.weight, grids: grid.table, inputs: inputs, pool: pool)
    #expect(descent.codes == both.codes)
  }
}

@Suite struct GramMatrixTests {
  private let pool = ThreadPool(threads: 2)

  private func matrix(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    var random = SeededRandom(seed: seed)
    let result = Matrix(rows: rows, columns: columns)
    for index in 0..<rows * columns { result.pointer[index] = Float(random.nextUnit() - 0.5) }
    return result
  }

  private func close(_ a: Float, _ b: Double, _ scale: Double) -> Bool { abs(Double(a) - b) <= 1e-5 * scale }

  @Test func weighsDividesAndCrosses() throws {
    let (x, y) = (matrix(90, 37, seed: 1), matrix(90, 20, seed: 2))
    let weights = (0..<90).map { Float($0 % 4) }
    let gram = GramMatrix(inputs: 37)
    try gram.accumulate(x.copy(rows: 0..<50), weights: Array(weights[..<50]), pool: pool)
    try gram.accumulate(x.copy(rows: 50..<90), weights: Array(weights[50...]), pool: pool)
    #expect(gram.tokens == 90 && gram.totalWeight == Double(weights.reduce(0, +)))
    func exact(_ i: Int, _ j: Int) -> Double { (0..<90).reduce(0) { $0 + Double(weights[$1] * x.row($1)[i]) * Double(x.row($1)[j]) } }
    let divisors = (0..<37).map { 0.5 + Float($0) / 8 }
    try gram.divide(by: divisors, pool: pool)
    let values = gram.symmetric(pool: pool)
    for i in 0..<37 {
      for j in 0..<37 { #expect(close(values.row(i)[j], exact(i, j) / Double(divisors[i] * divisors[j]), 40)) }
    }
    #expect(throws: CompressionError.self) { try gram.divide(by: [0] + divisors.dropFirst(), pool: pool) }
    let cross = Matrix(rows: 37, columns: 20)
    try GramMatrix.accumulateCross(x, y, into: cross, pool: pool)
    for i in 0..<37 {
      for j in 0..<20 { #expect(close(cross.row(i)[j], (0..<90).reduce(0) { $0 + Double(x.row($1)[i]) * Double(y.row($1)[j]) }, 20)) }
    }
    #expect(throws: CompressionError.self) { try GramMatrix.accumulateCross(y, x, into: cross, pool: pool) }
  }
}
