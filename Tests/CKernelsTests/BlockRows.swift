import CKernels
import Testing

/// Rows of codes and parts of one of GGUF's block types, with what the kernels do to them.
final class BlockRows {
  static let types = [
    DSO_BLOCKS_Q4_0, DSO_BLOCKS_Q4_1, DSO_BLOCKS_Q5_0, DSO_BLOCKS_Q5_1, DSO_BLOCKS_Q8_0, DSO_BLOCKS_Q2_K, DSO_BLOCKS_Q3_K,
    DSO_BLOCKS_Q4_K, DSO_BLOCKS_Q5_K, DSO_BLOCKS_Q6_K, DSO_BLOCKS_IQ4_NL, DSO_BLOCKS_MXFP4,
  ]

  let type: dso_block_type
  let format: dso_block_format
  let k: Int
  let rows: Int
  let words: GuardedArray<UInt32>
  let scales: GuardedArray<UInt16>
  let minima: GuardedArray<UInt16>
  let scaleCodes: GuardedArray<Int8>
  let minimumCodes: GuardedArray<UInt8>
  let exponents: GuardedArray<UInt8>

  init(type: dso_block_type, k: Int, rows: Int) {
    let format = dso_block_format_of(type)?.pointee ?? dso_block_format()
    self.type = type
    self.format = format
    self.k = k
    self.rows = rows
    let blocks = rows * k / Int(format.block), groups = rows * k / Int(format.group)
    let isPower = type == DSO_BLOCKS_MXFP4, isNested = format.nested != 0, hasMinima = format.minima != 0
    words = GuardedArray(count: rows * k / 32 * Int(format.bits), canary: 0xdddd_dddd)
    // What a type has not may not be written.
    scales = GuardedArray(count: isPower ? 0 : blocks, canary: 0xdddd)
    minima = GuardedArray(count: hasMinima ? blocks : 0, canary: 0xdddd)
    scaleCodes = GuardedArray(count: isNested ? groups : 0, canary: 0x5d)
    minimumCodes = GuardedArray(count: isNested && hasMinima ? groups : 0, canary: 0xdd)
    exponents = GuardedArray(count: isPower ? blocks : 0, canary: 0xdd)
  }

  static func block(of type: dso_block_type) -> Int { Int(dso_block_format_of(type)?.pointee.block ?? 32) }

  /// Of all rows together, which are one long row as well.
  var blockBytes: Int { rows * k / Int(format.block) * Int(format.bytes) }

  var parts: dso_block_parts {
    dso_block_parts(
      scales: scales.pointer, minima: minima.pointer, scale_codes: scaleCodes.pointer, minimum_codes: minimumCodes.pointer,
      exponents: exponents.pointer)
  }

  func decode(_ blocks: [UInt8]) { dso_decode_blocks(type, Int64(rows * k), blocks, words.pointer, parts) }

  func encoded() -> [UInt8] {
    let blocks = GuardedArray<UInt8>(count: blockBytes, canary: 0xdd)
    dso_encode_blocks(type, Int64(rows * k), words.pointer, parts, blocks.pointer)
    blocks.expectIntact("encoding of type \(type.rawValue)")
    return blocks.elements
  }

  /// Returns how many weights are not finite.
  func quantize(_ x: [Float], importance: [Float]? = nil, plain: Bool = false, byMagnitude: Bool = false) -> Int64 {
    var search = dso_block_search(type: type, plain: plain ? 1 : 0, by_magnitude: byMagnitude ? 1 : 0)
    let scratch = Scratch(bytes: dso_block_search_scratch_bytes(Int64(k)))
    return dso_quantize_blocks(&search, x, Int64(k), Int64(rows), Int64(k), importance, words.pointer, parts, scratch.pointer)
  }

  /// As the codes and the grids of groups say, each operation rounded.
  func weights() -> [Float] {
    let count = rows * k, bits = Int(format.bits), group = Int(format.group)
    var scales = [Float](repeating: 0, count: count / group), minima = scales
    dso_block_grids(type, Int64(count), parts, &scales, &minima)
    var codes = [UInt8](repeating: 0, count: count)
    dso_unpack_codes(words.pointer, Int64(count), format.bits, &codes)
    return codes.indices.map { index in
      let code = Int(codes[index]), scale = scales[index / group]
      if let levels = format.levels { return levels[code] * scale }
      if format.minima == 0 { return Float(code - (1 << (bits - 1))) * scale }
      let product = Float(code) * scale
      return product + minima[index / group]
    }
  }

  /// Sum of importance · (weight − represented weight)².
  func error(_ x: [Float], importance: [Float]? = nil) -> Double {
    let represented = weights()
    return x.indices.reduce(0) { sum, index in
      let rest = Double(x[index]) - Double(represented[index])
      return sum + Double(importance?[index % k] ?? 1) * rest * rest
    }
  }

  func expectIntact(_ label: String) {
    words.expectIntact(label)
    scales.expectIntact(label)
    minima.expectIntact(label)
    scaleCodes.expectIntact(label)
    minimumCodes.expectIntact(label)
    exponents.expectIntact(label)
  }
}
