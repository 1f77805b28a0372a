import ModelGraph

/// Keys and values of the tokens already seen, one sequence, float32, one pair of matrices per attention node. They grow as tokens come.
public final class KeyValueCache: @unchecked Sendable {
  /// The most tokens it may hold.
  public let capacity: Int
  /// Tokens that every block has seen.
  public internal(set) var length = 0
  private var entries: [ValueID: (keys: Matrix, values: Matrix)] = [:]

  public init(capacity: Int) { self.capacity = capacity }

  /// The matrices of the attention node that computes `output`, with room for `rows` tokens.
  func entry(for output: ValueID, rows: Int, keyWidth: Int, valueWidth: Int) -> (keys: Matrix, values: Matrix) {
    let old = entries[output]
    if let old, old.keys.rows >= rows { return old }
    let size = min(capacity, max(rows, 64, (old?.keys.rows ?? 0) * 2))
    let entry = (keys: Matrix(rows: size, columns: keyWidth), values: Matrix(rows: size, columns: valueWidth))
    if let old {
      entry.keys.pointer.update(from: old.keys.pointer, count: length * keyWidth)
      entry.values.pointer.update(from: old.values.pointer, count: length * valueWidth)
    }
    entries[output] = entry
    return entry
  }
}
