import CKernels
import Diagnostics
import Foundation
import ModelGraph
import Tensors

/// The weight that a layer and its adapter come to together: `W + γ·B·A`, and with a magnitude its rows at those lengths.
public struct AdaptedWeight {
  private let weight: LoadedParameter
  private let down: Matrix
  private let up: Matrix
  private let scaling: Float

  /// - Parameters:
  ///   - parameter: W `[outputs, inputs]`, in any storage.
  ///   - down: A `[rank, inputs]`.
  ///   - up: B `[outputs, rank]`.
  public init(_ parameter: Parameter, down: Matrix, up: Matrix, scaling: Float) throws {
    weight = try LoadedParameter(parameter)
    (self.down, self.up, self.scaling) = (down, up, scaling)
    guard weight.view.n == Int64(up.rows), weight.view.k == Int64(down.columns), up.columns == down.rows else {
      throw ExecutionError(parameter.module, "does not fit its adapter", kind: .usage)
    }
  }

  public var outputs: Int { up.rows }
  public var inputs: Int { down.columns }

  /// Rows that are worked on together: bounds the memory.
  private static let tile = 64

  /// The length of every row of `W + γ·B·A`, in float32 from sums in double.
  public func norms(into norms: Matrix, pool: ThreadPool) {
    forEachTile(pool) { rows, values in
      for row in rows {
        norms.pointer[row] = Float(dso_sum_squares(values + (row - rows.lowerBound) * inputs, Int64(inputs)).squareRoot())
      }
    }
  }

  /// The values, in float32.
  /// - Parameter magnitude: the lengths of the rows; nil to leave them as they come out. A row of zeros stays one.
  public func merged(magnitude: Matrix? = nil, pool: ThreadPool) -> Matrix {
    let result = Matrix(uninitializedRows: outputs, columns: inputs)
    forEachTile(pool) { rows, values in
      for row in rows {
        let source = values + (row - rows.lowerBound) * inputs
        var factor: Float = 1
        if let magnitude {
          let norm = Float(dso_sum_squares(source, Int64(inputs)).squareRoot())
          factor = norm > 0 ? magnitude.pointer[row] / norm : 0
        }
        dso_scaled_copy(source, factor, result.row(row), Int64(inputs))
      }
    }
    return result
  }

  private func forEachTile(_ pool: ThreadPool, _ body: (Range<Int>, UnsafeMutablePointer<Float>) -> Void) {
    let values = Self.tile * inputs * MemoryLayout<Float>.stride
    let factors = (Self.tile * up.columns * MemoryLayout<Float>.stride + 63) / 64 * 64
    let start = (values + 63) / 64 * 64
    let product = Int(dso_gradient_product_scratch_bytes())
    withoutActuallyEscaping(body) { body in
      pool.run((outputs + Self.tile - 1) / Self.tile, scratchBytes: start + factors + product) { task, scratch in
        let rows = task * Self.tile..<min((task + 1) * Self.tile, outputs)
        let target = scratch.assumingMemoryBound(to: Float.self)
        let scaled = (scratch + start).assumingMemoryBound(to: Float.self)
        for row in rows { weight.copyRow(row, to: target + (row - rows.lowerBound) * inputs) }
        dso_scaled_copy(up.row(rows.lowerBound), scaling, scaled, Int64(rows.count * up.columns))
        var view = dso_weights(down)
        dso_matmul_nn_f32(
          scaled, Int64(up.columns), Int64(rows.count), &view, 0, Int64(inputs), 1, target, Int64(inputs), scratch + start + factors)
        body(rows, target)
      }
    }
  }
}
