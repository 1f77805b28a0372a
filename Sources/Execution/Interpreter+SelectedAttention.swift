import CKernels
import ModelGraph

extension Interpreter {
  /// Attention of queries to the blocks that they choose: the mean keys of blocks first, then every head of every sequence for itself.
  func attendSelected(
    _ queries: Matrix, _ stored: KeyValues, _ attention: Attention, _ selection: BlockSelection, _ layout: SequenceLayout,
    cache: KeyValueCache?, node: Node, into output: Matrix
  ) {
    let sequences = layout.sequences
    let (heads, width, valueWidth) = (attention.keyValueHeads, attention.headDimension, attention.valueDimension)
    /// What a sequence has: the row of its first key, of its first block, and its keys.
    let places: [(keyRow: Int, blockRow: Int, keys: Int)]
    let pooled: PooledKeys
    if let cache {
      pooled = cache.pooledKeys(for: node.output, attention, selection)
      places = sequences.enumerated().map { index, sequence in
        (cache.firstRow(of: index), index * selection.blocks(of: cache.capacity), sequence.position + sequence.length)
      }
    } else {
      var blocks = 0
      places = sequences.map { sequence in
        defer { blocks += selection.blocks(of: sequence.length) }
        return (sequence.row, blocks, sequence.length)
      }
      pooled = PooledKeys(rows: blocks, attention)
    }
    pool.run(sequences.count * heads) { task, _ in
      let place = places[task / heads]
      // What was full before has its means already.
      let full = selection.blocks(of: cache == nil ? 0 : sequences[task / heads].position)
      pooled.pool(
        full..<selection.blocks(of: place.keys), of: stored, from: place.keyRow, at: place.blockRow, head: task % heads, attention,
        selection)
    }
    let shared = attention.queryHeads / heads
    let longest = places.map(\.keys).max() ?? 0
    let selection = selection.among(keys: longest)
    let scratchBytes = max(
      selection.scratchBytes(positions: longest), Int(dso_attention_scratch_bytes(Int64(width), Int64(valueWidth))))
    pool.run(sequences.count * attention.queryHeads, scratchBytes: scratchBytes) { task, scratch in
      let sequence = sequences[task / attention.queryHeads], place = places[task / attention.queryHeads]
      let head = task % attention.queryHeads, keyHead = head / shared
      let own = queries.row(sequence.row) + head * width
      let position = place.keys - sequence.length
      var chosen = [Int32](repeating: 0, count: sequence.length * selection.count)
      chosen.withUnsafeMutableBufferPointer { chosen in
        guard let chosen = chosen.baseAddress else { return }
        selection.chosen(
          by: own, distance: queries.columns, count: sequence.length, position: position,
          from: pooled.matrix.row(place.blockRow) + keyHead * width, pooledDistance: pooled.matrix.columns, width: width, into: chosen,
          scratch)
        let target = output.row(sequence.row) + head * valueWidth
        switch stored {
        case .float(let keys, let values):
          dso_attention_selected(
            own, Int64(queries.columns), keys.row(place.keyRow) + keyHead * width, Int64(keys.columns),
            values.row(place.keyRow) + keyHead * valueWidth, Int64(values.columns), target, Int64(output.columns),
            Int64(sequence.length), Int64(place.keys), Int64(position), Int64(width), Int64(valueWidth), attention.scale,
            Int64(selection.block), Int64(selection.count), chosen, scratch)
        case .int8(let keys, let values):
          var (key, value) = (keys.view(head: keyHead, row: place.keyRow), values.view(head: keyHead, row: place.keyRow))
          dso_attention_selected_s8(
            own, Int64(queries.columns), &key, &value, target, Int64(output.columns), Int64(sequence.length), Int64(place.keys),
            Int64(position), Int64(width), Int64(valueWidth), attention.scale, Int64(selection.block), Int64(selection.count), chosen,
            scratch)
        }
      }
    }
  }
}
