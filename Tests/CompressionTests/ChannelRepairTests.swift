import Execution
import Foundation
import Tensors
import Testing

@testable import Compression

/// The closed form against plain arithmetic in double.
@Suite struct ChannelRepairTests {
  private let pool = ThreadPool(threads: 2)

  private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    var random = SeededRandom(seed: seed)
    let matrix = Matrix(rows: rows, columns: columns)
    for index in 0..<rows * columns { matrix.pointer[index] = Float(2 * random.nextUnit() - 1) }
    return matrix
  }

  private func gram(_ x: Matrix) -> Matrix { x.transposedTimes(x, pool: pool) }

  @Test(arguments: [1, 5, 130, 300], [1, 3, 70]) func symmetricSystemsAreSolved(_ size: Int, _ count: Int) throws {
    let x = random(2 * size + 8, size, seed: UInt64(size))
    let matrix = gram(x), sides = random(count, size, seed: 9)
    let solver = try #require(SymmetricSolver(matrix.copy(rows: 0..<size), pool: pool))
    let found = sides.copy(rows: 0..<count)
    solver.solve(found, pool: pool)
    let back = found.times(matrix, pool: pool)
    let worst = (0..<count * size).map { abs(back.pointer[$0] - sides.pointer[$0]) }.max() ?? 0
    #expect(worst < 2e-4, "\(worst)")
  }

  @Test func whatIsNotPositiveDefiniteHasNoSolution() {
    let matrix = Matrix(rows: 2, columns: 2)
    for (index, value) in [Float(1), 2, 2, 1].enumerated() { matrix.pointer[index] = value }
    #expect(SymmetricSolver(matrix, pool: pool) == nil)
  }

  /// (C[S, S] + λ) x = b by elimination.
  private func solved(_ matrix: [[Double]], _ side: [Double]) -> [Double] {
    var (a, b) = (matrix, side)
    for pivot in a.indices {
      for row in a.indices where row > pivot {
        let factor = a[row][pivot] / a[pivot][pivot]
        for column in a.indices { a[row][column] -= factor * a[pivot][column] }
        b[row] -= factor * b[pivot]
      }
    }
    for row in a.indices.reversed() {
      for column in a.indices where column > row { b[row] -= a[row][column] * b[column] }
      b[row] /= a[row][row]
    }
    return b
  }

  @Test func repairedWeightsAreTheLeastSquares() throws {
    let (inputs, kept) = (12, [0, 2, 3, 5, 8, 9, 11])
    let x = random(60, inputs, seed: 1), weight = random(4, inputs, seed: 2)
    // Features that go together: otherwise nothing can be made up for.
    for row in 0..<x.rows { for column in 1..<inputs { x.row(row)[column] += 0.7 * x.row(row)[column - 1] } }
    let c = gram(x)
    let outcome = try #require(try ChannelRepair.repair(weight, gram: c, keeping: kept, pool: pool))
    let mean = kept.reduce(0.0) { $0 + Double(c.row($1)[$1]) } / Double(kept.count)
    let square = kept.map { a in kept.map { b in Double(c.row(a)[b]) + (a == b ? Double(ChannelRepair.damping) * mean : 0) } }
    for row in 0..<4 {
      let side = kept.map { column in (0..<inputs).reduce(0.0) { $0 + Double(weight.row(row)[$1]) * Double(c.row($1)[column]) } }
      for (index, value) in solved(square, side).enumerated() {
        #expect(abs(Double(outcome.weight.row(row)[index]) - value) < 1e-4 * (1 + abs(value)))
      }
    }
    /// ‖X Wᵀ − X_S Vᵀ‖² / ‖X Wᵀ‖²
    func error(_ value: (Int, Int) -> Float) -> Double {
      var (difference, whole) = (0.0, 0.0)
      for sample in 0..<x.rows {
        for row in 0..<4 {
          let full = (0..<inputs).reduce(0.0) { $0 + Double(x.row(sample)[$1]) * Double(weight.row(row)[$1]) }
          let part = kept.indices.reduce(0.0) { $0 + Double(x.row(sample)[kept[$1]]) * Double(value(row, $1)) }
          (difference, whole) = (difference + (full - part) * (full - part), whole + full * full)
        }
      }
      return difference / whole
    }
    #expect(abs(outcome.errorBefore - error { weight.row($0)[kept[$1]] }) < 1e-4)
    #expect(abs(outcome.errorAfter - error { outcome.weight.row($0)[$1] }) < 1e-4)
    #expect(outcome.errorAfter < 0.8 * outcome.errorBefore)
  }

  /// Features that are copies of others are made up for completely; without any text nothing can be.
  @Test func copiesAreMadeUpFor() throws {
    let x = random(80, 6, seed: 3), weight = random(5, 6, seed: 4)
    for row in 0..<x.rows { for column in 3..<6 { x.row(row)[column] = x.row(row)[column - 3] } }
    let outcome = try #require(try ChannelRepair.repair(weight, gram: gram(x), keeping: [0, 1, 2], pool: pool))
    #expect(outcome.errorAfter < 1e-4 && outcome.errorBefore > 0.1)
    let silent = try #require(try ChannelRepair.repair(weight, gram: Matrix(rows: 6, columns: 6), keeping: [0, 1, 2], pool: pool))
    #expect(silent.errorBefore == 0 && (0..<15).allSatisfy { silent.weight.pointer[$0].isFinite })
  }
}
