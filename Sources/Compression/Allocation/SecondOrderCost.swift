import CKernels
import Diagnostics
import Execution
import Tensors

/// What an error of a weight costs in KL divergence per token, to second order: `½ tr(G ΔW H ΔWᵀ)`, H = E[x xᵀ] of the layer's inputs (each
/// token weighed by its importance), G = E[g gᵀ] of the gradients at its outputs.
enum SecondOrderCost {
  /// - Parameters:
  ///   - error: ΔW, `[outputs, inputs]`.
  ///   - inputs: H times its tokens' weight.
  ///   - outputs: G times its tokens.
  /// - Throws: extents that do not fit each other, or a cost that is no number.
  static func predicted(
    of error: Matrix, named name: String, inputs: GramMatrix, outputs: GramMatrix, pool: ThreadPool
  ) throws(CompressionError) -> Double {
    let (rows, columns) = (error.rows, error.columns)
    guard inputs.inputs == columns, outputs.inputs == rows, inputs.totalWeight > 0, outputs.totalWeight > 0 else {
      throw CompressionError(name, "does not fit what calibration knows of it", kind: .badData)
    }
    let (gram, factor) = (inputs.symmetric(pool: pool), outputs.symmetric(pool: pool))
    let right = Matrix(rows: rows, columns: columns)
    var product = dso_outer_product(x: error.pointer, columns, y: gram.pointer, columns, depth: columns, into: right.pointer, columns)
    product.x_by_rows = 1
    OuterProducts.accumulate(product, rows: rows, columns: columns, pool: pool)
    let left = Matrix(rows: rows, columns: columns)
    OuterProducts.accumulate(
      dso_outer_product(x: factor.pointer, rows, y: error.pointer, columns, depth: rows, into: left.pointer, columns), rows: rows,
      columns: columns, pool: pool)
    var sums = [Double](repeating: 0, count: rows)
    sums.withUnsafeMutableBufferPointer { sums in
      // Every task writes its own rows.
      nonisolated(unsafe) let sums = sums
      pool.ranges(of: rows, grain: 16) { range in
        for row in range { sums[row] = dso_inner_product(left.row(row), right.row(row), Int64(columns)) }
      }
    }
    let cost = sums.reduce(0, +) / inputs.totalWeight / outputs.totalWeight / 2
    guard cost.isFinite else {
      throw CompressionError(
        name, "has weights and activations so large that their error overflows", remedy: "leave it out with --ignore", kind: .badData)
    }
    return max(0, cost)
  }

  /// `weight − quantized`.
  static func error(_ weight: Tensor, _ quantized: QuantizedTensor, pool: ThreadPool) -> Matrix {
    let rows = WeightRows.tensor(weight)
    let result = Matrix(rows: rows.rows, columns: rows.columns)
    quantized.withKernelView { view in
      nonisolated(unsafe) let view = view
      pool.run(rows.rows, scratchBytes: rows.columns * 4) { row, scratch in
        let values = scratch.bindMemory(to: Float.self, capacity: rows.columns)
        rows.read(row: row, into: result.row(row))
        var own = view
        dso_dequantize(&own, Int64(row), Int64(row + 1), values, Int64(rows.columns))
        dso_subtract(result.row(row), values, Int64(rows.columns))
      }
    }
    return result
  }
}
