import CKernels

/// Keys or values in int8: codes `[rows, heads · dimension]` and a scale for each row and head, `[rows, heads]`.
final class QuantizedHeads: @unchecked Sendable {
  let rows: Int
  let heads: Int
  let dimension: Int
  let codes: UnsafeMutablePointer<Int8>
  let scales: UnsafeMutablePointer<Float>

  init(rows: Int, heads: Int, dimension: Int) {
    self.rows = rows
    self.heads = heads
    self.dimension = dimension
    codes = .allocate(capacity: max(1, rows * heads * dimension))
    scales = .allocate(capacity: max(1, rows * heads))
  }

  deinit {
    codes.deallocate()
    scales.deallocate()
  }

  private var width: Int { heads * dimension }
  var bytesPerToken: Int { width + heads * MemoryLayout<Float>.stride }

  func copy(from other: QuantizedHeads, rows: Int) {
    codes.update(from: other.codes, count: rows * width)
    scales.update(from: other.scales, count: rows * heads)
  }

  /// Quantizes the rows of `matrix` into the rows from `row` on.
  func store(_ matrix: Matrix, at row: Int, pool: ThreadPool) {
    pool.ranges(of: matrix.rows, grain: max(1, 8192 / max(1, width))) { range in
      let first = row + range.lowerBound
      dso_quantize_heads_s8(
        matrix.row(range.lowerBound), Int64(matrix.columns), Int64(range.count), Int64(heads), Int64(dimension), codes + first * width,
        Int64(width), scales + first * heads, Int64(heads))
    }
  }

  /// One head of the tokens from `row` on, as the kernels take it.
  func view(head: Int, row: Int) -> dso_quantized_head {
    dso_quantized_head(
      codes: codes + row * width + head * dimension, ld: Int64(width), scales: scales + row * heads + head, ld_scales: Int64(heads))
  }
}
