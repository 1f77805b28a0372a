import CKernels
import ModelGraph

extension Interpreter {
  func slice(_ x: Matrix, _ slice: HeadSlice) -> Matrix {
    let output = Matrix(uninitializedRows: x.rows, columns: slice.heads * slice.count)
    copyHeads(x, from: slice.start, step: slice.width, to: output, at: 0, step: slice.count, heads: slice.heads, width: slice.count)
    return output
  }

  func joinHeads(_ left: Matrix, _ right: Matrix, _ join: HeadJoin) -> Matrix {
    let width = join.left + join.right
    let output = Matrix(uninitializedRows: left.rows, columns: join.heads * width)
    copyHeads(left, from: 0, step: join.left, to: output, at: 0, step: width, heads: join.heads, width: join.left)
    copyHeads(
      right, from: 0, step: join.sharesRight ? 0 : join.right, to: output, at: join.left, step: width, heads: join.heads, width: join.right)
    return output
  }

  /// `width` features of every head; steps of 0 stand for one head that all read, or all add to.
  func copyHeads(
    _ x: Matrix, from start: Int, step: Int, to output: Matrix, at place: Int, step outputStep: Int, heads: Int, width: Int,
    adding: Bool = false
  ) {
    pool.ranges(of: x.rows, grain: max(1, 16_384 / max(1, heads * width))) { range in
      dso_copy_heads(
        x.row(range.lowerBound) + start, Int64(x.columns), Int64(step), output.row(range.lowerBound) + place, Int64(output.columns),
        Int64(outputStep), Int64(range.count), Int64(heads), Int64(width), adding ? 1 : 0)
    }
  }
}
