/// Collects what the library's visitors report, up to a limit.
struct HDF5NameList {
  struct Entry {
    let bytes: [UInt8]
    /// What the visitor said of it: of a link, whether it is hard.
    let kind: Int32
    /// Where the header is that a hard link leads to, counted from the superblock.
    let address: UInt64
    /// Nil when the bytes are not UTF-8.
    var name: String? { String(validating: bytes, as: UTF8.self) }
  }

  private(set) var entries: [Entry] = []
  private(set) var isOverfull = false
  let limit: Int

  init(limit: Int) { self.limit = limit }

  /// Returns what a visitor returns: 0 to go on, 1 to stop.
  mutating func append(_ name: UnsafePointer<CChar>, kind: Int32, address: UInt64 = 0) -> Int32 {
    guard entries.count < limit else {
      isOverfull = true
      return 1
    }
    var end = name
    while end.pointee != 0 { end += 1 }
    entries.append(Entry(bytes: Array(UnsafeRawBufferPointer(start: name, count: end - name)), kind: kind, address: address))
    return 0
  }
}
