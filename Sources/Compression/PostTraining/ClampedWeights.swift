import CKernels
import Execution
import Tensors

/// How many weights a quantized matrix holds no code near: they lie further beyond the outermost value of their group than half the distance to
/// the value before it, so that they were clamped, and not rounded.
///
/// That is what the kernels count that round onto grids. Searches whose scales come out of their own rules, or are clamped to what the format
/// has for them, are counted by their result: k-quants, levels, minima, floats.
enum ClampedWeights {
  /// - Parameters:
  ///   - tensor: what became of `weight`.
  static func count(in tensor: QuantizedTensor, of weight: WeightRows, pool: ThreadPool) -> Int {
    let (rows, columns, size, groups) = (weight.rows, weight.columns, tensor.groupSize, tensor.groups)
    let bounds = bounds(of: tensor)
    guard tensor.shape == [rows, columns], bounds.count == rows * groups else { return 0 }
    var counts = [Int64](repeating: 0, count: rows)
    counts.withUnsafeMutableBufferPointer { counts in
      // Every task writes the row it was given, and only that.
      nonisolated(unsafe) let counts = counts
      pool.run(rows, scratchBytes: columns * MemoryLayout<Float>.stride) { row, scratch in
        let values = scratch.bindMemory(to: Float.self, capacity: columns)
        weight.read(row: row, into: values)
        for group in 0..<groups {
          guard let (low, high) = bounds[row * groups + group] else { continue }
          let start = group * size
          counts[row] += dso_count_outside(values + start, Int64(min(size, columns - start)), low, high)
        }
      }
    }
    return Int(counts.reduce(0, +))
  }

  /// From where to where weights are rounded to a value of their group; nil under a scale of 0, where the group has one value alone: it is too
  /// small for its scale, which is counted as having vanished.
  private static func bounds(of tensor: QuantizedTensor) -> [(low: Float, high: Float)?] {
    let scales = tensor.scales.float32Values() ?? [], minima = tensor.minima?.float32Values()
    let (least, most) = ends(of: tensor.scheme)
    return scales.indices.map { index in
      let scale = scales[index]
      guard scale != 0, scale.isFinite else { return nil }
      let (first, last) = (least * scale + (minima?[index] ?? 0), most * scale + (minima?[index] ?? 0))
      return (min(first, last), max(first, last))
    }
  }

  /// Half a distance beyond the outermost levels.
  private static func ends(of scheme: QuantizationScheme) -> (Float, Float) {
    guard let levels = scheme.levels.values?.filter(\.isFinite).sorted(), levels.count > 1 else {
      let half = Float(1 << (scheme.bits - 1))
      return scheme.offset == .minimum ? (-0.5, 2 * half - 0.5) : (-half - 0.5, half - 0.5)
    }
    let last = levels.count - 1
    return (levels[0] - (levels[1] - levels[0]) / 2, levels[last] + (levels[last] - levels[last - 1]) / 2)
  }
}
