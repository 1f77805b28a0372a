import CKernels
import Tensors

/// The minima of a weight's groups as a product of integers wants them.
///
/// Such a product takes the code in the middle for zero: u · scale + minimum = (u − 2^(bits−1)) · scale + (minimum + 2^(bits−1) · scale). The
/// second term is the same for a whole group, so what it gives is the sums of the activations' groups times one number each.
final class CenteredMinima: @unchecked Sendable {
  /// `[groups, outputs]`, so that neighbouring outputs lie together.
  private let values: Matrix
  let groupSize: Int

  /// Nil for weights without minima.
  init?(_ weight: QuantizedTensor) {
    guard let minima = weight.minima?.float32Values(), let scales = weight.scales.float32Values() else { return nil }
    groupSize = weight.groupSize
    let (outputs, groups) = (weight.outputs, weight.groups)
    values = Matrix(uninitializedRows: groups, columns: outputs)
    let middle = Float(1 << (weight.scheme.bits - 1))
    for group in 0..<groups {
      let row = values.row(group)
      for output in 0..<outputs { row[output] = minima[output * groups + group] + middle * scales[output * groups + group] }
    }
  }

  /// The values in the form kernels take.
  var view: dso_weights { dso_weights(values) }
}

extension Interpreter {
  /// Adds to a product of integers what the minima of the weights' groups give: the sums of the groups of each row of x times them.
  func addMinima(_ minima: CenteredMinima, of x: Matrix, rows: Range<Int>, to output: Matrix, columns range: Range<Int>) {
    let (width, groups) = (x.columns, Int(minima.view.n))
    let sums = Matrix(uninitializedRows: rows.count, columns: groups)
    pool.ranges(of: rows.count, grain: 8) { range in
      dso_group_sums(
        x.row(rows.lowerBound + range.lowerBound), Int64(width), Int64(range.count), Int64(width), Int64(minima.groupSize),
        sums.row(range.lowerBound), Int64(groups))
    }
    let isFew = rows.count <= Self.fewRows
    let room = isFew ? rows.count * output.columns * 4 : Int(dso_gradient_product_scratch_bytes())
    let tile = 64
    let piece = max(tile, (range.count / (pool.threads * 2) + tile - 1) / tile * tile)
    pool.run((range.count + piece - 1) / piece, scratchBytes: room) { task, scratch in
      var view = minima.view
      let (begin, end) = (range.lowerBound + task * piece, min(range.lowerBound + (task + 1) * piece, range.upperBound))
      let (count, pitch, columns) = (Int64(rows.count), Int64(groups), Int64(output.columns))
      guard isFew else {
        return dso_matmul_nn_f32(sums.row(0), pitch, count, &view, Int64(begin), Int64(end), 1, output.row(0), columns, scratch)
      }
      let terms = scratch.assumingMemoryBound(to: Float.self)
      dso_matvec_nn_f32(sums.row(0), pitch, count, &view, Int64(begin), Int64(end), terms, columns)
      for row in 0..<rows.count {
        dso_add(terms + row * output.columns + begin, output.row(row) + begin, Int64(end - begin))
      }
    }
  }
}
