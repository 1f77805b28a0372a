import CKernels
import Execution
import Tensors

/// Moves a weight towards what makes good, on the inputs that compressed blocks leave, the outputs it had on the original ones.
///
/// With x the input in the uncompressed model and x̂ the one behind compressed blocks, W + W·E[(x − x̂) x̂ᵀ]·(E[x̂ x̂ᵀ] + d·I)⁻¹ is the
/// weight whose outputs on x̂ are nearest to W·x (the idea of GPTAQ, Li et al. 2025, as a correction of the target before rounding). All of
/// that step overfits the calibration text; the share λ in 0...1 that serves held-out tokens best is known in closed form, since the error
/// there is a parabola in λ.
struct Retargeting {
  /// Of Σ x̂ x̂ᵀ over all tokens.
  let factor: FeedbackFactor
  /// Σ (x − x̂) x̂ᵀ over the tokens that the step is found on, and what they weigh.
  let cross: Matrix
  let trainingWeight: Double
  /// The same, and Σ x̂ x̂ᵀ, over held-out tokens.
  let heldOutCross: Matrix
  let heldOutGram: Matrix
  let pool: ThreadPool

  init(factor: FeedbackFactor, statistics: CrossStatistics, pool: ThreadPool) {
    self.init(
      factor: factor, cross: statistics.cross, trainingWeight: statistics.trainingWeight, heldOutCross: statistics.heldOutCross,
      heldOutGram: statistics.heldOutGram.symmetric(pool: pool), pool: pool)
  }

  init(factor: FeedbackFactor, cross: Matrix, trainingWeight: Double, heldOutCross: Matrix, heldOutGram: Matrix, pool: ThreadPool) {
    self.factor = factor
    self.cross = cross
    self.trainingWeight = trainingWeight
    self.heldOutCross = heldOutCross
    self.heldOutGram = heldOutGram
    self.pool = pool
  }

  struct Outcome {
    let weight: Matrix
    /// λ; 0 where the weight stays as it is.
    let share: Double
    /// False where the inputs are what they were, so that there is nothing to move for.
    let isNeeded: Bool
  }

  func move(_ weight: WeightRows) -> Outcome {
    let (rows, n) = (weight.rows, weight.columns)
    let original = Matrix(rows: rows, columns: n)
    for row in 0..<rows { weight.read(row: row, into: original.row(row)) }
    guard factor.hasFactor, trainingWeight > 0 else { return Outcome(weight: original, share: 0, isNeeded: false) }
    let step = solve(product(original, cross))
    // The factor is of all tokens, the cross sums of some.
    scale(step.pointer, count: rows * n, by: Float(factor.totalWeight / trainingWeight))
    let along = product(original, heldOutCross)
    let spread = product(step, heldOutGram)
    let (gain, cost) = (Self.dot(along, step), Self.dot(spread, step))
    guard cost > 0, gain > 0 else { return Outcome(weight: original, share: 0, isNeeded: cost != 0) }
    let share = min(1, gain / cost)
    let ones = [Float](repeating: Float(share), count: n)
    pool.run(rows) { row, _ in
      dso_scale_elements(step.row(row), ones, 1, Int64(n))
      dso_add(step.row(row), original.row(row), Int64(n))
    }
    return Outcome(weight: original, share: share, isNeeded: true)
  }

  private static func dot(_ a: Matrix, _ b: Matrix) -> Double {
    dso_inner_product(a.pointer, b.pointer, Int64(a.rows * a.columns))
  }

  /// left · right
  private func product(_ left: Matrix, _ right: Matrix) -> Matrix {
    let result = Matrix(rows: left.rows, columns: right.columns)
    var product = dso_outer_product(
      x: left.pointer, left.columns, y: right.pointer, right.columns, depth: left.columns, into: result.pointer, right.columns)
    product.x_by_rows = 1
    OuterProducts.accumulate(product, rows: left.rows, columns: right.columns, pool: pool)
    return result
  }

  /// a · (H + d·I)⁻¹ by the two triangular systems of H = Mᵀ D M, for all rows of a at once.
  private func solve(_ a: Matrix) -> Matrix {
    let (rows, n) = (a.rows, a.columns)
    let ld = (rows + 15) / 16 * 16
    // Column-major in processing order. Solved columns are kept negated, so that they are added where they are to be taken away.
    let columns = Matrix(rows: n, columns: ld)
    for row in stride(from: 0, to: rows, by: 16) {
      dso_gather_columns(
        a.row(row), Int64(n), Int64(min(16, rows - row)), factor.order, Int64(n), columns.pointer + row, Int64(ld))
    }
    substitute(columns, places: (0..<n).reversed(), fromBelow: true)
    for place in 0..<n { scale(columns.row(place), count: ld, by: -1 / factor.pivots[place]) }
    substitute(columns, places: Array(0..<n), fromBelow: false)
    let result = Matrix(rows: rows, columns: n)
    let order = factor.order
    pool.ranges(of: rows, grain: 16) { range in
      for row in range {
        let target = result.row(row)
        for place in 0..<n { target[Int(order[place])] = -columns.row(place)[row] }
      }
    }
    return result
  }

  /// Solves Mᵀ z = a from the last place, or M y = u from the first, leaving −z or −y.
  private func substitute(_ columns: Matrix, places: [Int], fromBelow: Bool) {
    let (n, ld) = (columns.rows, columns.columns)
    let block = 64
    for first in stride(from: 0, to: n, by: block) {
      let own = places[first..<min(n, first + block)]
      guard let low = own.min() else { continue }
      let high = low + own.count
      // What solved blocks say of all of this one.
      var product =
        fromBelow
        ? dso_outer_product(
          x: factor.matrix.pointer + high * n + low, n, y: columns.pointer + high * ld, ld, depth: n - high, into: columns.row(low), ld)
        : dso_outer_product(x: factor.matrix.row(low), n, y: columns.pointer, ld, depth: low, into: columns.row(low), ld)
      product.x_by_rows = fromBelow ? 0 : 1
      OuterProducts.accumulate(product, rows: own.count, columns: ld, pool: pool)
      for place in own {
        let depth = fromBelow ? high - place - 1 : place - low
        let start = fromBelow ? place + 1 : low
        var product =
          fromBelow
          ? dso_outer_product(
            x: factor.matrix.pointer + start * n + place, n, y: columns.pointer + start * ld, ld, depth: depth, into: columns.row(place),
            ld)
          : dso_outer_product(
            x: factor.matrix.row(place) + start, n, y: columns.row(start), ld, depth: depth, into: columns.row(place), ld)
        product.x_by_rows = fromBelow ? 0 : 1
        OuterProducts.accumulate(product, rows: 1, columns: ld, pool: pool)
        scale(columns.row(place), count: ld, by: -1)
      }
    }
  }

  private func scale(_ x: UnsafeMutablePointer<Float>, count: Int, by factor: Float) {
    for start in stride(from: 0, to: count, by: Self.unit.count) {
      dso_scale_elements(x + start, Self.unit, factor, Int64(min(Self.unit.count, count - start)))
    }
  }

  private static let unit = [Float](repeating: 1, count: 1024)
}
