import ModelGraph

/// Keys and values of the tokens already seen, one sequence, float32, one pair of matrices per attention node.
public final class KeyValueCache: @unchecked Sendable {
  /// The most tokens it holds.
  public let capacity: Int
  /// Tokens that every block has seen.
  public internal(set) var length = 0
  private var entries: [ValueID: (keys: Matrix, values: Matrix)] = [:]

  public init(capacity: Int) { self.capacity = capacity }

  /// The matrices of the attention node that computes `output`; made when first asked for.
  func entry(for output: ValueID, keyWidth: Int, valueWidth: Int) -> (keys: Matrix, values: Matrix) {
    if let entry = entries[output] { return entry }
    let entry = (
      keys: Matrix(rows: capacity, columns: keyWidth), values: Matrix(rows: capacity, columns: valueWidth)
    )
    entries[output] = entry
    return entry
  }
}
