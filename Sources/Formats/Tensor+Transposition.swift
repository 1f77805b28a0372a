import Tensors

extension Tensor {
  /// The transpose of a matrix of 8-, 16- or 32-bit elements, with zero rows below it or zero columns to its right up to the given size.
  /// Nil for anything else, and when the size is too small.
  func transposed(padding rows: Int = 0, columns: Int = 0) -> Tensor? {
    guard shape.rank == 2 else { return nil }
    let padded = Shape([max(rows, shape[1]), max(columns, shape[0])])
    guard padded.checkedElementCount.flatMap(dataType.byteCount(ofElements:)) != nil, let plain = CodePacking.transposed(self) else {
      return nil
    }
    if plain.shape == padded { return plain }
    let (from, to) = (plain.shape[1] * dataType.bitWidth / 8, padded[1] * dataType.bitWidth / 8)
    return Tensor(dataType: dataType, shape: padded) { target in
      plain.withUnsafeBytes { source in
        guard let input = source.baseAddress, let output = target.baseAddress else { return }
        for row in 0..<plain.shape[0] { (output + row * to).copyMemory(from: input + row * from, byteCount: from) }
      }
    }
  }
}
