import Foundation
import Testing

@testable import Formats

/// Structures of HDF5 that no library writes, byte for byte: groups whose links lead anywhere.
///
/// The layout is that of `HDF5Superblock` and `HDF5ObjectHeader`: a superblock of version 0, object headers of version 1.
struct HDF5Sketch {
  enum Link {
    case hard(String, to: Int)
    case soft(String, to: String)
  }

  private(set) var bytes = [UInt8](repeating: 0, count: HDF5Sketch.superblockSize)
  static let superblockSize = 96
  private static let nowhere = [UInt8](repeating: 0xFF, count: 8)

  /// Where the next header will be.
  var end: Int { bytes.count }

  /// A group's header: link info without a heap, and its links.
  static func group(_ links: [Link]) -> [UInt8] {
    header([message(2, [0, 0] + nowhere + nowhere)] + links.map { message(6, body(of: $0)) })
  }

  static func header(_ messages: [[UInt8]]) -> [UInt8] {
    let body = messages.joined()
    return [1, 0] + HDF5Fixture.littleEndian(UInt64(messages.count), 2) + [1, 0, 0, 0] + HDF5Fixture.littleEndian(UInt64(body.count), 4)
      + [0, 0, 0, 0] + body
  }

  /// Type, size, no flags, padding, the body padded to 8 bytes.
  static func message(_ type: UInt64, _ body: [UInt8]) -> [UInt8] {
    let padded = body + [UInt8](repeating: 0, count: (8 - body.count % 8) % 8)
    return HDF5Fixture.littleEndian(type, 2) + HDF5Fixture.littleEndian(UInt64(padded.count), 2) + [0, 0, 0, 0] + padded
  }

  private static func body(of link: Link) -> [UInt8] {
    switch link {
    case .hard(let name, let address): [1, 0, UInt8(name.utf8.count)] + name.utf8 + HDF5Fixture.littleEndian(UInt64(address), 8)
    case .soft(let name, let target):
      [1, 8, 1, UInt8(name.utf8.count)] + name.utf8 + HDF5Fixture.littleEndian(UInt64(target.utf8.count), 2) + target.utf8
    }
  }

  mutating func append(_ header: [UInt8]) { bytes += header }

  /// Writes it with the superblock, the root's header being at an address.
  func write(to url: URL, root: Int = superblockSize) throws {
    let number = { (value: Int) in HDF5Fixture.littleEndian(UInt64(value), 8) }
    var start = HDF5File.signature + [0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0]
    start += number(0) + Self.nowhere + number(bytes.count) + Self.nowhere
    start += number(0) + number(root) + [UInt8](repeating: 0, count: 24)
    try #require(start.count == Self.superblockSize)
    try Data(start + bytes.dropFirst(Self.superblockSize)).write(to: url)
  }
}
