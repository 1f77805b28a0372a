import CKernels
import Execution

/// Sums of outer products over the threads of a pool: Gram matrices and what is built from them.
enum OuterProducts {
  /// Runs a product over all of `[rows, columns]`; with `product.lower`, over the lower triangle. Every element is summed in one order.
  static func accumulate(_ product: dso_outer_product, rows: Int, columns: Int, pool: ThreadPool) {
    accumulate(product, rows: 0..<rows, columns: columns, pool: pool)
  }

  /// Runs a product over some rows of them alone.
  static func accumulate(_ product: dso_outer_product, rows: Range<Int>, columns: Int, pool: ThreadPool) {
    let (height, width) = (Int(dso_outer_tile_rows()), Int(dso_outer_tile_columns()))
    var tiles: [(row: Int, column: Int)] = []
    for row in stride(from: rows.lowerBound, to: rows.upperBound, by: height) {
      for column in stride(from: 0, to: columns, by: width) where product.lower == 0 || column < row + height {
        tiles.append((row, column))
      }
    }
    nonisolated(unsafe) let product = product
    pool.run(tiles.count, scratchBytes: Int(dso_outer_scratch_bytes())) { index, scratch in
      let tile = tiles[index]
      var part = product
      dso_accumulate_outer(
        &part, Int64(tile.row), Int64(min(rows.upperBound, tile.row + height)), Int64(tile.column),
        Int64(min(columns, tile.column + width)), scratch)
    }
  }
}

extension dso_outer_product {
  /// `C[i, j] += Σₜ x[t, i] · weights[t] · y[t, j]` for row-major matrices.
  init(
    x: UnsafePointer<Float>, _ ldx: Int, y: UnsafePointer<Float>, _ ldy: Int, depth: Int, weights: UnsafePointer<Float>? = nil,
    into c: UnsafeMutablePointer<Float>, _ ldc: Int, lower: Bool = false
  ) {
    self.init(
      x: x, ldx: Int64(ldx), x_by_rows: 0, y: y, ldy: Int64(ldy), depth: Int64(depth), weights: weights, c: c, ldc: Int64(ldc),
      lower: lower ? 1 : 0)
  }
}
