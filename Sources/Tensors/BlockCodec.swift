import CKernels

/// GGUF's block types and the canonical form of what they hold, each made from the other without a change to any value.
package struct BlockCodec: Sendable {
  private let type: dso_block_type
  private let blockBytes: Int
  package let blockSize: Int
  package let scheme: QuantizationScheme

  /// By GGUF's number of the type; nil for what has no blocks, or is not known.
  package init?(number: UInt32) {
    guard let format = dso_block_format_of(dso_block_type(number))?.pointee else { return nil }
    type = dso_block_type(number)
    (blockSize, blockBytes) = (Int(format.block), Int(format.bytes))
    let levels: CodeLevels = type == DSO_BLOCKS_IQ4_NL ? .nonlinear4 : type == DSO_BLOCKS_MXFP4 ? .float4 : .even
    let highest = format.scale_highest - format.scale_lowest
    scheme = QuantizationScheme(
      bits: Int(format.bits), offset: format.minima != 0 ? .minimum : .none, granularity: .group(Int(format.group)), levels: levels,
      scales: format.nested != 0
        ? .superblock(bits: highest < 16 ? 4 : highest < 64 ? 6 : 8) : type == DSO_BLOCKS_MXFP4 ? .powerOfTwo : .direct)
  }

  /// The block type that holds a scheme; nil when none does.
  package init?(_ scheme: QuantizationScheme) {
    guard let codec = Self.all.first(where: { $0.scheme == scheme }) else { return nil }
    self = codec
  }

  private static let all = [
    DSO_BLOCKS_Q4_0, DSO_BLOCKS_Q4_1, DSO_BLOCKS_Q5_0, DSO_BLOCKS_Q5_1, DSO_BLOCKS_Q8_0, DSO_BLOCKS_Q2_K, DSO_BLOCKS_Q3_K, DSO_BLOCKS_Q4_K,
    DSO_BLOCKS_Q5_K, DSO_BLOCKS_Q6_K, DSO_BLOCKS_IQ4_NL, DSO_BLOCKS_MXFP4,
  ].compactMap { BlockCodec(number: $0.rawValue) }

  /// GGUF's number of the type.
  package var number: UInt32 { type.rawValue }

  /// Bytes of a row of weights; nil when blocks do not divide it.
  package func rowBytes(inputs: Int) -> Int? {
    inputs > 0 && inputs % blockSize == 0 ? inputs / blockSize * blockBytes : nil
  }

  /// The blocks of a weight, uint8 `[outputs, bytes of a row]`.
  /// - Returns: nil when the scheme is another, or a scale is not one that the type holds.
  package func encode(_ weight: QuantizedTensor) -> Tensor? {
    guard weight.scheme == scheme, let rowBytes = rowBytes(inputs: weight.inputs), let parts = BlockParts(weight) else { return nil }
    let (type, inputs, words) = (type, weight.inputs, weight.wordsPerRow)
    return weight.codes.withUnsafeBytes { codes in
      parts.withUnsafeParts { parts in
        Tensor(dataType: .uint8, shape: [weight.outputs, rowBytes]) { target in
          guard let output = target.bindMemory(to: UInt8.self).baseAddress, let codes = codes.baseAddress else { return }
          for row in 0..<weight.outputs {
            dso_encode_blocks(
              type, Int64(inputs), (codes + row * words * 4).assumingMemoryBound(to: UInt32.self),
              parts.row(row, blocks: inputs / blockSize, groups: weight.groups), output + row * rowBytes)
          }
        }
      }
    }
  }

  /// What blocks stand for.
  /// - Parameters:
  ///   - blocks: of any type and shape, as many bytes as the rows have.
  ///   - shape: of the weight, `[outputs, inputs]`.
  /// - Returns: nil when the bytes are of another number.
  package func decode(_ blocks: Tensor, shape: Shape) -> QuantizedTensor? {
    guard shape.rank == 2, shape[0] > 0, let rowBytes = rowBytes(inputs: shape[1]), blocks.byteCount == shape[0] * rowBytes else {
      return nil
    }
    let (outputs, inputs, groups) = (shape[0], shape[1], QuantizedTensor.groupCount(inputs: shape[1], scheme.granularity))
    let words = QuantizedTensor.wordsPerRow(inputs: inputs, bits: scheme.bits)
    let parts = BlockParts(scheme, outputs: outputs, blocks: inputs / blockSize, groups: groups)
    let codes = Tensor(dataType: .int32, shape: [outputs, words]) { target in
      blocks.withUnsafeBytes { bytes in
        parts.withUnsafeParts { parts in
          guard let output = target.bindMemory(to: UInt32.self).baseAddress, let from = bytes.bindMemory(to: UInt8.self).baseAddress else {
            return
          }
          for row in 0..<outputs {
            dso_decode_blocks(
              type, Int64(inputs), from + row * rowBytes, output + row * words,
              parts.row(row, blocks: inputs / blockSize, groups: groups))
          }
        }
      }
    }
    return parts.weight(scheme, shape: shape, codes: codes)
  }
}
