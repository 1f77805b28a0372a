import CKernels
import Execution

/// SparseGPT over one weight: column by column what is set to zero is passed on to the columns behind it, by the factor that rounding with feedback
/// uses. What goes is chosen a block of columns at a time, or a group of the pattern at a time, by its pivot times the square of its target.
struct MaskedFeedback {
  let pass: Sparsification
  let factor: FeedbackFactor

  /// Rows that one task takes.
  private static let rows = 32

  /// - Parameter weight: `[outputs, inputs]`, changed in place.
  func run(_ weight: Matrix, pool: ThreadPool) {
    let (count, columns) = (weight.rows, weight.columns), block = Int(DSO_MASK_COLUMNS)
    let errors = Matrix(rows: count, columns: columns)
    var whole = view(rows: 0..<columns, columns: columns)
    let scratchBytes = Int(dso_matmul_scratch_bytes(&whole))
    pool.run((count + Self.rows - 1) / Self.rows, scratchBytes: scratchBytes) { task, scratch in
      let begin = task * Self.rows, rows = min(Self.rows, count - begin)
      let feedback = Matrix(rows: rows, columns: block)
      var kept = [UInt8](repeating: 1, count: rows * block)
      for start in stride(from: 0, to: columns, by: block) {
        let width = min(block, columns - start)
        if start > 0 {
          // What all columns before have lost, in one product.
          var before = view(rows: start..<start + width, columns: start)
          dso_matmul_f32(
            errors.row(begin), Int64(columns), Int64(rows), &before, 0, Int64(width), nil, feedback.pointer, Int64(block), scratch)
        }
        if pass.pattern.group == nil { choose(&kept, weight, feedback, rows: begin..<begin + rows, columns: start..<start + width) }
        kept.withUnsafeMutableBufferPointer { kept in
          factor.pivots.withUnsafeBufferPointer { pivots in
            var step = dso_mask_step()
            (step.rows, step.columns) = (Int64(rows), Int64(width))
            (step.weights, step.ldw) = (weight.row(begin) + start, Int64(columns))
            (step.feedback, step.ldf) = (UnsafePointer(feedback.pointer), Int64(block))
            (step.m, step.ldm) = (UnsafePointer(factor.matrix.row(start) + start), Int64(columns))
            step.pivots = pivots.baseAddress.map { $0 + start }
            step.kept = kept.baseAddress
            (step.group, step.kept_of_group) = pass.pattern.group.map { (Int64($0.size), Int64($0.kept)) } ?? (0, 0)
            (step.errors, step.lde) = (errors.row(begin) + start, Int64(columns))
            dso_mask_with_feedback(&step)
          }
        }
      }
    }
  }

  /// Which weights of a block stay, row by row.
  private func choose(_ kept: inout [UInt8], _ weight: Matrix, _ feedback: Matrix, rows: Range<Int>, columns: Range<Int>) {
    var scores = [Float](repeating: 0, count: columns.count)
    for (place, row) in rows.enumerated() {
      for (index, column) in columns.enumerated() {
        let target = weight.row(row)[column] + feedback.row(place)[index]
        scores[index] = factor.pivots[column] * target * target
        kept[place * columns.count + index] = 1
      }
      for index in pass.zeros(scores) { kept[place * columns.count + index] = 0 }
    }
  }

  /// A part of M; of the triangle above the diagonal nothing is read.
  private func view(rows: Range<Int>, columns: Int) -> dso_weights {
    var view = dso_weights()
    view.storage = DSO_STORAGE_F32
    view.data = UnsafeRawPointer(factor.matrix.row(rows.lowerBound))
    (view.n, view.k) = (Int64(rows.count), Int64(columns))
    view.row_bytes = Int64(factor.matrix.columns * MemoryLayout<Float>.stride)
    return view
  }
}
