import CKernels
import Execution

/// Comparisons of hidden states of two models on the same tokens.
package enum FeatureProjection {
  /// The matrix P that comes nearest to `P h = t` over all rows: T ᵀH (HᵀH + λ)⁻¹, `[teacher's width, student's width]`.
  /// - Returns: nil where the states leave no solution.
  package static func leastSquares(from student: Matrix, to teacher: Matrix, pool: ThreadPool) -> Matrix? {
    let gram = student.transposedTimes(student, pool: pool)
    let mean = (0..<gram.rows).reduce(0.0) { $0 + Double(gram.row($1)[$1]) } / Double(max(1, gram.rows))
    for index in 0..<gram.rows { gram.row(index)[index] += Float(mean * 1e-3) }
    let sides = teacher.transposedTimes(student, pool: pool)
    guard let solver = SymmetricSolver(gram, pool: pool) else { return nil }
    solver.solve(sides, pool: pool)
    return sides
  }

  /// How alike two sets of features of the same rows are, whatever their bases: linear centred kernel alignment (Kornblith et al. 2019), 0 to 1.
  package static func centeredKernelAlignment(_ first: Matrix, _ second: Matrix, pool: ThreadPool) -> Double {
    let (x, y) = (centered(first), centered(second))
    let cross = x.transposedTimes(y, pool: pool).squaredNorm
    let own = x.transposedTimes(x, pool: pool).squaredNorm.squareRoot(), other = y.transposedTimes(y, pool: pool).squaredNorm.squareRoot()
    return own > 0 && other > 0 ? cross / (own * other) : 0
  }

  private static func centered(_ matrix: Matrix) -> Matrix {
    let result = matrix.copy(rows: 0..<matrix.rows)
    var means = [Double](repeating: 0, count: matrix.columns)
    for row in 0..<matrix.rows { for column in 0..<matrix.columns { means[column] += Double(matrix.row(row)[column]) } }
    for column in means.indices { means[column] /= Double(max(1, matrix.rows)) }
    for row in 0..<matrix.rows { for column in 0..<matrix.columns { result.row(row)[column] -= Float(means[column]) } }
    return result
  }
}
