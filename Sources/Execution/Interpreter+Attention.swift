import CKernels
import ModelGraph

extension Interpreter {
  /// Attention over the keys and values of the batch, or over those of a cache that take the batch's in first. What is stored is what is
  /// attended to: with an int8 cache, or without a cache when ``keyValues`` says so, the batch's own keys and values are rounded too.
  func attend(
    _ queries: Matrix, _ keys: Matrix, _ values: Matrix, _ attention: Attention, _ layout: SequenceLayout,
    cache: KeyValueCache?, node: Node
  ) throws -> Matrix {
    let stored: KeyValues
    if let cache {
      stored = cache.entry(for: node.output, rows: cache.length + keys.rows, attention)
      if cache.sequences == 1 {
        stored.store(keys, values, at: cache.length, pool: pool)
      } else {
        for (index, sequence) in layout.sequences.enumerated() {
          stored.store(
            keys, values, rows: sequence.row..<sequence.row + sequence.length, at: cache.firstRow(of: index) + cache.length)
        }
      }
    } else if keyValues == .none {
      stored = .float(keys: keys, values: values)
    } else {
      stored = KeyValues(rows: keys.rows, attention, keyValues)
      stored.store(keys, values, at: 0, pool: pool)
    }
    if let selection = attention.selection {
      let output = Matrix(rows: queries.rows, columns: attention.queryHeads * attention.valueDimension)
      attendSelected(queries, stored, attention, selection, layout, cache: cache, node: node, into: output)
      return output
    }
    return try attend(queries, stored, attention, layout.spans(in: cache))
  }

  /// Every head of every sequence for itself; of several processes that run the same rows each computes some heads.
  func attend(_ queries: Matrix, _ stored: KeyValues, _ attention: Attention, _ spans: [SequenceSpan]) throws -> Matrix {
    let (heads, own) = divided(heads: attention.queryHeads)
    let output = Matrix(uninitializedRows: queries.rows, columns: attention.queryHeads * attention.valueDimension)
    let shared = attention.queryHeads / attention.keyValueHeads
    pool.run(spans.count * own.count, scratchBytes: stored.scratchBytes(attention)) { task, scratch in
      let span = spans[task / own.count]
      let head = own.lowerBound + task % own.count
      let place = AttentionPlace(
        queries: queries.row(span.row) + head * attention.headDimension, queryDistance: queries.columns,
        output: output.row(span.row) + head * attention.valueDimension, outputDistance: output.columns,
        keyHead: head / shared, keyRow: span.keyRow, keyCount: span.keyCount, queryCount: span.length)
      stored.attend(place, attention, scratch)
    }
    let width = attention.valueDimension
    try gather(heads.map { $0.lowerBound * width..<$0.upperBound * width }, of: output)
    return output
  }
}

/// Where the queries of a sequence are, and the keys that they may look at.
struct SequenceSpan {
  /// Of the first query.
  let row: Int
  let length: Int
  /// Of the first key.
  let keyRow: Int
  let keyCount: Int
}

extension SequenceLayout {
  /// In a batch keys lie beside the queries; in a cache they start with the sequence's first token.
  func spans(in cache: KeyValueCache?) -> [SequenceSpan] {
    sequences.enumerated().map { index, sequence in
      SequenceSpan(
        row: sequence.row, length: sequence.length, keyRow: cache?.firstRow(of: index) ?? sequence.row,
        keyCount: cache == nil ? sequence.length : sequence.position + sequence.length)
    }
  }
}

/// One head of one sequence: where its queries and its result are, and which keys it looks at.
private struct AttentionPlace {
  let queries: UnsafeMutablePointer<Float>
  let queryDistance: Int
  let output: UnsafeMutablePointer<Float>
  let outputDistance: Int
  let keyHead, keyRow, keyCount, queryCount: Int
}

extension KeyValues {
  fileprivate func scratchBytes(_ attention: Attention) -> Int {
    let (width, valueWidth) = (Int64(attention.headDimension), Int64(attention.valueDimension))
    switch self {
    case .float: return Int(dso_attention_scratch_bytes(width, valueWidth))
    case .int8: return Int(dso_attention_s8_scratch_bytes(width, valueWidth))
    }
  }

  fileprivate func attend(_ at: AttentionPlace, _ attention: Attention, _ scratch: UnsafeMutableRawPointer) {
    let (width, valueWidth) = (Int64(attention.headDimension), Int64(attention.valueDimension))
    let (queryCount, keyCount) = (Int64(at.queryCount), Int64(at.keyCount))
    let window = Int64(attention.slidingWindow ?? 0)
    // A query that stands behind all keys sees all of them.
    let position = attention.isCausal ? keyCount - queryCount : keyCount
    switch self {
    case .float(let keys, let values):
      dso_attention(
        at.queries, Int64(at.queryDistance), keys.row(at.keyRow) + at.keyHead * attention.headDimension, Int64(keys.columns),
        values.row(at.keyRow) + at.keyHead * attention.valueDimension, Int64(values.columns), at.output, Int64(at.outputDistance),
        queryCount, keyCount, position, width, valueWidth, attention.scale, window, scratch)
    case .int8(let keys, let values):
      var (key, value) = (keys.view(head: at.keyHead, row: at.keyRow), values.view(head: at.keyHead, row: at.keyRow))
      dso_attention_s8(
        at.queries, Int64(at.queryDistance), &key, &value, at.output, Int64(at.outputDistance), queryCount, keyCount,
        position, width, valueWidth, attention.scale, window, scratch)
    }
  }
}
