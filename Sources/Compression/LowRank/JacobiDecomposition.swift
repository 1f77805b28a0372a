import Execution

/// The singular value decomposition of a small square matrix in double, `M = X · diag(S) · Pᵀ`, by rotations of pairs of its columns until
/// all are orthogonal (one-sided Jacobi, Hestenes 1958). Pairs of a round share no column, so that threads may take them in any order.
struct JacobiDecomposition {
  /// Falling.
  let singularValues: [Double]
  /// Columns of X and of P as rows, in the order of the values; a column of X whose value is 0 is 0.
  let left: [[Double]]
  let right: [[Double]]

  private static let sweeps = 40
  /// Cosine of two columns that count as orthogonal.
  private static let orthogonality = 1e-13

  /// - Parameter matrix: `[size, size]`, row-major, finite.
  init(_ matrix: [Double], size: Int, pool: ThreadPool) {
    // Columns lie in vectors, the last filled up with zeros; behind each of M stands its column of P.
    let width = (size + 3) / 4
    var columns = [SIMD4<Double>](repeating: .zero, count: 2 * width * size)
    for column in 0..<size {
      for row in 0..<size { columns[2 * width * column + row / 4][row % 4] = matrix[row * size + column] }
      columns[2 * width * column + width + column / 4][column % 4] = 1
    }
    columns.withUnsafeMutableBufferPointer { Self.rotate($0, size: size, width: width, pool: pool) }
    let norms = (0..<size).map { column in
      columns[2 * width * column..<2 * width * column + width].reduce(0.0) { $0 + ($1 * $1).sum() }.squareRoot()
    }
    let order = norms.indices.sorted { norms[$0] == norms[$1] ? $0 < $1 : norms[$0] > norms[$1] }
    singularValues = order.map { norms[$0] }
    left = order.map { column in
      let factor = norms[column] > 0 ? 1 / norms[column] : 0
      return (0..<size).map { columns[2 * width * column + $0 / 4][$0 % 4] * factor }
    }
    right = order.map { column in (0..<size).map { columns[2 * width * column + width + $0 / 4][$0 % 4] } }
  }

  /// Sweeps over all pairs in the rounds of a round-robin tournament.
  private static func rotate(_ columns: UnsafeMutableBufferPointer<SIMD4<Double>>, size: Int, width: Int, pool: ThreadPool) {
    guard size > 1, let address = columns.baseAddress else { return }
    nonisolated(unsafe) let start = address
    let players = size + size % 2
    var rotated = [Bool](repeating: false, count: players / 2)
    for _ in 0..<sweeps {
      var isDone = true
      for round in 0..<players - 1 {
        rotated.withUnsafeMutableBufferPointer { rotated in
          guard let address = rotated.baseAddress else { return }
          nonisolated(unsafe) let flags = address
          // Threads gain nothing below some thousand numbers.
          pool.ranges(of: players / 2, grain: max(1, 4096 / (4 * width))) { range in
            for pair in range {
              let one = pair == 0 ? players - 1 : (round + pair) % (players - 1)
              let other = (round + players - 1 - pair) % (players - 1)
              let (low, high) = (min(one, other), max(one, other))
              flags[pair] = high < size && rotate(start + 2 * width * low, start + 2 * width * high, width: width)
            }
          }
        }
        if rotated.contains(true) { isDone = false }
      }
      if isDone { return }
    }
  }

  /// Makes two columns orthogonal, the longer one first.
  ///
  /// - Returns: whether they were not.
  private static func rotate(
    _ first: UnsafeMutablePointer<SIMD4<Double>>, _ second: UnsafeMutablePointer<SIMD4<Double>>, width: Int
  ) -> Bool {
    var (squares, others, products) = (SIMD4<Double>.zero, SIMD4<Double>.zero, SIMD4<Double>.zero)
    for index in 0..<width {
      let (x, y) = (first[index], second[index])
      squares += x * x
      others += y * y
      products += x * y
    }
    let (a, b, c) = (squares.sum(), others.sum(), products.sum())
    guard abs(c) > orthogonality * (a * b).squareRoot() else { return false }
    let zeta = (b - a) / (2 * c)
    let tangent = (zeta < 0 ? -1 : 1) / (abs(zeta) + (1 + zeta * zeta).squareRoot())
    let cosine = 1 / (1 + tangent * tangent).squareRoot()
    let sine = cosine * tangent
    for index in 0..<2 * width {
      let (x, y) = (first[index], second[index])
      first[index] = x * cosine - y * sine
      second[index] = x * sine + y * cosine
    }
    return true
  }
}
