import Distribution
import Execution
import Tensors
import Testing

@testable import Compression

/// Sums over what a layer reads, added up in bands by several processes.
@Suite struct GramBandTests {
  @Test(arguments: [1, 15, 64, 257, 1000], [1, 2, 3, 8])
  func bandsAreTheWhole(_ inputs: Int, _ count: Int) {
    let ranges = GramMatrix.bands(of: inputs, among: count)
    #expect(ranges.count == count && ranges.first?.lowerBound == 0 && ranges.last?.upperBound == inputs)
    for (one, next) in zip(ranges, ranges.dropFirst()) { #expect(one.upperBound == next.lowerBound) }
    guard inputs == 1000 else { return }
    // Of equal area, but for vectors.
    let areas = ranges.map { Double($0.upperBound * $0.upperBound - $0.lowerBound * $0.lowerBound) }
    #expect((areas.max() ?? 0) < 1.15 * Double(inputs * inputs) / Double(count))
  }

  /// The same bits as one process's, whatever the widths, with weights of tokens and without.
  @Test(arguments: [40, 130, 700], [2, 3])
  func assembledAsOneWouldHaveIt(_ inputs: Int, _ count: Int) throws {
    @Sendable func activations(_ batch: Int) -> Matrix {
      var random = SeededRandom(seed: UInt64(17 + batch))
      let result = Matrix(rows: 100, columns: inputs)
      for index in 0..<100 * inputs { result.pointer[index] = Float(random.nextUnit() - 0.4) }
      return result
    }
    let weights = (0..<100).map { Float($0 % 7) / 3 }
    let expected = GramMatrix(inputs: inputs)
    let pool = ThreadPool(threads: 2)
    for batch in 0..<3 { try expected.accumulate(activations(batch), weights: batch == 1 ? weights : nil, pool: pool) }
    let root = count - 1
    let found = try LocalTransport.run(count) { group in
      let band = GramBand(inputs: inputs, rows: GramMatrix.bands(of: inputs, among: count)[group.rank])
      let pool = ThreadPool(threads: 1)
      for batch in 0..<3 { try band.accumulate(activations(batch), weights: batch == 1 ? weights : nil, pool: pool) }
      let whole = try group.assemble(band, at: root)
      return whole.map { (values: $0.symmetric(pool: pool).bits, tokens: $0.tokens, weight: $0.totalWeight) }
    }
    #expect(found.dropLast().allSatisfy { $0 == nil })
    let whole = try #require(found[root])
    #expect(whole.values == expected.symmetric(pool: pool).bits)
    #expect(whole.tokens == expected.tokens && whole.weight == expected.totalWeight)
  }
}

extension Matrix {
  fileprivate var bits: [UInt32] { (0..<rows * columns).map { pointer[$0].bitPattern } }
}
