import Execution
import Foundation
import Tensors

@testable import Compression

/// Matrices that the tests of low-rank approximation share, and what they measure on them.
enum LowRankMatrices {
  /// As make-low-rank-golden.py draws them.
  static func matrix(
    _ rows: Int, _ columns: Int, seed: UInt64, terms: Int, decay: Double, noise: Double, outlier: Double = 1
  ) -> Matrix {
    func numbers(_ seed: UInt64, _ count: Int) -> [Double] {
      var random = SeededRandom(seed: seed)
      return (0..<count).map { _ in 2 * random.nextUnit() - 1 }
    }
    var values = numbers(3 * seed, rows * columns).map { noise * $0 }
    let (left, right) = (numbers(3 * seed + 1, rows * terms), numbers(3 * seed + 2, terms * columns))
    for row in 0..<rows {
      for term in 0..<terms {
        let factor = left[row * terms + term] * pow(Double(term + 1), -decay)
        for column in 0..<columns { values[row * columns + column] += factor * right[term * columns + column] }
      }
    }
    let result = Matrix(rows: rows, columns: columns)
    for (index, value) in values.enumerated() { result.pointer[index] = Float(index % columns % 37 == 0 ? value * outlier : value) }
    return result
  }

  /// `left · diag(factors) · right`, in double.
  static func product(_ left: Matrix, _ right: Matrix, _ factors: [Double]) -> Matrix {
    let result = Matrix(rows: left.rows, columns: right.columns)
    for row in 0..<left.rows {
      var sums = [Double](repeating: 0, count: right.columns)
      for part in 0..<left.columns {
        let factor = Double(left.row(row)[part]) * factors[part]
        let line = right.row(part)
        for column in sums.indices { sums[column] += factor * Double(line[column]) }
      }
      for column in sums.indices { result.row(row)[column] = Float(sums[column]) }
    }
    return result
  }

  /// ‖a − b‖.
  static func distance(_ a: Matrix, _ b: Matrix) -> Double {
    (0..<a.rows * a.columns).reduce(0.0) { sum, index in
      let rest = Double(a.pointer[index]) - Double(b.pointer[index])
      return sum + rest * rest
    }.squareRoot()
  }

  static func bits(_ matrix: Matrix) -> [UInt32] { (0..<matrix.rows * matrix.columns).map { matrix.pointer[$0].bitPattern } }
}
