import Diagnostics
import Execution
import Foundation
import Tensors
import Testing

@testable import Compression

/// Against numpy's decomposition in float64 (make-low-rank-golden.py).
@Suite struct LowRankDecompositionTests {
  struct Golden: Decodable, CustomTestStringConvertible, Sendable {
    var name: String
    var rows: Int
    var columns: Int
    var seed: UInt64
    var terms: Int
    var decay: Double
    var noise: Double
    var outlier: Double
    var rank: Int
    var norm: Double
    var error: Double
    var values: [Double]
    var next: Double
    var elements: [Double]

    var testDescription: String { name }

    var matrix: Matrix {
      LowRankMatrices.matrix(rows, columns, seed: seed, terms: terms, decay: decay, noise: noise, outlier: outlier)
    }
  }

  struct Fixture: Decodable {
    var cases: [Golden]
  }

  static func goldens() throws -> [Golden] {
    let url = try #require(Bundle.module.url(forResource: "svd", withExtension: "json", subdirectory: "LowRankFixtures"))
    return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url)).cases
  }

  private func product(_ found: TruncatedSVD) -> Matrix {
    LowRankMatrices.product(found.left, found.right, found.singularValues)
  }

  @Test(arguments: try goldens())
  func isAsGoodAsTheBest(_ golden: Golden) throws {
    let matrix = golden.matrix
    #expect(abs(matrix.squaredNorm.squareRoot() / golden.norm - 1) < 1e-9)
    let found = try TruncatedSVD(matrix, named: "w", rank: golden.rank, seed: 7, pool: ThreadPool(threads: 2))
    #expect(found.left.rows == golden.rows && found.left.columns == golden.rank)
    #expect(found.right.rows == golden.rank && found.right.columns == golden.columns)
    #expect(found.singularValues.count == golden.rank)
    let restored = product(found)
    let error = LowRankMatrices.distance(matrix, restored)
    #expect(error <= golden.error * 1.001 + 1e-6 * golden.norm, "\(error), not \(golden.error)")
    for (value, best) in zip(found.singularValues, golden.values) {
      // What a subspace captures lies below, and by little where the error is small.
      #expect(value < best + 1e-6 * golden.norm && value > best * 0.98 - 1e-6 * golden.norm)
    }
    #expect(zip(found.singularValues, found.singularValues.dropFirst()).allSatisfy { $0 >= $1 })
    // Where a gap follows, there is one best approximation.
    if golden.next < 0.7 * (golden.values.last ?? 0) {
      for (index, element) in golden.elements.enumerated() {
        let place = index * 7919 % (golden.rows * golden.columns)
        #expect(abs(Double(restored.pointer[place]) - element) < 1e-4 * golden.values[0])
      }
    }
  }

  @Test(arguments: try goldens())
  func vectorsAreOrthonormal(_ golden: Golden) throws {
    let found = try TruncatedSVD(golden.matrix, named: "w", rank: golden.rank, seed: 7, pool: ThreadPool(threads: 2))
    let kept = golden.values.filter { $0 > 1e-4 * golden.values[0] }.count
    #expect(kept > 0)
    for one in 0..<kept {
      for other in 0...one {
        let expected = one == other ? 1.0 : 0
        let left = (0..<golden.rows).reduce(0.0) { $0 + Double(found.left.row($1)[one]) * Double(found.left.row($1)[other]) }
        let right = (0..<golden.columns).reduce(0.0) { $0 + Double(found.right.row(one)[$1]) * Double(found.right.row(other)[$1]) }
        #expect(abs(left - expected) < 1e-5 && abs(right - expected) < 1e-5, "\(one) \(other): \(left) \(right)")
      }
    }
  }

  @Test func exactRanksAreFoundExactly() throws {
    for golden in try Self.goldens() where golden.error < 1e-5 * golden.norm {
      let matrix = golden.matrix
      let found = try TruncatedSVD(matrix, named: "w", rank: golden.rank, seed: 1, pool: ThreadPool(threads: 1))
      #expect(LowRankMatrices.distance(matrix, product(found)) < 1e-5 * golden.norm, "\(golden.name)")
    }
  }

  @Test func threadsDoNotChangeABit() throws {
    let matrix = LowRankMatrices.matrix(290, 410, seed: 3, terms: 200, decay: 0.5, noise: 0.2)
    let found = try [1, 2, 3].map { try TruncatedSVD(matrix, named: "w", rank: 140, seed: 5, pool: ThreadPool(threads: $0)) }
    for other in found.dropFirst() {
      #expect(other.singularValues == found[0].singularValues)
      #expect(LowRankMatrices.bits(other.left) == LowRankMatrices.bits(found[0].left))
      #expect(LowRankMatrices.bits(other.right) == LowRankMatrices.bits(found[0].right))
    }
    let reseeded = try TruncatedSVD(matrix, named: "w", rank: 140, seed: 6, pool: ThreadPool(threads: 2))
    #expect(LowRankMatrices.bits(reseeded.left) != LowRankMatrices.bits(found[0].left))
    let (error, other) = (
      LowRankMatrices.distance(matrix, product(found[0])), LowRankMatrices.distance(matrix, product(reseeded))
    )
    #expect(abs(error / other - 1) < 1e-3)
  }

  /// Sizes of numbers do not matter, as far as float32 goes; a matrix of zeros has zeros.
  @Test func extremeSizesAreHeld() throws {
    let pool = ThreadPool(threads: 2)
    let matrix = LowRankMatrices.matrix(40, 70, seed: 3, terms: 40, decay: 1, noise: 0)
    let plain = try TruncatedSVD(matrix, named: "w", rank: 6, seed: 5, pool: pool)
    for exponent in [Float(0x1p-60), 0x1p60] {
      let found = try TruncatedSVD(matrix.scaled(by: exponent), named: "w", rank: 6, seed: 5, pool: pool)
      for (value, expected) in zip(found.singularValues, plain.singularValues) {
        #expect(abs(value / Double(exponent) / expected - 1) < 1e-6)
      }
    }
    let none = try TruncatedSVD(Matrix(rows: 9, columns: 5), named: "w", rank: 3, seed: 5, pool: pool)
    #expect(none.singularValues == [0, 0, 0] && none.left.squaredNorm == 0 && none.right.squaredNorm == 0)
  }

  @Test func whatHasNoAnswerIsRefusedByName() throws {
    let pool = ThreadPool(threads: 1)
    let matrix = LowRankMatrices.matrix(6, 9, seed: 1, terms: 0, decay: 0, noise: 1)
    for rank in [0, -1, 7] {
      let error = #expect(throws: CompressionError.self) { try TruncatedSVD(matrix, named: "w", rank: rank, seed: 0, pool: pool) }
      #expect(error?.subject == "w" && error?.kind == .usage)
    }
    for value in [Float.nan, .infinity] {
      matrix.pointer[4] = value
      let error = #expect(throws: CompressionError.self) { try TruncatedSVD(matrix, named: "w", rank: 2, seed: 0, pool: pool) }
      #expect(error?.subject == "w" && error?.kind == .badData)
    }
  }
}
