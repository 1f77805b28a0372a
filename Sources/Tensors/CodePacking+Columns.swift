import CKernels

extension CodePacking {
  /// A matrix with its axes exchanged, elements moved as plain bits; nil for elements that are not of 1, 2 or 4 bytes.
  package static func transposed(_ matrix: Tensor) -> Tensor? {
    guard matrix.shape.rank == 2, [8, 16, 32].contains(matrix.dataType.bitWidth) else { return nil }
    let (rows, columns) = (matrix.shape[0], matrix.shape[1])
    return Tensor(dataType: matrix.dataType, shape: [columns, rows]) { target in
      matrix.withUnsafeBytes { transpose($0, rows: rows, columns: columns, into: target, width: matrix.dataType.bitWidth / 8) }
    }
  }

  /// Four-bit codes, int32 `[rows, columns / 8]`, as AWQ keeps them: int32 `[columns, rows / 8]`, in the order of its nibbles.
  /// - Returns: nil unless both extents are multiples of 8.
  package static func awq(_ codes: Tensor) -> Tensor? {
    guard codes.dataType == .int32, codes.shape.rank == 2, codes.shape[0] % 8 == 0 else { return nil }
    return rearranged(codes, to: [codes.shape[1] * 8, codes.shape[0] / 8]) {
      dso_rows_to_awq($0, Int64(codes.shape[0]), Int64(codes.shape[1] * 8), $1)
    }
  }

  /// The reverse of `awq(_:)`: int32 `[columns, rows / 8]` to int32 `[rows, columns / 8]`.
  package static func rows(ofAWQ words: Tensor) -> Tensor? {
    guard words.dataType == .int32, words.shape.rank == 2, words.shape[0] % 8 == 0 else { return nil }
    return rearranged(words, to: [words.shape[1] * 8, words.shape[0] / 8]) {
      dso_awq_to_rows($0, Int64(words.shape[1] * 8), Int64(words.shape[0]), $1)
    }
  }

  private static func rearranged(_ words: Tensor, to shape: Shape, _ move: (UnsafeRawPointer, UnsafeMutableRawPointer) -> Void) -> Tensor {
    Tensor(dataType: .int32, shape: shape) { target in
      words.withUnsafeBytes { source in
        if let from = source.baseAddress, let to = target.baseAddress { move(from, to) }
      }
    }
  }

  /// Where AWQ's words keep the columns of eight, by nibble.
  private static let awqOrder = [0, 2, 4, 6, 1, 3, 5, 7]

  /// Signed bytes, int8 `[rows, columns]`, to AWQ's words along the columns: int32 `[rows, columns / 8]`.
  package static func awq(alongColumns points: Tensor) -> Tensor? {
    guard points.dataType == .int8, points.shape.rank == 2, points.shape[1] % 8 == 0 else { return nil }
    let words = points.shape.elementCount / 8
    return points.withUnsafeBytes { bytes in
      Tensor(dataType: .int32, shape: [points.shape[0], points.shape[1] / 8]) { target in
        let output = target.bindMemory(to: UInt32.self)
        for word in 0..<words {
          output[word] = awqOrder.enumerated().reduce(0) { $0 | UInt32((bytes[word * 8 + $1.element] &+ 8) & 15) << UInt32(4 * $1.offset) }
        }
      }
    }
  }

  /// The reverse of `awq(alongColumns:)`.
  package static func signedBytes(ofAWQAlongColumns words: Tensor) -> Tensor? {
    guard words.dataType == .int32, words.shape.rank == 2 else { return nil }
    return words.withUnsafeBytes { bytes in
      Tensor(dataType: .int8, shape: [words.shape[0], words.shape[1] * 8]) { target in
        for index in 0..<words.shape.elementCount {
          let word = bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)
          for (nibble, column) in awqOrder.enumerated() {
            target[index * 8 + column] = UInt8(word >> UInt32(4 * nibble) & 15) &- 8
          }
        }
      }
    }
  }

  /// Signed bytes, one for each weight or group, with a number added to each; nil when a sum leaves the range of so many bits.
  package static func adding(_ number: Int, to points: Tensor, bits: Int) -> Tensor? {
    guard points.dataType == .int8, (2...8).contains(bits) else { return nil }
    let range = -(1 << (bits - 1))...(1 << (bits - 1)) - 1
    var isInRange = true
    let sums = points.withUnsafeBytes { bytes in
      Tensor(dataType: .int8, shape: points.shape) { target in
        for (index, byte) in bytes.enumerated() {
          let sum = Int(Int8(bitPattern: byte)) + number
          isInRange = isInRange && range.contains(sum)
          target[index] = UInt8(truncatingIfNeeded: sum)
        }
      }
    }
    return isInRange ? sums : nil
  }
}

/// Copies a dense matrix of elements of 1, 2 or 4 bytes, rows becoming columns.
/// - Parameters:
///   - place: where the matrix begins in the source, in elements.
///   - destination: where it will begin in the target, in elements.
/// - Precondition: both sides hold it.
package func transpose(
  _ source: UnsafeRawBufferPointer, at place: Int = 0, rows: Int, columns: Int, into target: UnsafeMutableRawBufferPointer,
  at destination: Int = 0, width: Int
) {
  let count = rows * columns
  precondition(place >= 0 && destination >= 0 && (place + count) * width <= source.count && (destination + count) * width <= target.count)
  guard count > 0, let from = source.baseAddress, let to = target.baseAddress else { return }
  dso_transpose(from + place * width, Int64(rows), Int64(columns), Int32(width), to + destination * width)
}
