import ModelGraph

/// Keys and values of the tokens already seen, one pair of matrices per attention node, or the latents that they are made of: of one sequence,
/// for which they grow as tokens come, or of several that are equally long, each with room of its own.
public final class KeyValueCache: @unchecked Sendable {
  /// The most tokens it may hold.
  public let capacity: Int
  /// How it holds them.
  public let quantization: KeyValueQuantization
  /// How many there are.
  public let sequences: Int
  /// Tokens that every block has seen, of each.
  public internal(set) var length = 0
  private var entries: [ValueID: KeyValues] = [:]
  private var latents: [ValueID: LatentRows] = [:]
  private var pooled: [ValueID: PooledKeys] = [:]

  public init(capacity: Int, quantization: KeyValueQuantization = .none) {
    self.capacity = capacity
    self.quantization = quantization
    sequences = 1
  }

  /// Of several sequences, in float32.
  public init(sequences: Int, capacity: Int) {
    self.capacity = capacity
    self.sequences = max(1, sequences)
    quantization = .none
  }

  /// The row that the first token of a sequence has.
  func firstRow(of sequence: Int) -> Int { sequence * capacity }

  /// What the attention node that computes `output` has stored, with room for `rows` tokens.
  func entry(for output: ValueID, rows: Int, _ attention: Attention) -> KeyValues {
    grown(&entries[output], to: rows) { KeyValues(rows: $0, attention, quantization) }
  }

  /// The latents that the attention node that computes `output` has stored, with room for `rows` tokens.
  func latents(for output: ValueID, rows: Int, _ heads: LatentHeads) -> LatentRows {
    grown(&latents[output], to: rows) { LatentRows(rows: $0, heads, quantization) }
  }

  /// What is stored, moved into more room where there is less than for `rows` tokens. One sequence has room that grows; several have all of
  /// theirs from the start.
  private func grown<Rows: CachedRows>(_ stored: inout Rows?, to rows: Int, make: (Int) -> Rows) -> Rows {
    if let stored, stored.rows >= rows { return stored }
    let larger = make(sequences > 1 ? sequences * capacity : min(capacity, max(rows, 64, (stored?.rows ?? 0) * 2)))
    if let stored { larger.copy(from: stored, rows: length) }
    stored = larger
    return larger
  }

  /// Where the mean keys of the blocks of the attention node that computes `output` are kept; each sequence has room for as many.
  func pooledKeys(for output: ValueID, _ attention: Attention, _ selection: BlockSelection) -> PooledKeys {
    if let known = pooled[output] { return known }
    let keys = PooledKeys(rows: sequences * selection.blocks(of: capacity), attention)
    pooled[output] = keys
    return keys
  }

  /// Bytes that are allocated for keys and values, scales and mean keys included: rows grow in steps, so this is for some more tokens than ``length``.
  public var byteCount: Int {
    entries.values.reduce(0) { $0 + $1.rows * $1.bytesPerToken } + latents.values.reduce(0) { $0 + $1.rows * $1.bytesPerToken }
      + pooled.values.reduce(0) { $0 + $1.matrix.values * MemoryLayout<Float>.stride }
  }
}

/// What a cache holds of one attention node's tokens, a row of each.
protocol CachedRows {
  var rows: Int { get }
  /// Takes over the first rows of a smaller one of the same form.
  func copy(from other: Self, rows: Int)
}

/// Keys and values of one attention node, in either form.
enum KeyValues: CachedRows {
  case float(keys: Matrix, values: Matrix)
  case int8(keys: QuantizedHeads, values: QuantizedHeads)

  init(rows: Int, _ attention: Attention, _ quantization: KeyValueQuantization) {
    let (heads, keyWidth, valueWidth) = (attention.keyValueHeads, attention.headDimension, attention.valueDimension)
    switch quantization {
    case .none:
      self = .float(keys: Matrix(rows: rows, columns: heads * keyWidth), values: Matrix(rows: rows, columns: heads * valueWidth))
    case .int8:
      self = .int8(
        keys: QuantizedHeads(rows: rows, heads: heads, dimension: keyWidth),
        values: QuantizedHeads(rows: rows, heads: heads, dimension: valueWidth))
    }
  }

  var rows: Int {
    switch self {
    case .float(let keys, _): keys.rows
    case .int8(let keys, _): keys.rows
    }
  }

  var bytesPerToken: Int {
    switch self {
    case .float(let keys, let values): (keys.columns + values.columns) * MemoryLayout<Float>.stride
    case .int8(let keys, let values): keys.bytesPerToken + values.bytesPerToken
    }
  }

  func copy(from other: KeyValues, rows: Int) {
    switch (self, other) {
    case (.float(let keys, let values), .float(let oldKeys, let oldValues)):
      keys.pointer.update(from: oldKeys.pointer, count: rows * keys.columns)
      values.pointer.update(from: oldValues.pointer, count: rows * values.columns)
    case (.int8(let keys, let values), .int8(let oldKeys, let oldValues)):
      keys.copy(from: oldKeys, rows: rows)
      values.copy(from: oldValues, rows: rows)
    default: break
    }
  }

  /// Stores the keys and values of some rows from a row on, as they are: for the float form.
  func store(_ newKeys: Matrix, _ newValues: Matrix, rows: Range<Int>, at row: Int) {
    guard case .float(let keys, let values) = self else { return }
    keys.row(row).update(from: newKeys.row(rows.lowerBound), count: rows.count * newKeys.columns)
    values.row(row).update(from: newValues.row(rows.lowerBound), count: rows.count * newValues.columns)
  }

  /// Stores new keys and values from a row on, quantizing them where that is the form.
  func store(_ newKeys: Matrix, _ newValues: Matrix, at row: Int, pool: ThreadPool) {
    switch self {
    case .float(let keys, let values):
      keys.row(row).update(from: newKeys.pointer, count: newKeys.rows * newKeys.columns)
      values.row(row).update(from: newValues.pointer, count: newValues.rows * newValues.columns)
    case .int8(let keys, let values):
      keys.store(newKeys, at: row, pool: pool)
      values.store(newValues, at: row, pool: pool)
    }
  }
}
