import CKernels
import Foundation
import Testing

@Suite struct StatisticsTests {
  @Test func columnsAreSummed() {
    var numbers = TestNumbers(seed: 91)
    let (rows, columns, ld) = (37, 21, 25)
    let x = numbers.floats(rows * ld)
    var peaks = [Float](repeating: 0.5, count: columns), sums = [Double](repeating: 1, count: columns), squares = sums
    dso_column_statistics(x, Int64(ld), Int64(rows), Int64(columns), &peaks, &sums, &squares)
    for column in 0..<columns {
      let values = (0..<rows).map { Double(x[$0 * ld + column]) }
      #expect(Double(peaks[column]) == max(0.5, values.map(abs).max() ?? 0))
      #expect(abs(sums[column] - 1 - values.reduce(0) { $0 + abs($1) }) < 1e-9)
      #expect(abs(squares[column] - 1 - values.reduce(0) { $0 + $1 * $1 }) < 1e-9)
    }
    let (before, after) = (peaks, sums)
    dso_column_statistics(x, Int64(ld), Int64(rows), Int64(columns), nil, nil, &squares)
    #expect(peaks == before && sums == after)
  }

  /// On the bounds is within, and what is no number is nowhere; whatever the length.
  @Test func whatIsOutsideIsCounted() {
    for count in 0..<70 {
      let x = (0..<count).map { index -> Float in
        [-2, -2.5, 0, 3, 3.5, .nan, .infinity, -.infinity, -0.0, .leastNonzeroMagnitude][index * 7 % 10]
      }
      let expected = x.count { $0 < -2 || $0 > 3 }
      #expect(dso_count_outside(x, Int64(count), -2, 3) == Int64(expected), "\(count)")
    }
  }

  /// NaN and infinities by their bits, of every width, at odd addresses too.
  @Test func whatIsNoNumberIsCounted() {
    let values: [Double] = [0, 1, .infinity, -.infinity, .nan, -1e300, .greatestFiniteMagnitude, .leastNonzeroMagnitude, -.nan]
    func bytes<T>(_ values: [T]) -> [UInt8] { [0] + values.withUnsafeBytes { Array($0) } }
    func count(_ bytes: [UInt8], _ width: Int, _ bits: UInt64) -> Int64 {
      bytes.withUnsafeBytes {
        $0.baseAddress.map { dso_count_with_bits($0 + 1, Int64((bytes.count - 1) / width), Int32(width), bits) } ?? -1
      }
    }
    for repeats in 0..<9 {
      let many = Array(repeatElement(values, count: repeats).joined())
      #expect(count(bytes(many), 8, 0x7ff0_0000_0000_0000) == Int64(4 * repeats))
      // Two of the others are too large for these.
      #expect(count(bytes(many.map { Float($0) }), 4, 0x7f80_0000) == Int64(6 * repeats))
      let halves = many.map { UInt16(truncatingIfNeeded: Float($0).bitPattern >> 16) }
      #expect(count(bytes(halves), 2, 0x7f80) == Int64(6 * repeats))
    }
    #expect(count(bytes([UInt8](repeating: 255, count: 4)), 3, 255) == 0)
  }

  /// Draws by inverting the distribution: index i from the sum of the probabilities before it to the sum with its own.
  @Test func drawsInvertTheDistribution() {
    let probabilities: [Double] = [0.1, 0, 0.25, 0.4, 1e-15, 0.25]
    let logits = probabilities.map { $0 > 0 ? Float(log($0)) + 3 : -200 }
    let logSum = log(logits.reduce(0) { $0 + exp(Double($1)) })
    func draw(_ unit: Double) -> Int { Int(dso_sample_logits(logits, logSum, Int64(logits.count), unit)) }
    for (unit, expected) in [(0, 0), (0.0999, 0), (0.1001, 2), (0.3499, 2), (0.3501, 3), (0.7499, 3), (0.7501, 5), (0.999, 5)] {
      #expect(draw(unit) == expected, "\(unit)")
    }
    // Beyond what the sum of floats reaches: the last that can be drawn at all.
    #expect(draw(1.5) == 5)
    var counts = [Int](repeating: 0, count: logits.count)
    for index in 0..<1000 { counts[draw((Double(index) + 0.5) / 1000)] += 1 }
    #expect(counts == [100, 0, 250, 400, 0, 250])
  }
}
