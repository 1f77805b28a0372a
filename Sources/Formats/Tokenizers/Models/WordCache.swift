/// Remembers the tokens of words. Bounded: when it is full it starts anew.
final class WordCache {
  private struct Entry {
    var hash: UInt64
    var keyStart: Int32
    var keyLength: Int32
    var tokenStart: Int32
    /// -1 marks a free slot.
    var tokenCount: Int32
  }

  private static let capacity = 1 << 16
  /// Longer words rarely come twice.
  static let longestWord = 128
  /// A crowded stretch of the table is given up rather than searched.
  private static let longestProbe = 16

  private var entries: [Entry] = []
  private var keys: [UInt8] = []
  private var tokens: [Int32] = []
  private var used = 0

  /// Appends the tokens of a known word; false for an unknown one.
  @inline(__always)
  func find(_ word: UnsafeBufferPointer<UInt8>, _ hash: UInt64, into output: inout [Int32]) -> Bool {
    guard !entries.isEmpty else { return false }
    var slot = Int(truncatingIfNeeded: hash) & (Self.capacity - 1)
    return entries.withUnsafeBufferPointer { entries in
      for _ in 0..<Self.longestProbe {
        let entry = entries[slot]
        if entry.tokenCount < 0 { return false }
        if entry.hash == hash,
          keys.withUnsafeBufferPointer({ word.equals($0, Int(entry.keyStart), Int(entry.keyStart + entry.keyLength)) })
        {
          for index in Int(entry.tokenStart)..<Int(entry.tokenStart + entry.tokenCount) { output.append(tokens[index]) }
          return true
        }
        slot = (slot + 1) & (Self.capacity - 1)
      }
      return false
    }
  }

  func insert(_ word: UnsafeBufferPointer<UInt8>, _ hash: UInt64, _ result: [Int32]) {
    guard word.count <= Self.longestWord else { return }
    if entries.isEmpty || used * 2 > Self.capacity { clear() }
    var slot = Int(truncatingIfNeeded: hash) & (Self.capacity - 1)
    for _ in 0..<Self.longestProbe {
      if entries[slot].tokenCount < 0 {
        entries[slot] = Entry(
          hash: hash, keyStart: Int32(keys.count), keyLength: Int32(word.count), tokenStart: Int32(tokens.count),
          tokenCount: Int32(result.count))
        keys += word
        tokens += result
        used += 1
        return
      }
      slot = (slot + 1) & (Self.capacity - 1)
    }
  }

  private func clear() {
    let free = Entry(hash: 0, keyStart: 0, keyLength: 0, tokenStart: 0, tokenCount: -1)
    entries = [Entry](repeating: free, count: Self.capacity)
    keys.removeAll(keepingCapacity: true)
    tokens.removeAll(keepingCapacity: true)
    used = 0
  }
}
