import Foundation
import Tensors

/// A zip archive whose members are stored as they are, as `.keras` files have them: every member is a stretch of the mapped file.
///
/// Read by its central directory (PKWARE's APPNOTE 6.3.10), with the 64-bit extension. Compressed and encrypted members, archives over several
/// disks, and members that overlap are refused, so that no archive unfolds into more than it is.
struct StoredArchive: Sendable {
  struct Member: Sendable {
    let archive: MappedFile
    let bytes: Range<Int>
  }

  private let members: [String: Member]
  private let file: MappedFile

  /// Names more than this are no model's.
  private static let greatestMemberCount = 4096

  init(opening url: URL) throws(CheckpointError) {
    let mapping = try MappedFile(url)
    file = mapping
    let bytes = mapping.bytes
    let directory = try Self.directory(in: bytes, url)
    guard directory.count <= Self.greatestMemberCount else { throw Self.malformed(url, "it holds \(directory.count) members") }
    var members: [String: Member] = [:]
    var offset = directory.offset
    for _ in 0..<directory.count {
      let entry = try Entry(at: offset, in: bytes, url)
      offset = entry.end
      let range = try Self.content(of: entry, in: bytes, before: directory.offset, url)
      guard members.updateValue(Member(archive: mapping, bytes: range), forKey: entry.name) == nil else {
        throw Self.malformed(url, "it holds \(CheckpointError.shortened(entry.name)) twice")
      }
    }
    let ranges = members.values.map(\.bytes).sorted { $0.lowerBound < $1.lowerBound }
    guard zip(ranges, ranges.dropFirst()).allSatisfy({ $0.upperBound <= $1.lowerBound }) else {
      throw Self.malformed(url, "its members overlap")
    }
    self.members = members
  }

  /// - Throws: when there is no such member.
  func member(_ name: String) throws(CheckpointError) -> Member {
    guard let member = members[name] else {
      throw Self.malformed(file.file, "it holds no \(name)", remedy: "give a .keras file that Keras 3 saved")
    }
    return member
  }

  fileprivate static func malformed(
    _ url: URL, _ problem: String, remedy: String = "save the model again with Keras 3"
  ) -> CheckpointError { .malformed(file: url, problem, remedy: remedy) }
}

extension StoredArchive {
  fileprivate struct Entry {
    let name: String
    let size: Int
    let headerOffset: Int
    let end: Int
  }

  /// Little-endian numbers; nil beyond the end.
  fileprivate static func number(_ offset: Int, _ width: Int, in bytes: UnsafeRawBufferPointer) -> Int? {
    guard offset >= 0, width <= bytes.count, offset <= bytes.count - width else { return nil }
    var value: UInt64 = 0
    for index in 0..<width { value |= UInt64(bytes[offset + index]) << (8 * index) }
    return Int(exactly: value)
  }

  /// How many members there are, and where the central directory starts.
  private static func directory(in bytes: UnsafeRawBufferPointer, _ url: URL) throws(CheckpointError) -> (count: Int, offset: Int) {
    // The end record is the last thing in the file, but for a comment of up to 65,535 bytes.
    var end = bytes.count - 22
    while end >= max(0, bytes.count - 22 - 65_535), number(end, 4, in: bytes) != 0x0605_4B50 { end -= 1 }
    guard end >= 0, number(end, 4, in: bytes) == 0x0605_4B50, let count = number(end + 10, 2, in: bytes),
      let offset = number(end + 16, 4, in: bytes)
    else { throw malformed(url, "not a zip archive, which .keras files are") }
    guard number(end + 4, 2, in: bytes) == 0 || number(end + 4, 2, in: bytes) == 0xFFFF else {
      throw malformed(url, "it is one part of an archive of several")
    }
    guard count == 0xFFFF || offset == 0xFFFF_FFFF else { return (count, offset) }
    guard number(end - 20, 4, in: bytes) == 0x0706_4B50, let record = number(end - 12, 8, in: bytes),
      number(record, 4, in: bytes) == 0x0606_4B50, let wideCount = number(record + 32, 8, in: bytes),
      let wideOffset = number(record + 48, 8, in: bytes)
    else { throw malformed(url, "its 64-bit directory is damaged") }
    return (wideCount, wideOffset)
  }

  private static func content(
    of entry: Entry, in bytes: UnsafeRawBufferPointer, before directory: Int, _ url: URL
  ) throws(CheckpointError) -> Range<Int> {
    let header = entry.headerOffset
    guard number(header, 4, in: bytes) == 0x0403_4B50, let nameLength = number(header + 26, 2, in: bytes),
      let extraLength = number(header + 28, 2, in: bytes)
    else { throw malformed(url, "the header of \(CheckpointError.shortened(entry.name)) is damaged") }
    let start = header + 30 + nameLength + extraLength
    guard start <= directory, entry.size <= directory - start else {
      throw malformed(url, "\(CheckpointError.shortened(entry.name)) does not lie inside the file")
    }
    return start..<start + entry.size
  }
}

extension StoredArchive.Entry {
  /// Reads an entry of the central directory.
  fileprivate init(at offset: Int, in bytes: UnsafeRawBufferPointer, _ url: URL) throws(CheckpointError) {
    func number(_ relative: Int, _ width: Int) -> Int? { StoredArchive.number(offset + relative, width, in: bytes) }
    guard number(0, 4) == 0x0201_4B50, let flags = number(8, 2), let method = number(10, 2), let packed = number(20, 4),
      let size = number(24, 4), let nameLength = number(28, 2), let extraLength = number(30, 2), let commentLength = number(32, 2),
      let header = number(42, 4), offset + 46 + nameLength + extraLength + commentLength <= bytes.count
    else { throw StoredArchive.malformed(url, "its directory is damaged") }
    let nameStart = offset + 46
    guard let name = String(validating: bytes[nameStart..<nameStart + nameLength], as: UTF8.self) else {
      throw StoredArchive.malformed(url, "the name of a member is not UTF-8")
    }
    guard method == 0, flags & 1 == 0 else {
      throw StoredArchive.malformed(
        url, "its \(CheckpointError.shortened(name)) is compressed or encrypted",
        remedy: "Keras stores members as they are; unpack it, and pack it again with zip -0")
    }
    self.name = name
    end = nameStart + nameLength + extraLength + commentLength
    // The 64-bit extension, field 1, has what does not fit in the entry: size, packed size, offset, in this order.
    var wide: [Int] = []
    var field = nameStart + nameLength
    while field + 4 <= nameStart + nameLength + extraLength {
      guard let kind = StoredArchive.number(field, 2, in: bytes), let length = StoredArchive.number(field + 2, 2, in: bytes) else { break }
      if kind == 1 { wide = stride(from: 0, to: length - 7, by: 8).compactMap { StoredArchive.number(field + 4 + $0, 8, in: bytes) } }
      field += 4 + length
    }
    func resolved(_ value: Int) throws(CheckpointError) -> Int {
      guard value == 0xFFFF_FFFF else { return value }
      guard !wide.isEmpty else { throw StoredArchive.malformed(url, "its 64-bit directory is damaged") }
      return wide.removeFirst()
    }
    self.size = try resolved(size)
    let stored = try resolved(packed)
    headerOffset = try resolved(header)
    guard stored == self.size else { throw StoredArchive.malformed(url, "a stored member has two sizes") }
  }
}
