/// Which pairs of tokens merge, in which order, into what: an open-addressing table.
struct MergeTable: Sendable {
  struct Merge: Sendable {
    var rank: UInt32
    var id: Int32
  }

  private static let free = UInt64.max
  private var keys: [UInt64]
  private var merges: [Merge]

  init(capacity: Int) {
    var size = 16
    while size < capacity * 2 { size *= 2 }
    keys = [UInt64](repeating: Self.free, count: size)
    merges = [Merge](repeating: Merge(rank: 0, id: 0), count: size)
  }

  /// Ids are not negative, so no key equals `free`.
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private func slot(of key: UInt64) -> Int {
    let mask = keys.count - 1
    let hash = key &* 0x9E37_79B9_7F4A_7C15
    var slot = Int(truncatingIfNeeded: hash >> 24) & mask
    while keys[slot] != Self.free, keys[slot] != key { slot = (slot + 1) & mask }
    return slot
  }

  /// A pair that comes again takes the later rank, as in the library. There is room for as many as the table was made for.
  mutating func insert(_ left: Int32, _ right: Int32, rank: Int, id: Int32) {
    let key = Self.key(left, right)
    let slot = slot(of: key)
    keys[slot] = key
    merges[slot] = Merge(rank: UInt32(truncatingIfNeeded: rank), id: id)
  }

  @inline(__always)
  func find(_ left: Int32, _ right: Int32) -> Merge? {
    let slot = slot(of: Self.key(left, right))
    return keys[slot] == Self.free ? nil : merges[slot]
  }
}
