import CKernels
import Execution

/// Products of matrices in float32 over the threads of a pool; how work is cut changes no bit of them.
extension Matrix {
  /// Rows (or columns) that one task takes.
  private static let tile = 128

  /// `self · other`: `[m, k] · [k, n]`.
  func times(_ other: Matrix, pool: ThreadPool) -> Matrix {
    let result = Matrix(rows: rows, columns: other.columns)
    result.addProduct(self, other, pool: pool)
    return result
  }

  /// `self · otherᵀ`: `[m, k] · [n, k]ᵀ`.
  func timesTransposed(_ other: Matrix, pool: ThreadPool) -> Matrix {
    let result = Matrix(rows: rows, columns: other.rows)
    var shape = other.view
    forEachTile(of: other.rows, pool, scratchBytes: Int(dso_matmul_scratch_bytes(&shape))) { range, scratch in
      var view = other.view
      dso_matmul_f32(
        pointer, Int64(columns), Int64(rows), &view, Int64(range.lowerBound), Int64(range.upperBound), nil, result.pointer,
        Int64(result.columns), scratch)
    }
    return result
  }

  /// `selfᵀ · other`: `[k, m]ᵀ · [k, n]`.
  func transposedTimes(_ other: Matrix, pool: ThreadPool) -> Matrix {
    let result = Matrix(rows: columns, columns: other.columns)
    forEachTile(of: columns, pool, scratchBytes: Int(dso_gradient_product_scratch_bytes())) { range, scratch in
      dso_matmul_tn_f32(
        pointer, Int64(columns), Int64(range.lowerBound), Int64(range.upperBound), other.pointer, Int64(other.columns),
        Int64(other.columns), Int64(rows), 0, result.pointer, Int64(result.columns), scratch)
    }
    return result
  }

  /// Adds `left · right`: `[m, k] · [k, n]`.
  func addProduct(_ left: Matrix, _ right: Matrix, pool: ThreadPool) {
    forEachTile(of: rows, pool, scratchBytes: Int(dso_gradient_product_scratch_bytes())) { range, scratch in
      var view = right.view
      dso_matmul_nn_f32(
        left.row(range.lowerBound), Int64(left.columns), Int64(range.count), &view, 0, Int64(columns), 1, row(range.lowerBound),
        Int64(columns), scratch)
    }
  }

  /// Every element times a factor, as a matrix of its own.
  func scaled(by factor: Float) -> Matrix {
    let result = Matrix(rows: rows, columns: columns)
    dso_scaled_copy(pointer, factor, result.pointer, Int64(rows * columns))
    return result
  }

  /// The sum of squares, in double.
  var squaredNorm: Double { dso_sum_squares(pointer, Int64(rows * columns)) }

  /// It holds a pointer only: the matrix must outlive it.
  private var view: dso_weights {
    var view = dso_weights()
    view.storage = DSO_STORAGE_F32
    view.data = UnsafeRawPointer(pointer)
    view.n = Int64(rows)
    view.k = Int64(columns)
    view.row_bytes = Int64(columns * MemoryLayout<Float>.stride)
    return view
  }

  private func forEachTile(
    of count: Int, _ pool: ThreadPool, scratchBytes: Int, _ body: (Range<Int>, UnsafeMutableRawPointer) -> Void
  ) {
    let tile = Self.tile
    pool.run((count + tile - 1) / tile, scratchBytes: scratchBytes) { task, scratch in
      body(task * tile..<min(count, (task + 1) * tile), scratch)
    }
  }
}
