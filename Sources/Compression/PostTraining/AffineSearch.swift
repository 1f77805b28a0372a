import CKernels
import Diagnostics
import Execution
import Tensors

/// The search for codes, scales and minima of groups that have a real number of either: MLX's. What counts is the squared error of the weights
/// as they will be read, weighed by the importance of their inputs.
struct AffineSearch {
  private let scheme: QuantizationScheme
  private let scaleType: DataType

  /// Nil for other schemes.
  /// - Parameter scaleType: what scales and minima are stored as.
  init?(_ scheme: QuantizationScheme, scaleType: DataType) {
    guard scheme.offset == .minimum, scheme.scales == .direct, scheme.levels == .even else { return nil }
    self.scheme = scheme
    self.scaleType = [.float16, .bfloat16].contains(scaleType) ? scaleType : .float32
  }

  /// - Parameters:
  ///   - name: for errors.
  ///   - importance: of each input; nil where all count alike.
  ///   - elements: how the importance of an input becomes that of its weights.
  func quantize(
    _ weight: WeightRows, named name: String, importance: [Float]?, elements: ElementImportance, pool: ThreadPool
  ) throws(CompressionError) -> QuantizedTensor {
    let (rows, columns) = (weight.rows, weight.columns)
    if let importance, importance.count != columns {
      throw CompressionError(name, "has \(columns) inputs but \(importance.count) importances", kind: .badData)
    }
    let groups = QuantizedTensor.groupCount(inputs: columns, scheme.granularity)
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: scheme.bits)
    let size = Int64(scheme.granularity.groupSize(inputs: columns))
    // As many rows to a task as fill the vectors with groups.
    let band = (16 + groups - 1) / groups
    let tasks = (rows + band - 1) / band
    var nonfinite = [Int64](repeating: 0, count: tasks)
    // Whole vectors, so that what follows in the scratch memory is aligned as the kernels' own is.
    let bandBytes = (band * columns * 4 + 63) / 64 * 64
    let scratchBytes = bandBytes + Int(dso_affine_search_scratch_bytes(Int64(band), Int64(columns), size))
    var (scales, minima) = ([Float](repeating: 0, count: rows * groups), [Float](repeating: 0, count: rows * groups))
    let (bits, type) = (Int32(scheme.bits), scaleType.kernelScaleType)
    let byMagnitude: Int32 = elements == .imatrix && importance != nil ? 1 : 0
    let codes = Tensor(dataType: .int32, shape: [rows, words]) { target in
      scales.withUnsafeMutableBufferPointer { scales in
        minima.withUnsafeMutableBufferPointer { minima in
          nonfinite.withUnsafeMutableBufferPointer { nonfinite in
            importance.withOptionalPointer { importance in
              guard let words0 = target.bindMemory(to: UInt32.self).baseAddress, let scales0 = scales.baseAddress,
                let minima0 = minima.baseAddress
              else { return }
              // Every task writes the rows it was given, and only those.
              nonisolated(unsafe) let (output, steps, ends, found, weighing) = (words0, scales0, minima0, nonfinite, importance)
              pool.run(tasks, scratchBytes: scratchBytes) { task, scratch in
                let first = task * band
                let count = min(band, rows - first)
                let values = scratch.bindMemory(to: Float.self, capacity: count * columns)
                for row in 0..<count { weight.read(row: first + row, into: values + row * columns) }
                var search = dso_affine_search(bits: bits, plain: 0, by_magnitude: byMagnitude, type: type, group: size)
                found[task] = dso_quantize_affine(
                  &search, values, Int64(columns), Int64(count), Int64(columns), weighing, output + first * words,
                  steps + first * groups, ends + first * groups, scratch + bandBytes)
              }
            }
          }
        }
      }
    }
    try GridTable.requireFinite(Int(nonfinite.reduce(0, +)), named: name)
    let extent = Shape([rows, groups])
    guard let scales = Tensor(scales, shape: extent).converted(to: scaleType),
      let minima = Tensor(minima, shape: extent).converted(to: scaleType),
      let tensor = QuantizedTensor(scheme: scheme, shape: [rows, columns], codes: codes, scales: scales, minima: minima)
    else { throw CompressionError(name, "cannot be held as \(scheme.name)", kind: .usage) }
    return tensor
  }
}
