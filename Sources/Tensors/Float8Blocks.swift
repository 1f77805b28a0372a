import CKernels

extension Tensor {
  /// The values that eight-bit floats (E4M3) with a scale per block stand for: codes times scales, rounded once to a type.
  /// - Parameters:
  ///   - scales: of the blocks, row by row of the grid; blocks at the edges may be cut.
  ///   - block: rows and columns that share a scale.
  ///   - type: float32, bfloat16 or float16.
  ///   - wanted: rows to be decoded, the others may be anything; nil for all.
  /// - Returns: nil for another type of codes or result, or scales of another number.
  public func dequantizedE4M3(
    scales: [Float], block: (rows: Int, columns: Int), to type: DataType, rows wanted: Range<Int>? = nil
  ) -> Tensor? {
    guard dataType == .float8E4M3, shape.rank == 2, [.float32, .bfloat16, .float16].contains(type), block.rows > 0, block.columns > 0
    else { return nil }
    let (rows, columns) = (shape[0], shape[1])
    let perRow = (columns + block.columns - 1) / block.columns
    guard scales.count == (rows + block.rows - 1) / block.rows * perRow else { return nil }
    let width = columns * type.bitWidth / 8
    // A band at a time, so that no more than a band exists in float32.
    let band = max(1, min(rows, (1 << 16) / max(1, columns)))
    let values = UnsafeMutablePointer<Float>.allocate(capacity: max(1, band * columns))
    defer { values.deallocate() }
    return Tensor(dataType: type, shape: shape, cleared: false) { target in
      withUnsafeBytes { source in
        guard let codes = source.bindMemory(to: UInt8.self).baseAddress else { return }
        let wanted = (wanted ?? 0..<rows).clamped(to: 0..<rows)
        for first in stride(from: wanted.lowerBound, to: wanted.upperBound, by: band) {
          let last = min(wanted.upperBound, first + band)
          dso_dequantize_e4m3_blocks(
            codes, Int64(first), Int64(last), Int64(columns), scales, Int64(perRow), Int64(block.rows), Int64(block.columns), values)
          convertFromFloat32(
            values, count: (last - first) * columns, type,
            into: UnsafeMutableRawBufferPointer(rebasing: target[first * width..<last * width]))
        }
      }
    }
  }
}
