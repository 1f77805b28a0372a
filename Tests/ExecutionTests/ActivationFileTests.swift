import Diagnostics
import Execution
import Foundation
import Testing

@Suite struct ActivationFileTests {
  private func matrix(_ values: [Float]) -> Matrix {
    let matrix = Matrix(rows: 1, columns: values.count)
    for (index, value) in values.enumerated() { matrix.row(0)[index] = value }
    return matrix
  }

  private func values(_ matrix: Matrix) -> [Float] { (0..<matrix.columns).map { matrix.row(0)[$0] } }

  private func withDirectory(_ body: (URL) throws -> Void) throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("activation-file-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try body(directory)
  }

  @Test func matricesComeBackInOrder() throws {
    try withDirectory { directory in
      let url = directory.appendingPathComponent("a.bin")
      let writer = try ActivationFile(creating: url)
      try writer.append(matrix([1, -2, .leastNonzeroMagnitude]))
      try writer.append(matrix([4]))
      try writer.finish()
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["a.bin"])
      let reader = try ActivationFile(opening: url)
      let (first, second) = (matrix([0, 0, 0]), matrix([0]))
      try reader.read(into: first)
      try reader.read(into: second)
      #expect(values(first) == [1, -2, .leastNonzeroMagnitude] && values(second) == [4])
    }
  }

  /// Until the new file is complete, the old one stays as it is; what is given up leaves nothing.
  @Test func anUnfinishedFileReplacesNothing() throws {
    try withDirectory { directory in
      let url = directory.appendingPathComponent("a.bin")
      try Data([1, 2, 3, 4]).write(to: url)
      do {
        let writer = try ActivationFile(creating: url)
        try writer.append(matrix([7, 8]))
        #expect(try Data(contentsOf: url) == Data([1, 2, 3, 4]))
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["a.bin"])
      let writer = try ActivationFile(creating: url)
      try writer.append(matrix([7, 8]))
      try writer.finish()
      #expect(try Data(contentsOf: url).count == 8)
    }
  }

  @Test func failuresSayWhatFailed() throws {
    try withDirectory { directory in
      let url = directory.appendingPathComponent("a.bin")
      let missing = #expect(throws: ExecutionError.self) { try ActivationFile(opening: url) }
      #expect(missing?.kind == .inputOutput && missing?.problem.hasPrefix("cannot be opened") == true)
      #expect(missing?.remedy == "run again without --resume")
      let homeless = #expect(throws: ExecutionError.self) {
        try ActivationFile(creating: directory.appendingPathComponent("missing/a.bin"))
      }
      #expect(homeless?.kind == .inputOutput && homeless?.problem.hasPrefix("cannot be created") == true && homeless?.remedy == "")
      try Data([1, 2, 3, 4]).write(to: url)
      let reader = try ActivationFile(opening: url)
      let short = #expect(throws: ExecutionError.self) { try reader.read(into: matrix([0, 0])) }
      #expect(short?.kind == .badData && short?.problem == "ends early")
      // A directory can be opened, and not read.
      let folder = try ActivationFile(opening: directory)
      let unreadable = #expect(throws: ExecutionError.self) { try folder.read(into: matrix([0])) }
      #expect(unreadable?.kind == .inputOutput && unreadable?.problem.hasPrefix("cannot be read") == true)
    }
  }

  @Test func aScratchFileNeedsItsDirectory() throws {
    try withDirectory { directory in
      let file = try SpillFile(in: directory)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
      try [Float](repeating: 3, count: 4).withUnsafeBytes { try file.write($0, at: 8) }
      var bytes = [Float](repeating: 0, count: 4)
      try bytes.withUnsafeMutableBytes { try file.read($0, at: 8) }
      #expect(bytes == [3, 3, 3, 3])
      let early = #expect(throws: ExecutionError.self) { try bytes.withUnsafeMutableBytes { try file.read($0, at: 16) } }
      #expect(early?.problem.contains("ends early") == true)
      let homeless = #expect(throws: ExecutionError.self) { try SpillFile(in: directory.appendingPathComponent("missing")) }
      #expect(homeless?.problem.contains("cannot hold scratch data") == true && homeless?.remedy == "")
    }
  }
}
