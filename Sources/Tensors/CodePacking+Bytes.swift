extension CodePacking {
  /// Codes as their bytes, one for each of 8 bits or for two of 4 bits, without what fills the last word of a row.
  /// - Parameter type: of one byte.
  /// - Returns: `[rows, bytes]`; nil for codes of other widths.
  package static func bytes(_ codes: Tensor, columns: Int, bits: Int, as type: DataType) -> Tensor? {
    guard codes.dataType == .int32, codes.shape.rank == 2, type.bitWidth == 8, bits == 8 || bits == 4, columns * bits % 8 == 0,
      codes.shape[1] == words(of: columns, bits: bits)
    else { return nil }
    let (width, stride) = (columns * bits / 8, codes.shape[1] * 4)
    if width == stride { return codes.reinterpreted(as: type, [codes.shape[0], width]) }
    return copied(codes, rows: codes.shape[0], from: stride, to: width, type, [codes.shape[0], width])
  }

  /// The reverse of `bytes(_:columns:bits:as:)`; a view of the same memory where rows end with whole words.
  package static func codes(ofBytes bytes: Tensor, columns: Int, bits: Int) -> Tensor? {
    guard bytes.dataType.bitWidth == 8, bytes.shape.rank == 2, bits == 8 || bits == 4, bytes.shape[1] * 8 == columns * bits else {
      return nil
    }
    let (width, count) = (bytes.shape[1], words(of: columns, bits: bits))
    if width == count * 4 { return bytes.reinterpreted(as: .int32, [bytes.shape[0], count]) }
    return copied(bytes, rows: bytes.shape[0], from: width, to: count * 4, .int32, [bytes.shape[0], count])
  }

  private static func copied(_ source: Tensor, rows: Int, from: Int, to: Int, _ type: DataType, _ shape: Shape) -> Tensor {
    Tensor(dataType: type, shape: shape) { target in
      source.withUnsafeBytes { bytes in
        guard let input = bytes.baseAddress, let output = target.baseAddress else { return }
        for row in 0..<rows { (output + row * to).copyMemory(from: input + row * from, byteCount: min(from, to)) }
      }
    }
  }
}
