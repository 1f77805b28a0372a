import CKernels
import Execution

/// The order in which inputs are processed, and Gram matrices in that order.
enum GramOrder {
  /// Descending diagonal, ties by index, so that inputs of 0 come last.
  static func order(diagonal: [Float], actOrder: Bool) -> [Int32] {
    let natural = diagonal.indices.map(Int32.init)
    guard actOrder else { return natural }
    return natural.sorted {
      let (a, b) = (max(0, diagonal[Int($0)]), max(0, diagonal[Int($1)]))
      return a == b ? $0 < $1 : a > b
    }
  }

  /// How many elements are NaN or infinite.
  static func nonfinite(in gram: GramMatrix, pool: ThreadPool) -> Int {
    let n = gram.inputs
    let values = gram.symmetric(pool: pool)
    var counts = [Int64](repeating: 0, count: n)
    counts.withUnsafeMutableBufferPointer { counts in
      nonisolated(unsafe) let counts = counts
      pool.ranges(of: n, grain: 16) { rows in
        for row in rows {
          var (low, high) = (Float(0), Float(0))
          dso_min_max(values.row(row), Int64(n), &low, &high, &counts[row])
        }
      }
    }
    return Int(counts.reduce(0, +))
  }

  /// Rows and columns in the given order, both triangles. Takes the matrix's memory.
  static func permuted(_ gram: GramMatrix, order: [Int32], pool: ThreadPool) -> Matrix {
    let n = order.count
    let matrix = gram.take(pool: pool)
    permuteRows(of: matrix, order: order)
    pool.run(n, scratchBytes: n * 4) { row, scratch in
      let copy = scratch.bindMemory(to: Float.self, capacity: n)
      dso_gather(matrix.row(row), order, Int64(n), copy)
      matrix.row(row).update(from: copy, count: n)
    }
    return matrix
  }

  /// In place, cycle by cycle.
  private static func permuteRows(of matrix: Matrix, order: [Int32]) {
    let n = order.count
    let spare = Matrix(rows: 1, columns: n)
    var placed = [Bool](repeating: false, count: n)
    for start in 0..<n where !placed[start] {
      placed[start] = true
      guard Int(order[start]) != start else { continue }
      spare.pointer.update(from: matrix.row(start), count: n)
      var place = start
      while Int(order[place]) != start {
        let next = Int(order[place])
        matrix.row(place).update(from: matrix.row(next), count: n)
        placed[next] = true
        place = next
      }
      matrix.row(place).update(from: spare.pointer, count: n)
    }
  }

  /// Makes an input independent of all others.
  static func clear(_ place: Int, in matrix: Matrix) {
    matrix.row(place).update(repeating: 0, count: matrix.columns)
    for row in 0..<matrix.rows { matrix.row(row)[place] = 0 }
  }

  /// The lower triangle from the upper one and the diagonal.
  static func restoreLower(of matrix: Matrix, diagonal: [Float], pool: ThreadPool) {
    let n = matrix.columns
    nonisolated(unsafe) let pointer = matrix.pointer
    pool.ranges(of: n, grain: 64) { dso_mirror(pointer, Int64(n), Int64(n), Int64($0.lowerBound), Int64($0.upperBound), 1) }
    for (place, value) in diagonal.enumerated() { matrix.row(place)[place] = value }
  }
}
