import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// A low-rank adapter folded into its layer's weight, and the way back. The arithmetic is in double and the same on every machine.
package struct AdapterFold: Sendable {
  package let down: Tensor
  package let up: Tensor
  package let scaling: Float
  private let magnitude: [Float]?

  package var outputs: Int { up.shape[0] }
  package var inputs: Int { down.shape[1] }

  /// - Throws: for factors that do not fit the layer, or are no numbers.
  package init(_ adapter: LowRankAdapter, of module: String, shape: Shape) throws(CompressionError) {
    let magnitude = try adapter.magnitude.map { (tensor) throws(CompressionError) in
      guard let values = tensor.float32Values() else { throw Self.misfit(module, shape) }
      return values
    }
    guard let down = adapter.down.asFloat32(), let up = adapter.up.asFloat32(), shape.rank == 2, down.shape.rank == 2, up.shape.rank == 2,
      up.shape[0] == shape[0], down.shape[1] == shape[1], down.shape[0] == up.shape[1], magnitude.map({ $0.count == shape[0] }) ?? true
    else { throw Self.misfit(module, shape) }
    let values = [down.float32Values(), up.float32Values(), magnitude, [adapter.scaling]].compactMap { $0 }
    guard values.allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
      throw CompressionError(module, "has an adapter with values that are no numbers", remedy: "train the adapter again", kind: .badData)
    }
    (self.down, self.up, scaling, self.magnitude) = (down, up, adapter.scaling, magnitude)
  }

  private static func misfit(_ module: String, _ shape: Shape) -> CompressionError {
    CompressionError(
      module, "of \(shape) does not fit its adapter", remedy: "take the model that the adapter was trained for", kind: .badData)
  }

  /// `(W + γ·B·A)`, with a magnitude its rows at those lengths.
  /// - Parameter base: `[outputs, inputs]`, float32.
  /// - Returns: the weight in float32, and what each row was multiplied by; nil without a magnitude. A row of zeros stays one.
  package func merged(into base: Tensor, pool: ThreadPool) -> (weight: Tensor, factors: [Double]?) {
    var factors = [Double](repeating: 1, count: outputs)
    let merged = Tensor(dataType: .float32, shape: base.shape) { target in
      base.withUnsafeBytes { source in
        factors.withUnsafeMutableBufferPointer { factors in
          guard let first = target.bindMemory(to: Float.self).baseAddress, let origin = source.bindMemory(to: Float.self).baseAddress,
            let lengths = factors.baseAddress
          else { return }
          nonisolated(unsafe) let (result, weights, scales) = (first, origin, lengths)
          forEachRow(pool) { row, delta in
            let values = weights + row * inputs
            if let magnitude {
              let length = dso_adapted_length(values, delta, Int64(inputs))
              scales[row] = length > 0 ? Double(magnitude[row]) / length : 0
            }
            dso_merge_row(values, delta, scales[row], Int64(inputs), result + row * inputs)
          }
        }
      }
    }
    return (merged, magnitude == nil ? nil : factors)
  }

  /// What `merged(into:pool:)` was given, but for what rounding has lost.
  /// - Parameter factors: what each row was multiplied by; nil without a magnitude.
  package func unmerged(from merged: Tensor, factors: [Double]?, pool: ThreadPool) -> Tensor {
    Tensor(dataType: .float32, shape: merged.shape) { target in
      merged.withUnsafeBytes { source in
        guard let first = target.bindMemory(to: Float.self).baseAddress, let origin = source.bindMemory(to: Float.self).baseAddress else {
          return
        }
        nonisolated(unsafe) let (result, weights) = (first, origin)
        forEachRow(pool) { row, delta in
          dso_unmerge_row(weights + row * inputs, delta, factors?[row] ?? 1, Int64(inputs), result + row * inputs)
        }
      }
    }
  }

  private func forEachRow(_ pool: ThreadPool, _ body: (Int, UnsafeMutablePointer<Double>) -> Void) {
    down.withUnsafeBytes { a in
      up.withUnsafeBytes { b in
        guard let down = a.bindMemory(to: Float.self).baseAddress, let up = b.bindMemory(to: Float.self).baseAddress else { return }
        let rank = self.down.shape[0]
        pool.run(outputs, scratchBytes: inputs * MemoryLayout<Double>.stride) { row, scratch in
          let delta = scratch.assumingMemoryBound(to: Double.self)
          dso_adapter_row(up + row * rank, Int64(rank), down, Int64(inputs), Int64(inputs), scaling, delta)
          body(row, delta)
        }
      }
    }
  }
}
