import CKernels
import Tensors

/// Operands of products in float16: rounded values beside the originals, which stay as they are. Sums are float32.
extension Interpreter {
  /// Rows of a matrix, each value rounded to float16; what is beyond its range becomes infinity.
  func roundedToHalf(_ x: Matrix, rows: Range<Int>) -> Matrix {
    let result = Matrix(uninitializedRows: rows.count, columns: x.columns)
    pool.run(rows.count, scratchBytes: x.columns * 2) { row, scratch in
      let halves = scratch.assumingMemoryBound(to: UInt16.self)
      dso_convert_f32_to_f16(x.row(rows.lowerBound + row), halves, Int64(x.columns))
      dso_convert_f16_to_f32(halves, result.row(row), Int64(x.columns))
    }
    return result
  }
}

/// A weight of any storage as float16, for the time of one product.
final class HalfWeight: @unchecked Sendable {
  private let values: UnsafeMutablePointer<UInt16>
  private(set) var view: dso_weights

  init(_ weight: LoadedParameter, pool: ThreadPool) {
    var view = weight.view
    let (rows, columns) = (Int(view.n), Int(view.k))
    let memory = UnsafeMutablePointer<UInt16>.allocate(capacity: rows * columns + 64)
    values = memory
    // Kernels load whole vectors.
    (memory + rows * columns).initialize(repeating: 0, count: 64)
    nonisolated(unsafe) let halves = memory
    pool.run(rows, scratchBytes: columns * 4) { row, scratch in
      let wide = scratch.assumingMemoryBound(to: Float.self)
      weight.copyRow(row, to: wide)
      dso_convert_f32_to_f16(wide, halves + row * columns, Int64(columns))
    }
    view = dso_weights()
    (view.storage, view.n, view.k, view.row_bytes) = (DSO_STORAGE_F16, Int64(rows), Int64(columns), Int64(columns * 2))
    view.data = UnsafeRawPointer(memory)
    self.view = view
  }

  deinit { values.deallocate() }
}
