import CKernels
import Diagnostics
import Execution
import Tensors

extension GridTable {
  /// Every weight to its nearest code on the table.
  ///
  /// - Returns: the quantized matrix, and how many weights were clamped by more than rounding.
  func quantize(
    _ weight: WeightRows, named name: String, pool: ThreadPool
  ) throws(CompressionError) -> (tensor: QuantizedTensor, clipped: Int) {
    guard weight.rows == rows, weight.columns == columns else {
      throw CompressionError(
        name, "is \(weight.rows) by \(weight.columns), not \(rows) by \(columns) as its table of scales", kind: .badData)
    }
    var clipped = [Int64](repeating: 0, count: rows)
    let packed = clipped.withUnsafeMutableBufferPointer { clipped in
      // Every task writes the row it was given, and only that.
      nonisolated(unsafe) let clipped = clipped
      return pack(pool: pool, scratchBytes: columns * 4) { row, codes, scratch in
        let values = scratch.bindMemory(to: Float.self, capacity: columns)
        weight.read(row: row, into: values)
        clipped[row] = roundRow(row, values, into: codes)
      }
    }
    return (try assemble(packed: packed, named: name), Int(clipped.reduce(0, +)))
  }

  /// One row of weights to its nearest codes, stored plus 2^(bits−1).
  ///
  /// - Returns: how many were clamped by more than rounding.
  @discardableResult
  func roundRow(_ row: Int, _ values: UnsafePointer<Float>, into codes: UnsafeMutablePointer<UInt8>) -> Int64 {
    var clipped: Int64 = 0
    for group in 0..<groups {
      let start = group * groupSize
      let place = row * groups + group
      clipped += dso_quantize_group(
        values + start, Int64(min(groupSize, columns - start)), scales[place], Int32(zeroPoints[place]), Int32(scheme.bits), codes + start)
    }
    return clipped
  }

  /// The quantized matrix of codes that were found elsewhere.
  ///
  /// - Parameter codes: `[rows, columns]`, one to a byte, stored plus 2^(bits−1).
  func assemble(
    codes: UnsafePointer<UInt8>, named name: String, pool: ThreadPool
  ) throws(CompressionError) -> QuantizedTensor {
    try assemble(packed: packed(codes, pool: pool), named: name)
  }

  /// Codes, or ranks of levels, one to a byte, as `QuantizedTensor` holds codes.
  func packed(_ codes: UnsafePointer<UInt8>, pool: ThreadPool) -> Tensor {
    nonisolated(unsafe) let codes = codes
    let (columns, stored) = (columns, scheme.levels.ascending?.codes)
    return pack(pool: pool, scratchBytes: 0) { row, target, _ in
      target.update(from: codes + row * columns, count: columns)
      guard let stored else { return }
      for column in 0..<columns { target[column] = stored[Int(target[column] & 15)] }
    }
  }

  /// The quantized matrix of packed codes.
  ///
  /// - Parameter packed: int32 `[rows, words]`, as `QuantizedTensor` holds them.
  func assemble(packed: Tensor, named name: String) throws(CompressionError) -> QuantizedTensor {
    try scheme.checkEven(named: name)
    let parts = Shape([rows, groups])
    guard let scales = Tensor(scales, shape: parts).converted(to: scaleType),
      let tensor = QuantizedTensor(
        scheme: scheme, shape: [rows, columns], codes: packed, scales: scales,
        zeroPoints: scheme.symmetric ? nil : Tensor(int8: zeroPoints, shape: parts))
    else { throw CompressionError(name, "cannot be held as \(scheme.name)", kind: .usage) }
    return tensor
  }

  /// Packs rows of codes that `fill` writes, one to a byte.
  private func pack(
    pool: ThreadPool, scratchBytes: Int,
    fill: (_ row: Int, _ codes: UnsafeMutablePointer<UInt8>, _ scratch: UnsafeMutableRawPointer) -> Void
  ) -> Tensor {
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: scheme.bits)
    let (columns, bits) = (columns, scheme.bits)
    return Tensor(dataType: .int32, shape: [rows, words]) { packed in
      guard let target = packed.bindMemory(to: UInt32.self).baseAddress else { return }
      nonisolated(unsafe) let output = target
      pool.run(rows, scratchBytes: scratchBytes + columns + 64) { row, scratch in
        let codes = (scratch + scratchBytes).bindMemory(to: UInt8.self, capacity: columns)
        fill(row, codes, scratch)
        dso_pack_codes(codes, Int64(columns), Int32(bits), output + row * words)
      }
    }
  }
}
