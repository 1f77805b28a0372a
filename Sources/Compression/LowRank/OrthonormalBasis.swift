import Execution

/// Orthonormal columns for tall matrices by Cholesky factors of their Gram matrices in double, twice: the second pass mends what float32
/// lost in the first (CholeskyQR2, Yamamoto et al. 2015).
enum OrthonormalBasis {
  /// A column that others leave less of than this share of the largest one, squared, is noise of float32.
  private static let noise = 1e-13

  /// A matrix `[rows, columns]` whose columns span those of `matrix`, orthonormal; a column that depends on those before it becomes 0.
  static func columns(of matrix: Matrix, pool: ThreadPool) -> Matrix {
    var basis = matrix
    for _ in 0..<2 {
      basis = basis.times(inverseFactor(ofGram: products(basis, basis, isSymmetric: true, pool: pool), basis.columns), pool: pool)
    }
    return basis
  }

  /// `leftᵀ · right` in double, row-major: sums over rows in their order.
  ///
  /// - Parameter isSymmetric: whether only the upper triangle is wanted; the rest is then 0.
  static func products(_ left: Matrix, _ right: Matrix, isSymmetric: Bool = false, pool: ThreadPool) -> [Double] {
    let (height, width, group) = (left.columns, right.columns, 8)
    var result = [Double](repeating: 0, count: height * width)
    result.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      // Every task writes the rows it was given, and only those.
      nonisolated(unsafe) let target = start
      pool.run((height + group - 1) / group) { task, _ in
        let rows = task * group..<min(height, (task + 1) * group)
        // Four rows at a time: the sums are read and written a quarter as often.
        for line in stride(from: 0, to: left.rows & ~3, by: 4) {
          let (x0, x1, x2, x3) = (left.row(line), left.row(line + 1), left.row(line + 2), left.row(line + 3))
          let (y0, y1, y2, y3) = (right.row(line), right.row(line + 1), right.row(line + 2), right.row(line + 3))
          for row in rows {
            let (a, b, c, d, sums) = (Double(x0[row]), Double(x1[row]), Double(x2[row]), Double(x3[row]), target + row * width)
            for column in (isSymmetric ? row : 0)..<width {
              sums[column] += (a * Double(y0[column]) + b * Double(y1[column])) + (c * Double(y2[column]) + d * Double(y3[column]))
            }
          }
        }
        for line in left.rows & ~3..<left.rows {
          let (x, y) = (left.row(line), right.row(line))
          for row in rows {
            let (factor, sums) = (Double(x[row]), target + row * width)
            for column in (isSymmetric ? row : 0)..<width { sums[column] += factor * Double(y[column]) }
          }
        }
      }
    }
    return result
  }

  /// `R⁻¹` for a Gram matrix `RᵀR` (its upper triangle), columns of R whose pivot is noise left out: 0 there.
  private static func inverseFactor(ofGram gram: [Double], _ size: Int) -> Matrix {
    var (values, inverted) = (gram, [Double](repeating: 0, count: size * size))
    let floor = (0..<size).reduce(0.0) { max($0, gram[$1 * size + $1]) } * noise
    values.withUnsafeMutableBufferPointer { values in
      guard let factor = values.baseAddress else { return }
      for pivot in 0..<size {
        let (line, square) = (factor + pivot * size, factor[pivot * size + pivot])
        let share = square > floor ? 1 / square.squareRoot() : 0
        for column in pivot..<size { line[column] *= share }
        guard share > 0 else { continue }
        for row in stride(from: pivot + 1, to: size, by: 1) {
          let (target, share) = (factor + row * size, line[row])
          for column in row..<size { target[column] -= share * line[column] }
        }
      }
      // Row by row from the last: (R⁻¹)[i, j] = (δ[i, j] − Σ R[i, k] (R⁻¹)[k, j]) / R[i, i].
      inverted.withUnsafeMutableBufferPointer { inverted in
        guard let inverse = inverted.baseAddress else { return }
        for row in (0..<size).reversed() {
          let (target, pivot) = (inverse + row * size, factor[row * size + row])
          guard pivot > 0 else { continue }
          target[row] = 1 / pivot
          for later in stride(from: row + 1, to: size, by: 1) {
            let (source, share) = (inverse + later * size, factor[row * size + later] / pivot)
            for column in later..<size { target[column] -= share * source[column] }
          }
        }
      }
    }
    let result = Matrix(rows: size, columns: size)
    for index in inverted.indices { result.pointer[index] = Float(inverted[index]) }
    return result
  }
}
