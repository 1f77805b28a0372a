import Execution
import Tensors

@testable import Compression

/// A weight, inputs and output gradients that are correlated, and the quadratic form of its rounding in double.
struct FeedbackProblem {
  let weight: Matrix
  let inputs: Matrix
  let gradients: Matrix
  let pool: ThreadPool

  init(rows: Int, columns: Int, tokens: Int = 500, pool: ThreadPool = ThreadPool(threads: 2)) {
    self.pool = pool
    inputs = Self.correlated(tokens, columns, seed: 5)
    gradients = Self.correlated(tokens, rows, seed: 6)
    weight = Matrix(rows: rows, columns: columns)
    var random = SeededRandom(seed: 9)
    for index in 0..<rows * columns {
      weight.pointer[index] = Float(random.nextUnit() + random.nextUnit() + random.nextUnit() - 1.5)
    }
  }

  /// x[j] = 0.8 · x[j−1] + noise, with sizes of their own.
  static func correlated(_ tokens: Int, _ width: Int, seed: UInt64) -> Matrix {
    var random = SeededRandom(seed: seed)
    let sizes = (0..<width).map { _ in 0.2 + random.nextUnit() }
    let result = Matrix(rows: tokens, columns: width)
    for token in 0..<tokens {
      var state = 0.0
      for index in 0..<width {
        state = 0.8 * state + random.nextUnit() - 0.5
        result.row(token)[index] = Float(state * sizes[index])
      }
    }
    return result
  }

  func grids(bits: Int, symmetric: Bool = true, group: Int = 48) throws -> GridTable {
    try GridTable(
      rule: .signedAbsmax, weight: .matrix(weight), named: "w",
      scheme: QuantizationScheme(bits: bits, symmetric: symmetric, granularity: .group(group)), pool: pool)
  }

  func inputFactor(damping: Float = 0.01) throws -> FeedbackFactor { try factor(inputs, damping) }
  func outputFactor(damping: Float = 0.1) throws -> FeedbackFactor { try factor(gradients, damping) }

  private func factor(_ x: Matrix, _ damping: Float) throws -> FeedbackFactor {
    let gram = GramMatrix(inputs: x.columns)
    try gram.accumulate(x, pool: pool)
    return try FeedbackFactor(of: gram, named: "w", options: .init(damping: damping), pool: pool)
  }

  /// `Σ x xᵀ` with its damping on the diagonal, in double, in the order given.
  static func damped(_ x: Matrix, damping: Double, order: [Int32]) -> [[Double]] {
    let n = x.columns
    var h = [[Double]](repeating: [Double](repeating: 0, count: n), count: n)
    for token in 0..<x.rows {
      for i in 0..<n { for j in 0..<n { h[i][j] += Double(x.row(token)[Int(order[i])]) * Double(x.row(token)[Int(order[j])]) } }
    }
    let mean = (0..<n).reduce(0) { $0 + h[$1][$1] } / Double(n)
    for i in 0..<n { h[i][i] += damping * mean }
    return h
  }

  /// M of H = Mᵀ D M, unit lower triangular.
  static func factor(_ matrix: [[Double]]) -> [[Double]] {
    var h = matrix
    for i in h.indices.reversed() {
      let row = h[i].map { $0 / h[i][i] }
      for a in 0..<i { for b in 0..<i { h[a][b] -= row[a] * h[i][b] } }
      h[i] = row
    }
    return h
  }

  /// E = W − Q in the order given, `[rows][columns]`.
  func errors(_ codes: [UInt8], _ grids: GridTable, rows: [Int32], columns: [Int32]) -> [[Double]] {
    let half = 1 << (grids.scheme.bits - 1)
    return rows.map { row in
      columns.map { column in
        let place = Int(row) * grids.groups + Int(column) / grids.groupSize
        let code = Int(codes[Int(row) * weight.columns + Int(column)]) - half - Int(grids.zeroPoints[place])
        return Double(weight.row(Int(row))[Int(column)]) - Double(code) * Double(grids.scales[place])
      }
    }
  }

  static func product(_ a: [[Double]], _ b: [[Double]]) -> [[Double]] {
    a.map { row in
      var sum = [Double](repeating: 0, count: b.first?.count ?? 0)
      for (factor, other) in zip(row, b) where factor != 0 { for j in sum.indices { sum[j] += factor * other[j] } }
      return sum
    }
  }

  /// `tr(G E H Eᵀ)`; G = 1 when nil.
  static func objective(_ e: [[Double]], h: [[Double]], g: [[Double]]?) -> Double {
    let slope = product(g.map { product($0, e) } ?? e, h)
    return zip(e, slope).reduce(0) { $0 + zip($1.0, $1.1).reduce(0) { $0 + $1.0 * $1.1 } }
  }
}

extension ErrorFeedback {
  /// The same for a weight that shares its inputs with no other. Leaves the Gram matrix as it is.
  func quantize(
    _ weight: WeightRows, named name: String, grids: GridTable, gram: GramMatrix, options: FeedbackFactor.Options = .init(),
    pool: ThreadPool
  ) throws -> Result {
    let factor = try FeedbackFactor(of: gram.copy(), named: name, options: options, pool: pool)
    return try quantize(weight, named: name, grids: grids, factor: factor, pool: pool)
  }
}
