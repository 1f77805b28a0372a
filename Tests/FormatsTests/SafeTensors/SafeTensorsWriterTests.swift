import Diagnostics
import Formats
import Foundation
import Tensors
import Testing

/// The bytes that are written, and what the writer refuses.
@Suite struct SafeTensorsWriterTests {
  private let scratch: SafeTensorsScratch

  init() throws { scratch = try SafeTensorsScratch() }

  private func vector(_ name: String, _ count: Int = 4) -> TensorDescriptor {
    TensorDescriptor(name: name, dataType: .float32, shape: [count])
  }

  private func write(_ writer: SafeTensorsWriter, _ name: String, _ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try writer.write(name, $0) }
  }

  private func reference() throws -> URL {
    try #require(
      Bundle.module.url(forResource: "reference", withExtension: "safetensors", subdirectory: "SafeTensorsFixtures"))
  }

  @Test func writesWhatTheReferenceWrites() throws {
    let source = try SafeTensorsFile(reference())
    let names = source.descriptors.shuffled()
    let writer = try SafeTensorsWriter(directory: scratch.directory, tensors: names, metadata: source.metadata)
    for descriptor in names.shuffled() { try writer.write(descriptor.name, try source.tensor(descriptor.name)) }
    #expect(!FileManager.default.fileExists(atPath: scratch["model.safetensors"].path))
    try writer.finish()
    #expect(try Data(contentsOf: scratch["model.safetensors"]) == Data(contentsOf: reference()))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.directory.path) == ["model.safetensors"])
  }

  @Test func headersArePaddedAndMetadataComesFirst() throws {
    let writer = try SafeTensorsWriter(directory: scratch.directory, tensors: [vector("a")])
    try write(writer, "a", Array(repeating: 7, count: 16))
    try writer.finish()
    let bytes = try [UInt8](Data(contentsOf: scratch["model.safetensors"]))
    let header = #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#
    let padded = Array(header.utf8) + Array(repeating: 0x20, count: (8 - header.utf8.count % 8) % 8)
    #expect(bytes == withUnsafeBytes(of: UInt64(padded.count).littleEndian, Array.init) + padded + Array(repeating: 7, count: 16))
  }

  @Test func shardsFollowTheGivenOrder() throws {
    let tensors = ["z", "y", "huge", "b", "a"].map { vector($0, $0 == "huge" ? 100 : 4) }
    let writer = try SafeTensorsWriter(directory: scratch.directory, tensors: tensors, maximumShardBytes: 40)
    for (index, tensor) in tensors.enumerated() {
      try write(writer, tensor.name, Array(repeating: UInt8(index), count: try #require(tensor.byteCount)))
    }
    try writer.finish()
    #expect(
      writer.files.map(\.lastPathComponent) == [
        "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
      ])
    let checkpoint = try SafeTensorsCheckpoint(scratch.directory)
    #expect(
      ["z", "y", "huge", "b", "a"].map { checkpoint.file(of: $0)?.lastPathComponent.dropFirst(6).prefix(5) } == [
        "00001", "00001", "00002", "00003", "00003",
      ])
    #expect(try checkpoint.tensor("b").contents == Array(repeating: 3, count: 16))
    let index = try String(contentsOf: scratch["model.safetensors.index.json"], encoding: .utf8)
    #expect(index.hasPrefix("{\n  \"metadata\": {\n    \"total_size\": 464\n  },\n  \"weight_map\": {\n    \"a\": \"model-00003-of-00003"))
  }

  @Test func anEmptyCheckpointIsAFile() throws {
    let writer = try SafeTensorsWriter(directory: scratch.directory, tensors: [])
    try writer.finish()
    #expect(try SafeTensorsCheckpoint(scratch.directory).descriptors.isEmpty)
  }

  @Test func threadsMayWriteAtOnce() async throws {
    let tensors = (0..<64).map { vector("t\($0)", 500) }
    let writer = try SafeTensorsWriter(directory: scratch.directory, tensors: tensors, maximumShardBytes: 20_000)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<64 {
        group.addTask {
          try Array(repeating: UInt8(index), count: 2000).withUnsafeBytes { try writer.write("t\(index)", $0) }
        }
      }
      try await group.waitForAll()
    }
    try writer.finish()
    let checkpoint = try SafeTensorsCheckpoint(scratch.directory)
    #expect(checkpoint.files.count == 7)
    for index in 0..<64 { #expect(try checkpoint.tensor("t\(index)").contents == Array(repeating: UInt8(index), count: 2000)) }
  }

  @Test func refusesWrongUse() throws {
    let writer = try SafeTensorsWriter(directory: scratch.directory, tensors: [vector("a"), vector("b")])
    #expect(message { try write(writer, "c", []) }.contains("not announced"))
    #expect(message { try write(writer, "a", [1, 2]) }.contains("announced with 16 bytes and is written with 2"))
    try write(writer, "a", Array(repeating: 0, count: 16))
    #expect(message { try write(writer, "a", Array(repeating: 0, count: 16)) }.contains("written twice"))
    #expect(message { try writer.finish() }.contains("1 announced tensors were never written: b"))
    #expect(message { try writer.finish() }.contains("finished twice"))
  }

  @Test func refusesWrongAnnouncements() throws {
    func failure(_ tensors: [TensorDescriptor], shard: Int = 100) -> String {
      message { _ = try SafeTensorsWriter(directory: scratch.directory, tensors: tensors, maximumShardBytes: shard) }
    }
    #expect(failure([vector("a"), vector("a")]).contains("announced twice"))
    #expect(failure([vector("__metadata__")]).contains("keeps that name"))
    #expect(failure([TensorDescriptor(name: "a", dataType: .float4E2M1, shape: [3])]).contains("no whole"))
    #expect(failure([vector("a", -1)]).contains("no whole"))
    #expect(failure([vector("a")], shard: 0).contains("holds nothing"))
  }

  /// Several processes write the tensors of one checkpoint; the owner's word counts for its files.
  @Test func contributorsFillInWhatTheOwnerHasCreated() throws {
    let tensors = ["a", "b", "c", "d"].map { vector($0) }
    func writer(_ role: WriterRole, _ tensors: [TensorDescriptor]) throws -> SafeTensorsWriter {
      try SafeTensorsWriter(directory: scratch.directory, tensors: tensors, maximumShardBytes: 32, role: role)
    }
    #expect(throws: CheckpointError.self) { try writer(.contributor, tensors) }
    let owner = try writer(.owner, tensors)
    #expect(throws: CheckpointError.self) { try writer(.contributor, tensors + [vector("e")]) }
    do {
      let contributor = try writer(.contributor, tensors)
      for name in ["b", "c"] { try write(contributor, name, Array(repeating: 9, count: 16)) }
      try contributor.finish()
    }
    for name in ["a", "d"] { try write(owner, name, Array(repeating: 3, count: 16)) }
    #expect(throws: CheckpointError.self) { try owner.acknowledge(["x"]) }
    try owner.acknowledge(["b", "c"])
    let again = #expect(throws: CheckpointError.self) { try write(owner, "b", Array(repeating: 0, count: 16)) }
    #expect(again?.kind == .usage)
    try owner.finish()
    let checkpoint = try SafeTensorsCheckpoint(scratch.directory)
    for (name, byte) in [("a", 3), ("b", 9), ("c", 9), ("d", 3)] as [(String, UInt8)] {
      let contents = try checkpoint.tensor(name).contents
      #expect(contents == Array(repeating: byte, count: 16))
    }
  }

  /// What nobody tells the owner of counts as missing.
  @Test func whatContributorsDoNotTellIsMissing() throws {
    let tensors = ["a", "b"].map { vector($0) }
    let owner = try SafeTensorsWriter(directory: scratch.directory, tensors: tensors)
    let contributor = try SafeTensorsWriter(directory: scratch.directory, tensors: tensors, role: .contributor)
    try write(contributor, "b", Array(repeating: 9, count: 16))
    try contributor.finish()
    try write(owner, "a", Array(repeating: 3, count: 16))
    let error = #expect(throws: CheckpointError.self) { try owner.finish() }
    #expect(error?.description.contains("never written: b") == true)
  }

  @Test func leavesNothingBehindWhenItIsDropped() throws {
    do {
      let writer = try SafeTensorsWriter(directory: scratch.directory, tensors: [vector("a")])
      try write(writer, "a", Array(repeating: 0, count: 16))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.directory.path).isEmpty)
  }

  @Test(arguments: ["model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json"])
  func refusesAnOlderCheckpoint(name: String) throws {
    try scratch.file(name, [1])
    let error = #expect(throws: CheckpointError.self) {
      try SafeTensorsWriter(directory: scratch.directory, tensors: [vector("a")])
    }
    #expect(error?.kind == .cannotCreate)
    #expect(error?.subject.contains(name) == true)
  }

  @Test func namesTheDirectoryThatIsMissing() throws {
    let error = #expect(throws: CheckpointError.self) {
      try SafeTensorsWriter(directory: scratch["absent"], tensors: [vector("a")])
    }
    #expect(error?.kind == .cannotCreate)
  }

  @Test func reportsALostFile() throws {
    let writer = try SafeTensorsWriter(directory: scratch.directory, tensors: [vector("a")])
    try FileManager.default.removeItem(at: scratch[".model.safetensors.partial"])
    try write(writer, "a", Array(repeating: 0, count: 16))
    let error = #expect(throws: CheckpointError.self) { try writer.finish() }
    #expect(error?.kind == .inputOutput)
    #expect(error?.description.contains("model.safetensors: renaming failed") == true)
  }
}
