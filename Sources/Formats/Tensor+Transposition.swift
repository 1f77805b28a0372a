import Tensors

extension Tensor {
  /// The transpose of a matrix of 8-, 16- or 32-bit elements, with zero rows below it or zero columns to its right up to the given size.
  /// Nil for anything else, and when the size is too small.
  func transposed(padding rows: Int = 0, columns: Int = 0) -> Tensor? {
    guard shape.rank == 2 else { return nil }
    let padded = Shape([max(rows, shape[1]), max(columns, shape[0])])
    guard padded.checkedElementCount.flatMap(dataType.byteCount(ofElements:)) != nil else { return nil }
    switch dataType.bitWidth {
    case 8: return transposed(padded, of: UInt8.self)
    case 16: return transposed(padded, of: UInt16.self)
    case 32: return transposed(padded, of: UInt32.self)
    default: return nil
    }
  }

  private func transposed<Element: FixedWidthInteger & BitwiseCopyable>(_ padded: Shape, of element: Element.Type) -> Tensor {
    let (height, width, stride) = (shape[0], shape[1], padded[1])
    return Tensor(dataType: dataType, shape: padded) { target in
      let output = target.bindMemory(to: Element.self)
      withUnsafeBytes { source in
        // Tiles, so that both sides stay in the cache; the source may be unaligned.
        for top in Swift.stride(from: 0, to: height, by: 32) {
          for left in Swift.stride(from: 0, to: width, by: 32) {
            for column in left..<min(left + 32, width) {
              for row in top..<min(top + 32, height) {
                let offset = (row * width + column) * MemoryLayout<Element>.size
                output[column * stride + row] = source.loadUnaligned(fromByteOffset: offset, as: Element.self)
              }
            }
          }
        }
      }
    }
  }
}
