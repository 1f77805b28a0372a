import CKernels

extension Matrix {
  /// Number of elements.
  var values: Int { rows * columns }

  /// Adds another one of the same shape, element by element.
  package func add(_ other: Matrix, pool: ThreadPool) { adds(other, pool: pool) }

  func adds(_ other: Matrix, pool: ThreadPool) {
    pool.ranges(of: values, grain: 16_384) { range in
      dso_add(other.pointer + range.lowerBound, pointer + range.lowerBound, Int64(range.count))
    }
  }
}

extension dso_weights {
  /// A float32 matrix `[outputs, inputs]` as kernels take weights. It holds a pointer only: the matrix must outlive it.
  init(_ matrix: Matrix) {
    self.init()
    storage = DSO_STORAGE_F32
    data = UnsafeRawPointer(matrix.pointer)
    n = Int64(matrix.rows)
    k = Int64(matrix.columns)
    row_bytes = Int64(matrix.columns * MemoryLayout<Float>.stride)
  }
}
