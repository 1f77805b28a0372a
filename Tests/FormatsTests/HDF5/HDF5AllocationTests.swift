import CHDF5
import Diagnostics
import Foundation
import Testing

@testable import Formats

/// The library asks for as much memory as a file says, and looks then whether the file has it. So sizes are held against the file's before.
@Suite struct HDF5AllocationTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  struct Claim: CustomTestStringConvertible {
    let fixture: String
    /// What stands before the number, wherever it is in the file, and how far the number is from its start.
    let mark: [UInt8]
    let distance: Int
    let number: UInt64
    let length: Int
    let reason: String
    var testDescription: String { "\(fixture), \(reason)" }

    init(_ fixture: String, _ mark: [UInt8], _ distance: Int, _ number: UInt64, _ length: Int, _ reason: String) {
      (self.fixture, self.mark, self.distance, self.number, self.length, self.reason) = (fixture, mark, distance, number, length, reason)
    }
  }

  static let signature = HDF5File.signature
  /// The extents of the dataset that grows in one direction, and how far.
  static let extensible = [12, 10, UInt64.max, 10].flatMap { HDF5Fixture.littleEndian($0, 8) }
  static let claims = [
    Claim("victim", signature, 8, 7, 1, "the version of its superblock is unknown"),
    Claim("victim", signature, 13, 4, 1, "its addresses and sizes take 4 and 8 bytes; 8 are read"),
    Claim("victim", signature, 18, 0xFFFF, 2, "the sizes of its nodes are damaged"),
    Claim("victim", signature, 40, 1 << 40, 8, "it is truncated: it says that it has 1099511627776 bytes, and has 2064"),
    Claim("victim", signature, 64, 1 << 40, 8, "its header is damaged"),
    Claim("latest", signature, 9, 2, 1, "its addresses and sizes take 2 and 8 bytes; 8 are read"),
    Claim("latest", signature, 20, 100, 8, "the extension of its superblock is damaged"),
    Claim("latest", signature, 28, 1 << 40, 8, "it is truncated"),
    Claim("latest", signature, 36, 1 << 40, 8, "its header is damaged"),
    Claim("latest", Array("FRHP".utf8), 112, 1 << 40, 8, "/dense: the heap of its names is damaged"),
    Claim("latest", Array("FRHP".utf8), 120, 1 << 40, 8, "/dense: the heap of its names is damaged"),
    // 5: links by the hash of their names.
    Claim("latest", Array("BTHD".utf8) + [0, 5], 6, 0xFFFF_FFFF, 4, "/dense: the heap of its names is damaged"),
    // Too small for its records: the library would take the difference for a large number.
    Claim("latest", Array("BTHD".utf8) + [0, 5], 6, 0, 4, "/dense: the heap of its names is damaged"),
    Claim("latest", Array("BTHD".utf8) + [0, 5], 12, 0xFFFF, 2, "/dense: the heap of its names is damaged"),
    // 10 and 11: chunks without filters and with.
    Claim("latest", Array("BTHD".utf8) + [0, 11], 6, 0xFFFF_FFFF, 4, "/tree: the index of its chunks is damaged"),
    Claim("latest", Array("FAHD".utf8), 8, 1 << 40, 8, "/implicit: the index of its chunks is damaged"),
    // Fewer entries than chunks; entries of another kind; entries too short.
    Claim("latest", Array("FAHD".utf8), 8, 5, 8, "/implicit: the index of its chunks is damaged"),
    Claim("latest", Array("FAHD".utf8), 5, 1, 1, "/implicit: the index of its chunks is damaged"),
    Claim("latest", Array("FAHD".utf8), 6, 4, 1, "/implicit: the index of its chunks is damaged"),
    // The library would go from place to place.
    Claim(
      "latest", Array("EAHD".utf8), 44, 1 << 40, 8, "/extensible: the index of its chunks has 1099511627776 places, more than the file"),
    Claim("latest", Array("EAHD".utf8), 7, 64, 1, "/extensible: the index of its chunks is damaged"),
    // The type of the message with the shape, and in it an extent that is greater than it may be.
    Claim("latest", extensible, -8, 0, 1, "/extensible: its shape or its filters are not in its own header, once"),
    Claim("latest", extensible, 24, 9, 8, "/extensible: the index of its chunks is damaged"),
    // More records than a node holds; shorter ones; of another kind; in a node that is the header.
    Claim("latest", Array("BTHD".utf8) + [0, 11], 24, 0xFFFF, 2, "/tree: the index of its chunks is damaged"),
    Claim("latest", Array("BTHD".utf8) + [0, 11], 10, 8, 2, "/tree: the index of its chunks is damaged"),
    Claim("latest", Array("BTHD".utf8) + [0, 11], 5, 10, 1, "/tree: the index of its chunks is damaged"),
    Claim("latest", Array("BTHD".utf8) + [0, 11], 16, 1917, 8, "/tree: the index of its chunks is damaged"),
    Claim("latest", Array("BTHD".utf8) + [0, 5], 24, 0xFFFF, 2, "/dense: the heap of its names is damaged"),
    // A link in the heap, with flags that there are not; where the heap's table or block is.
    Claim("latest", [1, 0, 2] + Array("17".utf8), 1, 0xFF, 1, "/dense: the heap of its names is damaged"),
    Claim("latest", Array("FRHP".utf8), 132, 0x7FFF_FFFF_FFFF_FFFF, 8, "/dense: the heap of its names is damaged"),
    // Blocks in a row, of which there are 2, 4, 8 …; rows.
    Claim("latest", Array("FRHP".utf8), 110, 3, 2, "/dense: the heap of its names is damaged"),
    Claim("latest", Array("FRHP".utf8), 140, 60, 2, "/dense: the heap of its names is damaged"),
    // The size of an enumeration's type, as often as it has values.
    Claim("refused-enumeration", Array("BLUE\0".utf8), -8, 0xFFFF_FFFF, 4, "/colour: its type is damaged"),
    // A name of a group, said to be behind all names.
    Claim("victim", Array("SNOD".utf8), 8, 1 << 20, 8, "the names in this group are damaged"),
  ]

  @Test(arguments: claims)
  func whatTheFileCannotHoldIsRefused(_ claim: Claim) throws {
    let url = directory.url.appendingPathComponent("claim.h5")
    var bytes = [UInt8](try Data(contentsOf: HDF5Fixture.url(claim.fixture)))
    let start = try #require(bytes.indices.first { bytes[$0...].starts(with: claim.mark) }) + claim.distance
    bytes.replaceSubrange(start..<start + claim.length, with: HDF5Fixture.littleEndian(claim.number, claim.length))
    try Data(bytes).write(to: url)
    let error = #expect(throws: CheckpointError.self) { try HDF5Checkpoint(opening: url) }
    #expect(error?.kind == .badData)
    #expect(error?.description.contains(claim.reason) == true, "\(error?.description ?? "")")
  }

  /// Whether this process has the allocator that a limit is for: on Linux, and not under a sanitizer, which brings its own.
  static let hasLimit = HDF5Library.locked(justified: 1 << 40) {
    let limit = chdf5_limit_requests(.max)
    _ = chdf5_limit_requests(limit)
    return limit == 1 << 40 + HDF5Library.room
  }

  @Test(.enabled(if: hasLimit))
  func theLibraryGetsWhatIsJustified() {
    func isGranted(_ count: Int) -> Bool {
      let memory = H5allocate_memory(count, false)
      defer { H5free_memory(memory) }
      return memory != nil
    }
    HDF5Library.locked(justified: 1 << 20) {
      #expect(isGranted(1 << 20))
      #expect(!isGranted(4 << 20))
      // What is closed on the way does not lift it.
      HDF5Library.locked { #expect(isGranted(4 << 20)) }
      #expect(!isGranted(4 << 20))
    }
    HDF5Library.locked { #expect(isGranted(4 << 20)) }
    // It is the library's alone.
    HDF5Library.locked(justified: 0) { #expect([UInt8](repeating: 1, count: 4 << 20).count == 4 << 20) }
  }
}
