import Foundation
import ModelGraph

/// Cosines and sines per position, computed once per kind of rotation and grown when longer contexts come.
final class RotaryTables: @unchecked Sendable {
  struct Table {
    let cosines: [Float]
    let sines: [Float]
    let positions: Int
  }

  private let lock = NSLock()
  private var tables: [RotaryEmbedding: Table] = [:]

  /// A table that covers positions below `positions`.
  func table(for rotary: RotaryEmbedding, positions: Int) -> Table {
    // Queries and keys turn alike: the number of heads does not matter.
    var key = rotary
    key.heads = 1
    lock.lock()
    defer { lock.unlock() }
    if let table = tables[key], table.positions >= positions { return table }
    let size = max(positions, 64, (tables[key]?.positions ?? 0) * 2)
    let (cosines, sines) = rotary.tables(positions: 0..<size)
    let table = Table(cosines: cosines, sines: sines, positions: size)
    tables[key] = table
    return table
  }
}
