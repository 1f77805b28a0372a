import Diagnostics
import Execution
import Tensors

/// The leading singular triples of a matrix, `W ≈ U · diag(S) · Vᵀ`, by randomized subspace iteration (Halko, Martinsson and Tropp 2011).
///
/// The error ‖W − U·S·Vᵀ‖ stays within a thousandth of the smallest that the rank allows, down to float32's accuracy; iteration ends when
/// a further pass over W takes next to nothing off it. A basis that would span everything makes it exact. Deterministic, whatever the
/// number of threads. Work beside the products grows with the cube of the rank: meant for ranks up to some hundreds.
struct TruncatedSVD {
  /// U `[rows, rank]`.
  let left: Matrix
  /// S, falling; those of a matrix of lower rank end in zeros or in float32's noise.
  let singularValues: [Double]
  /// Vᵀ `[rank, columns]`.
  let right: Matrix

  /// Passes over W: at least, to let a falling spectrum settle; at most, for spectra that are as good as flat.
  private static let passes = 4...40
  /// The share of the squared error that a pass must take off for another one to follow, and the share of ‖W‖² that may be float32's noise.
  private static let (gain, noise) = (1e-4, 1e-9)

  /// - Parameters:
  ///   - name: the matrix's, for errors.
  ///   - rank: 1 to the smaller dimension.
  ///   - seed: of the directions that iteration starts from.
  /// - Throws: a rank out of range, and values that are not finite or too large to be multiplied.
  init(_ matrix: Matrix, named name: String, rank: Int, seed: UInt64, pool: ThreadPool) throws {
    let smaller = min(matrix.rows, matrix.columns)
    guard rank > 0, rank <= smaller else {
      throw CompressionError(name, "of \(matrix.rows) by \(matrix.columns) has no \(rank) singular values", kind: .usage)
    }
    let total = matrix.squaredNorm
    guard total.isFinite, total < 1e60 else {
      throw CompressionError(name, "has weights that are NaN, infinite or immense", remedy: "repair the checkpoint", kind: .badData)
    }
    guard total > 1e-60 else {
      // Nothing but zeros, or what float32 cannot take the root of.
      (left, right) = (Matrix(rows: matrix.rows, columns: rank), Matrix(rows: rank, columns: matrix.columns))
      singularValues = Array(repeating: 0, count: rank)
      return
    }
    let size = min(smaller, rank + 8 + rank / 4)
    var (outer, projected, basis) = Self.start(matrix, size, seed: seed, pool: pool)
    var captured = projected.squaredNorm
    for pass in 1...Self.passes.upperBound where size < smaller {
      try Interruption.check()
      outer = OrthonormalBasis.columns(of: matrix.times(basis, pool: pool), pool: pool)
      projected = matrix.transposedTimes(outer, pool: pool)
      basis = OrthonormalBasis.columns(of: projected, pool: pool)
      let found = projected.squaredNorm
      let isSettled = found - captured <= Self.gain * max(0, total - found) + Self.noise * total
      captured = found
      if pass >= Self.passes.lowerBound, isSettled { break }
    }
    // W ≈ outer · projectedᵀ, projected = basis · M, M = X S Pᵀ.
    let inner = JacobiDecomposition(OrthonormalBasis.products(basis, projected, pool: pool), size: size, pool: pool)
    let (mixing, rows) = (Matrix(rows: size, columns: rank), Matrix(rows: rank, columns: size))
    for part in 0..<rank {
      for place in 0..<size {
        mixing.row(place)[part] = Float(inner.right[part][place])
        rows.row(part)[place] = Float(inner.left[part][place])
      }
    }
    left = outer.times(mixing, pool: pool)
    right = rows.timesTransposed(basis, pool: pool)
    singularValues = Array(inner.singularValues.prefix(rank))
  }

  /// A first basis Q `[rows, size]`, WᵀQ, and an orthonormal basis of that: from random directions, or from all there are.
  private static func start(
    _ matrix: Matrix, _ size: Int, seed: UInt64, pool: ThreadPool
  ) -> (outer: Matrix, projected: Matrix, basis: Matrix) {
    let outer: Matrix
    switch size {
    case matrix.rows:
      outer = Matrix(rows: size, columns: size)
      for place in 0..<size { outer.row(place)[place] = 1 }
    case matrix.columns: outer = OrthonormalBasis.columns(of: matrix, pool: pool)
    default:
      let directions = Matrix(rows: matrix.columns, columns: size)
      var random = SeededRandom(seed: seed)
      for place in 0..<matrix.columns * size { directions.pointer[place] = Float(2 * random.nextUnit() - 1) }
      outer = OrthonormalBasis.columns(of: matrix.times(directions, pool: pool), pool: pool)
    }
    let projected = matrix.transposedTimes(outer, pool: pool)
    return (outer, projected, OrthonormalBasis.columns(of: projected, pool: pool))
  }
}
