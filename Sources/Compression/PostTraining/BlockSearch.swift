import CKernels
import Diagnostics
import Execution
import Tensors

/// The search for codes, scales and minima of GGUF's block types that no grid of integers and zero points describes: k-quants, types with
/// minima, types with levels. What counts is the squared error of the weights as they will be read, weighed by the importance of their inputs.
struct BlockSearch {
  private let codec: BlockCodec
  /// Blocks that one call of the kernel takes where rows have fewer.
  private static let blocksTogether = 64

  /// Nil for schemes that a ``GridTable`` holds, and for those that are no block type.
  init?(_ scheme: QuantizationScheme) {
    guard scheme.levels != .even || scheme.offset == .minimum || scheme.scales != .direct, let codec = BlockCodec(scheme) else {
      return nil
    }
    self.codec = codec
  }

  /// - Parameters:
  ///   - name: for errors.
  ///   - importance: of each input; nil where all count alike.
  ///   - elements: how the importance of an input becomes that of its weights.
  func quantize(
    _ weight: WeightRows, named name: String, importance: [Float]? = nil, elements: ElementImportance = .column, pool: ThreadPool
  ) throws(CompressionError) -> QuantizedTensor {
    let (rows, columns, scheme) = (weight.rows, weight.columns, codec.scheme)
    guard codec.rowBytes(inputs: columns) != nil else {
      throw CompressionError(
        name, "has \(columns) inputs, which blocks of \(codec.blockSize) do not divide", remedy: "--ignore it, or use another type",
        kind: .usage)
    }
    let groups = QuantizedTensor.groupCount(inputs: columns, scheme.granularity)
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: scheme.bits)
    let blocks = columns / codec.blockSize
    let parts = BlockParts(scheme, outputs: rows, blocks: blocks, groups: groups)
    // The search takes blocks side by side, across rows: short rows come together.
    let together = max(1, min(rows, Self.blocksTogether / blocks))
    let tasks = (rows + together - 1) / together
    var nonfinite = [Int64](repeating: 0, count: tasks)
    // Whole vectors, so that what follows in the scratch memory is aligned as the kernels' own is.
    let valueBytes = (together * columns * 4 + 63) / 64 * 64
    let number = codec.number
    let codes = nonfinite.withUnsafeMutableBufferPointer { nonfinite in
      Tensor(dataType: .int32, shape: [rows, words]) { target in
        guard let output = target.bindMemory(to: UInt32.self).baseAddress else { return }
        parts.withUnsafeParts { parts in
          importance.withOptionalPointer { importance in
            // Every task writes the rows it was given, and only those.
            nonisolated(unsafe) let (output, nonfinite, parts, importance) = (output, nonfinite, parts, importance)
            pool.run(tasks, scratchBytes: valueBytes + Int(dso_block_search_scratch_bytes(Int64(columns)))) { task, scratch in
              var search = dso_block_search()
              search.type = dso_block_type(number)
              search.by_magnitude = elements == .imatrix && importance != nil ? 1 : 0
              let values = scratch.bindMemory(to: Float.self, capacity: together * columns)
              let (first, count) = (task * together, min(together, rows - task * together))
              for row in 0..<count { weight.read(row: first + row, into: values + row * columns) }
              nonfinite[task] = dso_quantize_blocks(
                &search, values, Int64(columns), Int64(count), Int64(columns), importance, output + first * words,
                parts.row(first, blocks: blocks, groups: groups), scratch + valueBytes)
            }
          }
        }
      }
    }
    try GridTable.requireFinite(Int(nonfinite.reduce(0, +)), named: name)
    guard let tensor = parts.weight(scheme, shape: [rows, columns], codes: codes) else {
      throw CompressionError(name, "cannot be held as \(scheme.name)", kind: .usage)
    }
    return tensor
  }
}
