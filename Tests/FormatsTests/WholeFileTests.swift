import Diagnostics
import Foundation
import Testing

@testable import Formats

/// Files that are read whole.
@Suite struct WholeFileTests {
  private let scratch: SafeTensorsScratch

  init() throws { scratch = try SafeTensorsScratch() }

  private func failure(_ file: URL, limit: Int = 100) -> CheckpointError? {
    #expect(throws: CheckpointError.self) { try WholeFile.bytes(of: file, limit: limit) }
  }

  @Test func filesAreRead() throws {
    #expect(try WholeFile.bytes(of: scratch.file("empty", []), limit: 0) == [])
    #expect(try WholeFile.bytes(of: scratch.file("some", [1, 2, 3]), limit: 3) == [1, 2, 3])
    try FileManager.default.createSymbolicLink(at: scratch["link"], withDestinationURL: scratch["some"])
    #expect(try WholeFile.bytes(of: scratch["link"], limit: 3) == [1, 2, 3])
  }

  @Test(.timeLimit(.minutes(1))) func whatIsNoFileIsNeitherWaitedForNorRead() throws {
    #expect(failure(scratch["none"])?.kind == .missingInput)
    #expect(failure(scratch.directory)?.kind == .badData)
    #expect(mkfifo(scratch["pipe"].path, 0o600) == 0)
    #expect(failure(scratch["pipe"])?.problem == "it is not a regular file")
    #expect(failure(URL(fileURLWithPath: "/dev/zero"))?.problem == "it is not a regular file")
    #expect(failure(try scratch.file("large", [UInt8](repeating: 0, count: 101)))?.kind == .badData)
    // A sparse file of a terabyte costs nothing on the disk.
    let sparse = try scratch.file("sparse", [])
    #expect(truncate(sparse.path, 1 << 40) == 0)
    #expect(failure(sparse, limit: 256 << 20)?.problem.contains("1099511627776 bytes") == true)
  }
}
