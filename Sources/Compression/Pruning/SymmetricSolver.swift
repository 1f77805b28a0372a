import CKernels
import Execution

/// Solves `x · H = y` for many rows, H symmetric and positive definite, by its factor `H = Mᵀ D M`.
struct SymmetricSolver {
  private let factor: Matrix
  private let pivots: [Float]
  private static let block = TriangularFactor.blockRows
  /// Rows that one task takes.
  private static let rows = 64

  /// - Parameter matrix: H, its lower triangle; its memory is taken.
  /// - Returns: nil when H is not positive definite to float32's accuracy.
  init?(_ matrix: Matrix, pool: ThreadPool) {
    guard let pivots = TriangularFactor(matrix: matrix, pool: pool).factor() else { return nil }
    (factor, self.pivots) = (matrix, pivots)
  }

  /// Puts the solutions in the place of the right-hand sides, `[rows, n]`.
  func solve(_ sides: Matrix, pool: ThreadPool) {
    let n = factor.columns
    let products = max(Int(dso_gradient_product_scratch_bytes()), productScratch)
    let room = (Self.rows * Self.block * MemoryLayout<Float>.stride + 63) / 64 * 64
    pool.run((sides.rows + Self.rows - 1) / Self.rows, scratchBytes: room + products) { task, scratch in
      let begin = task * Self.rows, count = min(Self.rows, sides.rows - begin)
      let update = scratch.assumingMemoryBound(to: Float.self)
      let x = sides.row(begin)
      for start in stride(from: 0, to: n, by: Self.block).reversed() {
        let width = min(Self.block, n - start), end = start + width
        if end < n {
          var below = view(rows: end..<n, columns: start..<end)
          dso_matmul_nn_f32(
            x + end, Int64(n), Int64(count), &below, 0, Int64(width), 0, update, Int64(width), scratch + room)
          subtract(update, width, from: x + start, n, count)
        }
        dso_solve_unit_rows(x + start, Int64(n), Int64(count), factor.row(start) + start, Int64(n), Int64(width), 1)
      }
      for row in 0..<count { for column in 0..<n { x[row * n + column] /= pivots[column] } }
      for start in stride(from: 0, to: n, by: Self.block) {
        let width = min(Self.block, n - start)
        if start > 0 {
          var left = view(rows: start..<start + width, columns: 0..<start)
          dso_matmul_f32(x, Int64(n), Int64(count), &left, 0, Int64(width), nil, update, Int64(width), scratch + room)
          subtract(update, width, from: x + start, n, count)
        }
        dso_solve_unit_rows(x + start, Int64(n), Int64(count), factor.row(start) + start, Int64(n), Int64(width), 0)
      }
    }
  }

  private var productScratch: Int {
    var whole = view(rows: 0..<factor.rows, columns: 0..<factor.columns)
    return Int(dso_matmul_scratch_bytes(&whole))
  }

  /// A part of M; of the triangle above the diagonal nothing is read.
  private func view(rows: Range<Int>, columns: Range<Int>) -> dso_weights {
    var view = dso_weights()
    view.storage = DSO_STORAGE_F32
    view.data = UnsafeRawPointer(factor.row(rows.lowerBound) + columns.lowerBound)
    view.n = Int64(rows.count)
    view.k = Int64(columns.count)
    view.row_bytes = Int64(factor.columns * MemoryLayout<Float>.stride)
    return view
  }

  private func subtract(_ update: UnsafePointer<Float>, _ width: Int, from x: UnsafeMutablePointer<Float>, _ ld: Int, _ rows: Int) {
    for row in 0..<rows { dso_subtract(x + row * ld, update + row * width, Int64(width)) }
  }
}
