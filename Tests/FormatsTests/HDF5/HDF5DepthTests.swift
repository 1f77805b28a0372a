import Diagnostics
import Foundation
import Testing

@testable import Formats

/// Structures that would lead for ever down or around: refused at once, in a line, on a stack that nobody has to enlarge.
@Suite struct HDF5DepthTests {
  private let directory: TemporaryDirectory
  private var url: URL { directory.url.appendingPathComponent("deep.h5") }

  init() throws { directory = try TemporaryDirectory() }

  private func expectRefusal(_ reason: String) {
    var error: CheckpointError?
    let time = ContinuousClock().measure { error = #expect(throws: CheckpointError.self) { try HDF5Checkpoint(opening: url) } }
    #expect(error?.kind == .badData)
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    // The lines name their place, which is as deep as the file; they stay lines.
    #expect(error.map { $0.description.utf8.count < 1000 } == true)
    #expect(time < .seconds(5), "\(time)")
  }

  /// One group in another, so many; the innermost has those links.
  private func chain(of count: Int, ending links: [HDF5Sketch.Link] = []) -> HDF5Sketch {
    var sketch = HDF5Sketch()
    let size = HDF5Sketch.group([.hard("g", to: 0)]).count
    for index in 1..<count { sketch.append(HDF5Sketch.group([.hard("g", to: HDF5Sketch.superblockSize + index * size)])) }
    sketch.append(HDF5Sketch.group(links))
    return sketch
  }

  @Test func tenThousandGroupsInEachOther() throws {
    try chain(of: 10_000).write(to: url)
    expectRefusal("nested deeper than 64")
  }

  @Test func asManyAsAreTaken() throws {
    try chain(of: 65).write(to: url)
    #expect(try HDF5Checkpoint(opening: url).descriptors.isEmpty)
    try chain(of: 66).write(to: url)
    expectRefusal("nested deeper than 64")
  }

  @Test(arguments: [1, 2, 40])
  func aWayBackToTheRoot(length: Int) throws {
    try chain(of: length, ending: [.hard("back", to: HDF5Sketch.superblockSize)]).write(to: url)
    expectRefusal("/back: this group is reached on two ways, so that the links form a cycle or an alias")
  }

  /// Every group links to every one: the ways through are more than can be counted.
  @Test func everyGroupInEveryGroup() throws {
    let count = 60
    let size = HDF5Sketch.group((0..<count).map { .hard("g\($0 + 100)", to: 0) }).count
    var sketch = HDF5Sketch()
    for _ in 0..<count {
      sketch.append(HDF5Sketch.group((0..<count).map { .hard("g\($0 + 100)", to: HDF5Sketch.superblockSize + $0 * size) }))
    }
    try sketch.write(to: url)
    expectRefusal("this group is reached on two ways")
  }

  @Test func aRingOfTenThousandSoftLinks() throws {
    let count = 10_000
    var sketch = HDF5Sketch()
    sketch.append(HDF5Sketch.group((0..<count).map { .soft("s\($0)", to: "/s\(($0 + 1) % count)") }))
    try sketch.write(to: url)
    expectRefusal("/s0: it is a soft link, which is not followed")
  }

  /// A header in ten thousand pieces, each saying where the next one is, the last saying that it is the first.
  @Test func aHeaderThatContinuesForEver() throws {
    let count = 10_000
    let size = HDF5Sketch.message(16, [UInt8](repeating: 0, count: 16)).count
    let first = HDF5Sketch.superblockSize + 16
    let pieces = (1...count).map { index -> [UInt8] in
      let next = UInt64(first + index % count * size)
      return HDF5Sketch.message(16, HDF5Fixture.littleEndian(next, 8) + HDF5Fixture.littleEndian(UInt64(size), 8))
    }
    var sketch = HDF5Sketch()
    sketch.append(HDF5Sketch.header([pieces[0]]))
    pieces.dropFirst().forEach { sketch.append($0) }
    try sketch.write(to: url)
    expectRefusal("its header is damaged")
  }

  /// A type of lists of lists, eight thousand deep: the library would go down them.
  @Test func aTypeInATypeInAType() throws {
    let list: [UInt8] = [0x19, 0, 0, 0, 16, 0, 0, 0]
    let integer: [UInt8] = [0x10, 8, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0]
    let type = (0..<8000).flatMap { _ in list } + integer
    var sketch = HDF5Sketch()
    sketch.append(HDF5Sketch.header([HDF5Sketch.message(1, [1, 0, 0, 0, 0, 0, 0, 0]), HDF5Sketch.message(3, type)]))
    let root = sketch.end
    sketch.append(HDF5Sketch.group([.hard("weight", to: HDF5Sketch.superblockSize)]))
    try sketch.write(to: url, root: root)
    expectRefusal("/weight: its type is damaged")
  }

  /// The same type, of an attribute of the root.
  @Test func anAttributeOfATypeInATypeInAType() throws {
    let list: [UInt8] = [0x19, 0, 0, 0, 16, 0, 0, 0]
    let integer: [UInt8] = [0x10, 8, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0]
    let type = (0..<8000).flatMap { _ in list } + integer + [0, 0, 0, 0]
    // Version, no flags, the sizes of name, type and shape; the name, padded to 8 bytes; no extents; an element that is nowhere.
    let sizes = [UInt64(2), UInt64(type.count), 8].flatMap { HDF5Fixture.littleEndian($0, 2) }
    let parts = [UInt8(ascii: "a"), 0, 0, 0, 0, 0, 0, 0] + type + [1, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16)
    let nowhere = [UInt8](repeating: 0xFF, count: 16)
    var sketch = HDF5Sketch()
    sketch.append(HDF5Sketch.header([HDF5Sketch.message(2, [0, 0] + nowhere), HDF5Sketch.message(12, [1, 0] + sizes + parts)]))
    try sketch.write(to: url)
    expectRefusal("an attribute of it is damaged")
  }

  /// The library goes down a B-tree by a call for each level: here a node is its own child.
  @Test(arguments: [("victim", 0, 8, "the names in this group are damaged"), ("chunked", 1, 32, "the index of its chunks is damaged")])
  func aTreeThatGrowsOutOfItself(name: String, kind: UInt8, keySize: Int, reason: String) throws {
    var bytes = [UInt8](try Data(contentsOf: HDF5Fixture.url(name)))
    let node = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("TREE".utf8) + [kind]) })
    bytes[node + 5] = 1
    bytes.replaceSubrange(node + 24 + keySize..<node + 32 + keySize, with: HDF5Fixture.littleEndian(UInt64(node), 8))
    try Data(bytes).write(to: url)
    expectRefusal(reason)
  }
}
