/// Tokens by their bytes and by their ids: an open-addressing table over one stretch of memory.
struct Vocabulary: Sendable {
  private var bytes: [UInt8] = []
  /// Where each entry's bytes start; one more than there are entries.
  private var starts: [Int] = [0]
  private var ids: [Int32] = []
  private var table: [Int32]
  private var entryOfID: [Int32: Int32] = [:]

  init(capacity: Int) {
    var size = 16
    while size < capacity * 2 { size *= 2 }
    table = [Int32](repeating: -1, count: size)
    starts.reserveCapacity(capacity + 1)
    ids.reserveCapacity(capacity)
    entryOfID.reserveCapacity(capacity)
  }

  var count: Int { ids.count }

  /// Adds a token, or gives a known one another id.
  mutating func insert(_ token: [UInt8], id: Int32) {
    token.withUnsafeBufferPointer { buffer in
      if let entry = entry(of: buffer) {
        ids[entry] = id
        entryOfID[id] = Int32(entry)
        return
      }
      if (ids.count + 1) * 2 > table.count { grow() }
      let entry = Int32(ids.count)
      bytes += buffer
      starts.append(bytes.count)
      ids.append(id)
      entryOfID[id] = entry
      place(entry, buffer)
    }
  }

  func id(of token: UnsafeBufferPointer<UInt8>) -> Int32? { entry(of: token).map { ids[$0] } }

  func id(of token: String) -> Int32? {
    Array(token.utf8).withUnsafeBufferPointer { id(of: $0) }
  }

  func token(for id: Int32) -> [UInt8]? {
    entryOfID[id].map { Array(bytes[starts[Int($0)]..<starts[Int($0) + 1]]) }
  }

  private func entry(of token: UnsafeBufferPointer<UInt8>) -> Int? {
    let mask = table.count - 1
    var slot = Int(truncatingIfNeeded: token.wordHash) & mask
    return bytes.withUnsafeBufferPointer { bytes in
      while table[slot] >= 0 {
        let entry = Int(table[slot])
        if token.equals(bytes, starts[entry], starts[entry + 1]) { return entry }
        slot = (slot + 1) & mask
      }
      return nil
    }
  }

  private mutating func place(_ entry: Int32, _ token: UnsafeBufferPointer<UInt8>) {
    let mask = table.count - 1
    var slot = Int(truncatingIfNeeded: token.wordHash) & mask
    while table[slot] >= 0 { slot = (slot + 1) & mask }
    table[slot] = entry
  }

  private mutating func grow() {
    table = [Int32](repeating: -1, count: table.count * 2)
    let bytes = bytes
    bytes.withUnsafeBufferPointer { buffer in
      for entry in ids.indices { place(Int32(entry), buffer.part(starts[entry], starts[entry + 1])) }
    }
  }
}

extension UnsafeBufferPointer<UInt8> {
  /// A hash of a word, eight bytes at a time.
  @inline(__always)
  var wordHash: UInt64 {
    var hash = UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15
    guard let base = baseAddress else { return hash }
    let raw = UnsafeRawPointer(base)
    var offset = 0
    while offset + 8 <= count {
      hash = (hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0xD6E8_FEB8_6659_FD93
      hash ^= hash >> 32
      offset += 8
    }
    var rest: UInt64 = 0
    while offset < count {
      rest = rest << 8 | UInt64(self[offset])
      offset += 1
    }
    hash = (hash ^ rest) &* 0xD6E8_FEB8_6659_FD93
    return hash ^ hash >> 32
  }

  @inline(__always)
  func equals(_ other: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
    guard end - start == count else { return false }
    for index in 0..<count where self[index] != other[start + index] { return false }
    return true
  }
}
