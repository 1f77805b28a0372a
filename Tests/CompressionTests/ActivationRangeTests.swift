import Compression
import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

/// How the scale of static activations is found.
@Suite struct ActivationRangeTests {
  private let pool = ThreadPool(threads: 2)

  /// Nearly normal values (a sum of uniform ones), some of them far out.
  private func sample(rows: Int, columns: Int, outliers: Int) -> Matrix {
    let matrix = Matrix(rows: rows, columns: columns)
    var state: UInt64 = 12345
    func uniform() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) / Float(1 << 24) - 0.5
    }
    for index in 0..<rows * columns { matrix.pointer[index] = (0..<12).reduce(0) { sum, _ in sum + uniform() } }
    for index in 0..<outliers {
      let magnitude = 40 - 0.7 * Float(index % 20)
      matrix.pointer[(index * 977 + 5) % (rows * columns)] = index % 2 == 0 ? magnitude : -magnitude
    }
    return matrix
  }

  private func meanSquaredError(_ x: Matrix, scale: Float) -> Double {
    let count = x.rows * x.columns
    return (0..<count).reduce(0.0) { sum, index in
      let value = x.pointer[index]
      let code = min(127, max(-128, (value / scale).rounded(.toNearestOrEven)))
      return sum + pow(Double(value - code * scale), 2)
    } / Double(count)
  }

  @Test(arguments: [0, 1, 40]) func theHistogramPredictsTheError(_ outliers: Int) throws {
    let x = sample(rows: 300, columns: 70, outliers: outliers)
    var histogram = MagnitudeHistogram()
    try histogram.add(x, named: "layer", pool: pool)
    #expect(histogram.total == 21000)
    for scale in [0.004, 0.01, 0.03, 0.1, 0.3, 2] as [Float] {
      let cost = histogram.cost(of: scale)
      let truth = meanSquaredError(x, scale: scale)
      #expect(abs(cost.meanSquaredError / truth - 1) < 0.03, "\(scale): \(cost.meanSquaredError), \(truth)")
      let beyond = (0..<21000).filter { abs(x.pointer[$0]) > 127.5 * scale }.count
      #expect(abs(cost.clippedFraction - Double(beyond) / 21000) < 0.003)
    }
  }

  @Test(arguments: [DataType.float32, .bfloat16, .float16]) func theChosenScaleHasTheSmallestError(_ type: DataType) throws {
    let x = sample(rows: 300, columns: 70, outliers: 1)
    var histogram = MagnitudeHistogram()
    try histogram.add(x, named: "layer", pool: pool)
    let (best, whole) = (histogram.smallestError(in: type), histogram.extremes(in: type))
    #expect(type.rounded(best.scale) == best.scale)
    let error = meanSquaredError(x, scale: best.scale)
    #expect(error < meanSquaredError(x, scale: whole.scale))
    for step in -40...40 { #expect(error < 1.02 * meanSquaredError(x, scale: best.scale * Float(exp2(Double(step) / 16)))) }
    #expect(whole.clippedFraction == 0)
    #expect(histogram.absmax == 40)
  }

  /// A thousand outliers are worth the range, one is not.
  @Test func outliersThatAreManyAreKept() throws {
    var (few, many) = (MagnitudeHistogram(), MagnitudeHistogram())
    try few.add(sample(rows: 3000, columns: 70, outliers: 1), named: "layer", pool: pool)
    try many.add(sample(rows: 300, columns: 70, outliers: 1000), named: "layer", pool: pool)
    #expect(few.smallestError(in: .float32).scale < 0.8 * 40 / 127.5)
    #expect(many.smallestError(in: .float32).scale > 0.95 * 40 / 127.5)
  }

  @Test func neitherThreadsNorBatchesChangeTheCounts() throws {
    let x = sample(rows: 101, columns: 33, outliers: 3)
    var whole = MagnitudeHistogram()
    var parts = MagnitudeHistogram()
    try whole.add(x, named: "layer", pool: ThreadPool(threads: 1))
    try parts.add(x.copy(rows: 0..<40), named: "layer", pool: ThreadPool(threads: 3))
    try parts.add(x.copy(rows: 40..<101), named: "layer", pool: pool)
    #expect(whole.counts == parts.counts && whole.absmax == parts.absmax && whole.total == parts.total)
    #expect(whole.counts.reduce(0, +) == 101 * 33)
  }

  @Test func extremesOfFloatsAreBorne() throws {
    let x = Matrix(rows: 1, columns: 4)
    for (index, value) in [Float.greatestFiniteMagnitude, .leastNonzeroMagnitude, 0, -1].enumerated() { x.pointer[index] = value }
    var histogram = MagnitudeHistogram()
    try histogram.add(x, named: "layer", pool: pool)
    for type in [DataType.float32, .bfloat16, .float16] {
      let choice = histogram.smallestError(in: type)
      #expect(choice.scale > 0 && choice.scale.isFinite)
    }
    let zero = Matrix(rows: 2, columns: 3)
    var nothing = MagnitudeHistogram()
    try nothing.add(zero, named: "layer", pool: pool)
    #expect(nothing.smallestError(in: .bfloat16).scale == 1)
    x.pointer[0] = .nan
    let error = #expect(throws: CompressionError.self) { try histogram.add(x, named: "layer", pool: pool) }
    #expect(error?.subject == "layer" && error?.kind == .badData)
  }
}
