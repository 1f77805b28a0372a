import CKernels
import ModelGraph

/// The mean keys of the whole blocks of one attention node's sequences, from which queries choose: a row for each block, of every key head.
///
/// A block's mean does not change any more once the block is full, so that a cache finds it once.
final class PooledKeys: @unchecked Sendable {
  let matrix: Matrix

  init(rows: Int, _ attention: Attention) {
    matrix = Matrix(rows: max(1, rows), columns: attention.keyValueHeads * attention.headDimension)
  }

  /// Finds the means of some blocks of one sequence.
  /// - Parameters:
  ///   - row: of the sequence's first key in `keys`.
  ///   - first: the row that the sequence's first block has here.
  func pool(
    _ blocks: Range<Int>, of keys: KeyValues, from row: Int, at first: Int, head: Int, _ attention: Attention, _ selection: BlockSelection
  ) {
    guard !blocks.isEmpty else { return }
    let width = attention.headDimension
    let target = matrix.row(first + blocks.lowerBound) + head * width
    let start = row + blocks.lowerBound * selection.block
    switch keys {
    case .float(let keys, _):
      dso_pool_keys(
        keys.row(start) + head * width, Int64(keys.columns), Int64(blocks.count), Int64(selection.block), Int64(width), target,
        Int64(matrix.columns))
    case .int8(let keys, _):
      var view = keys.view(head: head, row: start)
      dso_pool_keys_s8(&view, Int64(blocks.count), Int64(selection.block), Int64(width), target, Int64(matrix.columns))
    }
  }
}

extension BlockSelection {
  /// How many blocks of a sequence are full.
  func blocks(of tokens: Int) -> Int { tokens / block }

  /// Bytes of scratch that choosing takes.
  func scratchBytes(positions: Int) -> Int { Int(dso_select_blocks_scratch_bytes(Int64(positions), Int64(block))) }

  /// The blocks that queries of one head see.
  /// - Parameters:
  ///   - position: of the first of them.
  ///   - pooled: the sequence's mean keys, this head's.
  func chosen(
    by queries: UnsafePointer<Float>, distance: Int, count queryCount: Int, position: Int, from pooled: UnsafePointer<Float>,
    pooledDistance: Int, width: Int, into chosen: UnsafeMutablePointer<Int32>, _ scratch: UnsafeMutableRawPointer
  ) {
    dso_select_blocks(
      queries, Int64(distance), pooled, Int64(pooledDistance), Int64(queryCount), Int64(position), Int64(width), Int64(block),
      Int64(count), chosen, scratch)
  }
}
