import CKernels

/// Moves codes between the canonical bit stream of `QuantizedTensor` and the arrangements that checkpoint formats keep them in.
package enum CodePacking {
  /// Words of 32 bits that `count` codes take.
  package static func words(of count: Int, bits: Int) -> Int { QuantizedTensor.wordsPerRow(inputs: count, bits: bits) }

  /// Signed bytes, one a code, to the bit stream.
  ///
  /// - Parameter codes: int8 `[rows, columns]`, each in −2^(bits−1) … 2^(bits−1)−1.
  /// - Returns: int32 `[rows, words]`; nil when type or rank are others, or when a code is out of range.
  package static func packed(signedBytes codes: Tensor, bits: Int) -> Tensor? {
    guard codes.dataType == .int8, codes.shape.rank == 2, (1...8).contains(bits) else { return nil }
    let (rows, columns) = (codes.shape[0], codes.shape[1])
    let rowWords = words(of: columns, bits: bits)
    if bits == 8, columns % 4 == 0 { return withSignsExchanged(codes, .int32, [rows, rowWords]) }
    let offset = UInt8(1) << UInt8(bits - 1)
    var excess: UInt8 = 0
    let result = Tensor(dataType: .int32, shape: [rows, rowWords]) { target in
      let words = target.bindMemory(to: UInt32.self)
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(columns, 1)) { row in
        codes.withUnsafeBytes { source in
          guard let output = words.baseAddress, let unsigned = row.baseAddress, let input = source.baseAddress else { return }
          for index in 0..<rows {
            let values = (input + index * columns).assumingMemoryBound(to: UInt8.self)
            var seen: UInt8 = 0
            for column in 0..<columns {
              let code = values[column] &+ offset
              seen |= code
              unsigned[column] = code
            }
            if bits < 8 { excess |= seen >> UInt8(bits) }
            dso_pack_codes(unsigned, Int64(columns), Int32(bits), output + index * rowWords)
          }
        }
      }
    }
    return excess == 0 ? result : nil
  }

  /// The bit stream to signed bytes, one a code.
  ///
  /// - Parameter codes: int32 `[rows, words]`.
  /// - Returns: int8 `[rows, columns]`; nil when type or shape do not fit.
  package static func signedBytes(_ codes: Tensor, columns: Int, bits: Int) -> Tensor? {
    guard codes.dataType == .int32, codes.shape.rank == 2, (1...8).contains(bits), columns >= 0, columns <= codes.shape[1] * 32,
      codes.shape[1] == words(of: columns, bits: bits)
    else { return nil }
    let (rows, rowWords) = (codes.shape[0], codes.shape[1])
    if bits == 8, columns % 4 == 0 { return withSignsExchanged(codes, .int8, [rows, columns]) }
    let offset = UInt8(1) << UInt8(bits - 1)
    return Tensor(dataType: .int8, shape: [rows, columns]) { target in
      let bytes = target.bindMemory(to: UInt8.self)
      withUnsafeTemporaryAllocation(of: UInt32.self, capacity: max(rowWords, 1)) { row in
        codes.withUnsafeBytes { source in
          guard let output = bytes.baseAddress, let words = row.baseAddress, let input = source.baseAddress else { return }
          for index in 0..<rows {
            // The source may be unaligned, a file keeps it where it likes.
            UnsafeMutableRawPointer(words).copyMemory(from: input + index * rowWords * 4, byteCount: rowWords * 4)
            let values = output + index * columns
            dso_unpack_codes(words, Int64(columns), Int32(bits), values)
            for column in 0..<columns { values[column] &-= offset }
          }
        }
      }
    }
  }

  /// Every byte plus 128: from stored codes of 8 bits to signed ones and back, where rows have no gaps.
  private static func withSignsExchanged(_ codes: Tensor, _ type: DataType, _ shape: Shape) -> Tensor {
    Tensor(dataType: type, shape: shape) { target in
      codes.withUnsafeBytes { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        dso_exchange_signs(from, to, Int64(source.count))
      }
    }
  }

  /// Signed bytes to bit streams that run down the columns: row *i* owns bits `[i·bits, (i+1)·bits)` of its column's stream.
  ///
  /// - Parameter codes: int8 `[rows, columns]`.
  /// - Returns: int32 `[words(rows), columns]`; nil as for `packed(signedBytes:bits:)`.
  package static func packedDownColumns(_ codes: Tensor, bits: Int) -> Tensor? {
    transposed(codes).flatMap { packed(signedBytes: $0, bits: bits) }.flatMap(transposed)
  }

  /// The reverse of `packedDownColumns(_:bits:)`: int32 `[words(rows), columns]` to int8 `[rows, columns]`.
  package static func signedBytesDownColumns(_ codes: Tensor, rows: Int, bits: Int) -> Tensor? {
    transposed(codes).flatMap { signedBytes($0, columns: rows, bits: bits) }.flatMap(transposed)
  }
}
