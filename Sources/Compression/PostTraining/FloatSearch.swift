import CKernels
import Diagnostics
import Execution
import Tensors

/// Weights to floats of eight bits (E4M3), or of four bits under eight-bit scales (NVFP4).
///
/// An eight-bit float is as fine at any scale, so that the largest magnitude of the weights that share one says it. NVFP4's are searched: what
/// counts is the squared error of the weights as they will be read, weighed by the importance of their inputs.
struct FloatSearch {
  private let scheme: QuantizationScheme

  /// The largest values of E4M3 and E2M1.
  private static let (largest8, largest4): (Float, Float) = (448, 6)

  /// Nil for schemes of other levels.
  init?(_ scheme: QuantizationScheme) {
    guard scheme.levels == .float8 || (scheme.levels == .float4 && scheme.scales == .float8) else { return nil }
    self.scheme = scheme
  }

  /// - Parameters:
  ///   - name: for errors.
  ///   - importance: of each input; nil where all count alike.
  ///   - elements: how the importance of an input becomes that of its weights.
  ///   - scaleType: what the scales of eight-bit floats are stored as; nil for the weight's own type.
  func quantize(
    _ weight: WeightRows, named name: String, importance: [Float]? = nil, elements: ElementImportance = .column, scaleType: DataType? = nil,
    pool: ThreadPool
  ) throws(CompressionError) -> QuantizedTensor {
    let peaks = try largestMagnitudes(of: weight, named: name, pool: pool)
    let tensor =
      scheme.levels == .float8
      ? eightBit(weight, peaks, scaleType: scaleType ?? weight.scaleType, pool: pool)
      : fourBit(weight, peaks, importance: importance, elements: elements, pool: pool)
    guard let tensor else { throw CompressionError(name, "cannot be held as \(scheme.name)", kind: .usage) }
    return tensor
  }

  /// Of every group of every row.
  private func largestMagnitudes(of weight: WeightRows, named name: String, pool: ThreadPool) throws(CompressionError) -> [Float] {
    let (columns, size) = (weight.columns, scheme.granularity.groupSize(inputs: weight.columns))
    let groups = QuantizedTensor.groupCount(inputs: columns, scheme.granularity)
    var peaks = [Float](repeating: 0, count: weight.rows * groups)
    var nonfinite = [Int64](repeating: 0, count: weight.rows)
    peaks.withUnsafeMutableBufferPointer { peaks in
      nonfinite.withUnsafeMutableBufferPointer { nonfinite in
        // Every task writes the row it was given, and only that.
        nonisolated(unsafe) let (peaks, nonfinite) = (peaks, nonfinite)
        pool.run(weight.rows, scratchBytes: columns * 4) { row, scratch in
          let values = scratch.bindMemory(to: Float.self, capacity: columns)
          weight.read(row: row, into: values)
          for group in 0..<groups {
            var (low, high, odd) = (Float(0), Float(0), Int64(0))
            dso_min_max(values + group * size, Int64(min(size, columns - group * size)), &low, &high, &odd)
            peaks[row * groups + group] = max(-low, high)
            nonfinite[row] += odd
          }
        }
      }
    }
    try GridTable.requireFinite(Int(nonfinite.reduce(0, +)), named: name)
    return peaks
  }

  private func eightBit(_ weight: WeightRows, _ peaks: [Float], scaleType: DataType, pool: ThreadPool) -> QuantizedTensor? {
    let (rows, columns) = (weight.rows, weight.columns)
    let (size, groups) = (scheme.granularity.groupSize(inputs: columns), peaks.count / max(1, weight.rows))
    let sharing = scheme.granularity.rowsSharingScales(outputs: rows)
    var scales = peaks
    for first in stride(from: 0, to: rows, by: sharing) {
      for group in 0..<groups {
        let sharers = stride(from: first, to: min(rows, first + sharing), by: 1)
        let scale = scaleType.roundingScale((sharers.map { peaks[$0 * groups + group] }.max() ?? 0) / Self.largest8)
        // Of zeros, or of what is too small for the scale's type: codes of 0 under any scale.
        for row in sharers { scales[row * groups + group] = scale > 0 ? scale : 1 }
      }
    }
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: 8)
    let codes = Tensor(dataType: .int32, shape: [rows, words]) { target in
      guard let bytes = target.bindMemory(to: UInt8.self).baseAddress else { return }
      // Every task writes the row it was given, and only that.
      nonisolated(unsafe) let output = bytes
      pool.run(rows, scratchBytes: columns * 4) { [scales] row, scratch in
        let values = scratch.bindMemory(to: Float.self, capacity: columns)
        weight.read(row: row, into: values)
        for group in 0..<groups {
          let start = group * size
          dso_round_to_e4m3(
            values + start, Int64(min(size, columns - start)), scales[row * groups + group], output + row * words * 4 + start)
        }
      }
    }
    return Tensor(scales, shape: [rows, groups]).converted(to: scaleType).flatMap {
      QuantizedTensor(scheme: scheme, shape: [rows, columns], codes: codes, scales: $0)
    }
  }

  private func fourBit(
    _ weight: WeightRows, _ peaks: [Float], importance: [Float]?, elements: ElementImportance, pool: ThreadPool
  ) -> QuantizedTensor? {
    let (rows, columns, groups) = (weight.rows, weight.columns, peaks.count / max(1, weight.rows))
    guard columns % 16 == 0 else { return nil }
    let peak = peaks.max() ?? 0
    // So that the largest scale of a group is the largest that E4M3 has.
    let divisor = peak > 0 ? min(Self.largest8 * Self.largest4 / peak, 0x1p120) : 1
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: 4)
    let weights = importance.map { $0.map { $0 > 0 && $0.isFinite ? $0 : 0 } }
    let isWeighed = weights?.contains { $0 > 0 } ?? false
    var scaleCodes = [UInt8](repeating: 0, count: rows * groups)
    let rowBytes = (columns * 4 + 63) / 64 * 64
    let codes = scaleCodes.withUnsafeMutableBufferPointer { scaleCodes in
      Tensor(dataType: .int32, shape: [rows, words]) { target in
        guard let output = target.bindMemory(to: UInt32.self).baseAddress, let scales = scaleCodes.baseAddress else { return }
        (isWeighed ? weights : nil).withOptionalPointer { importance in
          nonisolated(unsafe) let (output, scales, importance) = (output, scales, importance)
          pool.run(rows, scratchBytes: rowBytes * 3) { row, scratch in
            let values = scratch.bindMemory(to: Float.self, capacity: columns)
            let own = (scratch + rowBytes).bindMemory(to: Float.self, capacity: columns)
            let found = (scratch + rowBytes * 2).bindMemory(to: UInt8.self, capacity: columns)
            weight.read(row: row, into: values)
            if importance != nil, elements == .imatrix { dso_imatrix_importance(values, importance, Int64(columns), own) }
            var search = dso_nvfp4_search(divisor: divisor, plain: 0)
            dso_quantize_nvfp4_row(
              &search, values, importance != nil && elements == .imatrix ? UnsafePointer(own) : importance, Int64(columns), found,
              scales + row * groups)
            dso_pack_codes(found, Int64(columns), 4, output + row * words)
          }
        }
      }
    }
    let stored = Tensor(dataType: .float8E4M3, shape: [rows, groups]) { target in scaleCodes.withUnsafeBytes { target.copyMemory(from: $0) }
    }
    return QuantizedTensor(
      scheme: scheme, shape: [rows, columns], codes: codes, parts: ScaleParts(shared: Tensor([divisor], shape: [1]), codes: stored))
  }
}
