import Diagnostics
import Foundation
import Tensors
import Testing

@testable import Formats

/// Every one of these is refused when it is opened, with a line that says why, before an element is read.
@Suite struct HDF5RefusalTests {
  @Test(arguments: [
    ("hostile-external-link", "/stolen: it is a link into another file"),
    ("hostile-soft-link", "/other: it is a soft link"),
    ("hostile-soft-link-loop", "/first: it is a soft link"),
    ("hostile-hard-link-cycle", "/model/again: this group is reached on two ways"),
    ("hostile-group-alias", "/same: this group is reached on two ways"),
    ("hostile-external-storage", "/stolen: its data lies in an external file"),
    ("hostile-virtual", "/stolen: it is a virtual dataset"),
    ("hostile-unwritten", "/bomb: it declares 4398046511104 bytes, and the file stores 0"),
    ("hostile-unwritten-chunks", "/bomb: it declares 4398046511104 bytes, and the file stores 0"),
    ("hostile-ratio", "/bomb: it declares 4294967296 bytes, and the file stores"),
    ("hostile-large-chunk", "/bomb: its chunks take 16777216 bytes"),
    ("hostile-overflow", "/bomb: its shape [2147483648, 2147483648, 2147483648] overflows"),
    ("hostile-outside", "/weight: its 64 bytes do not lie inside the file"),
    ("hostile-overlap", "so that they overlap"),
    ("hostile-lzf", "the filter \"lzf\""),
    ("hostile-scaleoffset", "the filter \"scaleoffset\""),
    ("hostile-plugin", "the filter \"zstd\""),
    ("hostile-twice-deflated", "the filter \"gzip\" twice"),
    ("hostile-deep", "nested deeper than 64"),
    ("hostile-same-name", "two datasets would both be the tensor model.weight"),
    ("hostile-slash", "\"model/norm\" is not an acceptable name"),
    ("hostile-dot", "\".\" is not an acceptable name"),
    ("hostile-nul", "two datasets would both be the tensor weight"),
    ("hostile-not-utf8", "not UTF-8"),
    ("hostile-aliases", "more than 8 names"),
    ("refused-string", "/names: it holds strings"),
    ("refused-variable", "/names: it holds strings"),
    ("refused-sequence", "/ragged: it holds elements of variable length"),
    ("refused-reference", "/pointers: it holds references"),
    ("refused-compound", "/complex: it holds compound elements"),
    ("refused-committed", "/weight: its type is a committed datatype"),
    ("refused-committed-object", "/type: it is neither a group nor a dataset"),
    ("refused-opaque", "/weight: it holds opaque elements of 2 bytes without an attribute dtype"),
    ("refused-enumeration", "/colour: it holds an enumeration that is not a boolean"),
    ("refused-float24", "/weight: its 3-byte floating-point format"),
    ("refused-precision", "/weight: its 4-byte integer format"),
    ("refused-null", "/weight: it has no elements"),
    ("damaged-truncated", "truncated"),
    ("damaged-chunk-extent", "/weight: the shape of its chunks is damaged"),
    ("damaged-rank", "/weight: its chunks have 2 dimensions, and it has 1"),
    ("damaged-chunk-count", "/bomb: it has 1048576 chunks"),
    ("damaged-names", "the names in this group are damaged"),
    ("damaged-link", "a link in this group is damaged"),
    ("damaged-string-size", "an attribute of it is damaged"),
    ("damaged-string-length", "an attribute of it is damaged"),
    ("damaged-free-space", "an attribute of it is damaged"),
    ("damaged-attribute", "an attribute of it is damaged"),
    ("damaged-text", "not an HDF5 file"),
  ])
  func refused(name: String, reason: String) throws {
    let error = #expect(throws: CheckpointError.self) { try HDF5Fixture.open(name) }
    #expect(error?.kind == .badData)
    let line = try #require(error?.description)
    #expect(line.contains("\(name).h5"), "\(line)")
    #expect(line.contains(reason), "\(line)")
    #expect(!line.contains("\n"))
  }

  @Test func theVictimItselfIsFine() throws {
    #expect(try HDF5Fixture.open("victim").descriptors.map(\.name) == ["secret"])
  }

  @Test(arguments: ["bad", "sum"])
  func damagedChunks(name: String) throws {
    let checkpoint = try HDF5Fixture.open("damaged-chunk")
    #expect(try checkpoint.tensor("good").bytes == HDF5Fixture.bytes(.float32, count: 4))
    let error = #expect(throws: CheckpointError.self) { try checkpoint.tensor(name) }
    #expect(error?.kind == .badData)
    #expect(error?.description.contains("tensor \(name)") == true)
  }

  /// The library would read on to the next 0, behind what it holds of the file.
  @Test func namesThatDoNotEndAreRefused() throws {
    var bytes = [UInt8](try Data(contentsOf: HDF5Fixture.url("victim")))
    let heap = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("HEAP".utf8)) })
    func number(_ position: Int) -> Int { (0..<8).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) } }
    let last = number(heap + 24) + number(heap + 8) - 1
    #expect(bytes[last] == 0)
    bytes[last] = UInt8(ascii: "x")
    try expectRefusal(of: bytes, "the names in this group are damaged")
  }

  /// The same of an attribute's name.
  @Test func namesOfAttributesThatDoNotEndAreRefused() throws {
    var bytes = [UInt8](try Data(contentsOf: HDF5Fixture.url("types")))
    let name = Array("dtype\0".utf8)
    let start = try #require(bytes.indices.first { bytes[$0...].starts(with: name) })
    bytes[start + 5] = UInt8(ascii: "x")
    try expectRefusal(of: bytes, "an attribute of it is damaged")
  }

  /// An attribute of more elements than its message has room for: the library copies as many as its shape says.
  @Test func attributesBeyondTheirMessagesAreRefused() throws {
    var bytes = [UInt8](try Data(contentsOf: HDF5Fixture.url("types")))
    // The name, padded; the type, 24 bytes; then the shape: its rank, 0, in the second byte.
    let start = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("dtype\0".utf8)) })
    let (type, space) = (start + 8, start + 32)
    #expect(bytes[type + 4] == 16 && bytes[space..<space + 2] == [1, 0])
    bytes[type + 4] = 200
    try expectRefusal(of: bytes, "an attribute of it is damaged")
  }

  /// The same of a filter's name, here of one that the library does not have itself.
  @Test func namesOfFiltersThatDoNotEndAreRefused() throws {
    var bytes = [UInt8](try Data(contentsOf: HDF5Fixture.url("chunked")))
    let name = Array("deflate\0".utf8)
    let start = try #require(bytes.indices.first { bytes[$0...].starts(with: name) })
    bytes[start + 7] = UInt8(ascii: "x")
    try expectRefusal(of: bytes, "its filters are damaged")
  }

  /// What a string takes is said where it is named, by its type, and where it lies. The library copies by the last, whatever the others say.
  @Test(arguments: ["", "length", "size"])
  func stringsThatAreNotWhatTheySay(changed: String) throws {
    var bytes = [UInt8](try Data(contentsOf: HDF5Fixture.url("damaged-string-size")))
    let heap = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("GCOL".utf8)) })
    let address = HDF5Fixture.littleEndian(UInt64(heap), 8)
    let name = try #require(bytes.indices.first { bytes[$0...].starts(with: address + [1, 0, 0, 0]) })
    let (length, typeSize, objectSize) = (name - 4, name - 32, heap + 24)
    #expect(bytes[length] == 16 && bytes[typeSize] == 16)
    switch changed {
    // An empty string, whose object is as large as before.
    case "length": bytes.replaceSubrange(length..<length + 4, with: [0, 0, 0, 0])
    case "size":
      bytes.replaceSubrange(objectSize..<objectSize + 8, with: HDF5Fixture.littleEndian(16, 8))
      bytes[typeSize] = 20
    // Mended, it is read: what follows is refused for what was changed.
    default: bytes.replaceSubrange(objectSize..<objectSize + 8, with: HDF5Fixture.littleEndian(16, 8))
    }
    guard changed.isEmpty else { return try expectRefusal(of: bytes, "an attribute of it is damaged") }
    let found = try withFile(of: bytes) { try HDF5Checkpoint(opening: $0).metadata["config.json"] }
    #expect(found == "{\"text\": \"here\"}")
  }

  /// The library takes a chunk to be as large as the layout says, and reads on behind one that is not.
  @Test(arguments: ["left out", "ends early"])
  func chunksThatUnfoldToLess(how: String) throws {
    var bytes = [UInt8](try Data(contentsOf: HDF5Fixture.url("chunked")))
    // A leaf of a tree of chunks: behind 24 bytes the size of the first, which filters it did not go through, its position, its address.
    let tree = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("TREE".utf8) + [1, 0]) })
    let (mask, address) = (tree + 28, tree + 32 + 24)
    if how == "left out" {
      bytes[mask] = 0xFF
    } else {
      let chunk = (0..<8).reduce(0) { $0 | Int(bytes[address + $1]) << (8 * $1) }
      // Four zeros, stored as they are, and their checksum.
      bytes.replaceSubrange(chunk..<chunk + 15, with: [0x78, 1, 1, 4, 0, 0xFB, 0xFF, 0, 0, 0, 0, 0, 4, 0, 1])
    }
    let refused = try withFile(of: bytes) { url in
      let checkpoint = try HDF5Checkpoint(opening: url)
      var refused: [String] = []
      for descriptor in checkpoint.descriptors {
        do { _ = try checkpoint.tensor(descriptor.name) } catch let error as CheckpointError { refused.append(error.problem) }
      }
      return refused
    }
    #expect(refused.count == 1 && refused[0].contains("a chunk does not unfold to"), "\(refused)")
  }

  @Test func everyTruncationIsRefused() throws {
    let directory = try TemporaryDirectory()
    let whole = try Data(contentsOf: HDF5Fixture.url("nested"))
    for length in stride(from: 0, to: whole.count, by: 509) {
      let url = directory.url.appendingPathComponent("cut-\(length).h5")
      try whole.prefix(length).write(to: url)
      let error = #expect(throws: CheckpointError.self, "\(length)") { try HDF5Checkpoint(opening: url) }
      #expect(error?.kind == .badData)
    }
  }

  @Test func aMissingFileAndADirectory() throws {
    let directory = try TemporaryDirectory()
    let missing = #expect(throws: CheckpointError.self) {
      try HDF5Checkpoint(opening: directory.url.appendingPathComponent("none.h5"))
    }
    #expect(missing?.kind == .missingInput)
    #expect(throws: CheckpointError.self) { try HDF5Checkpoint(opening: directory.url) }
  }

  @Test func aPipeIsNotWaitedFor() throws {
    let directory = try TemporaryDirectory()
    let url = directory.url.appendingPathComponent("pipe.h5")
    #expect(mkfifo(url.path, 0o600) == 0)
    #expect(throws: CheckpointError.self) { try HDF5Checkpoint(opening: url) }
  }

  /// A file of such bytes, for as long as `body` takes.
  private func withFile<Result>(of bytes: [UInt8], _ body: (URL) throws -> Result) throws -> Result {
    let directory = try TemporaryDirectory()
    let url = directory.url.appendingPathComponent("changed.h5")
    try Data(bytes).write(to: url)
    return try withExtendedLifetime(directory) { try body(url) }
  }

  /// It is refused when it is opened, for this reason.
  private func expectRefusal(of bytes: [UInt8], _ reason: String, at location: SourceLocation = #_sourceLocation) throws {
    try withFile(of: bytes) { url in
      let error = #expect(throws: CheckpointError.self, sourceLocation: location) { try HDF5Checkpoint(opening: url) }
      #expect(error?.problem.contains(reason) == true, sourceLocation: location)
    }
  }
}
