import Foundation
import Synchronization
import Tensors
import Testing

@testable import Formats

/// The bytes that are written, and what the writer refuses.
@Suite struct GGUFWriterTests {
  private let scratch: SafeTensorsScratch

  init() throws { scratch = try SafeTensorsScratch() }

  private func write(_ writer: GGUFWriter, _ name: String, _ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try writer.write(name, $0) }
  }

  private func announcements(_ checkpoint: GGUFCheckpoint) -> [GGUFAnnouncement] {
    checkpoint.tensors.map { GGUFAnnouncement(name: $0.name, type: $0.type, dimensions: $0.dimensions) }
  }

  @Test func writesWhatTheReferenceWrites() throws {
    let source = try GGUFCheckpoint(ggufReference())
    let writer = try GGUFWriter(creating: scratch["model.gguf"], metadata: source.gguf, tensors: announcements(source))
    for descriptor in source.descriptors.shuffled() { try writer.write(descriptor.name, source.tensor(descriptor.name)) }
    #expect(!FileManager.default.fileExists(atPath: scratch["model.gguf"].path))
    try writer.finish()
    #expect(try Data(contentsOf: scratch["model.gguf"]) == Data(contentsOf: ggufReference()))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.directory.path) == ["model.gguf"])
  }

  @Test func partsFillTheirTensor() throws {
    let source = try GGUFCheckpoint(ggufReference())
    var tensors = announcements(source)
    let place = try #require(tensors.firstIndex { $0.name == "blocks.q4_k" })
    tensors[place].parts = (0..<4).map { "expert.\($0)" }
    let writer = try GGUFWriter(creating: scratch["model.gguf"], metadata: source.gguf, tensors: tensors)
    let whole = try source.tensor("blocks.q4_k")
    for number in (0..<4).reversed() { try writer.write("expert.\(number)", try #require(whole.rows(number..<number + 1))) }
    #expect(message { try write(writer, "blocks.q4_k", []) }.contains("it was not announced"))
    for tensor in source.tensors where tensor.name != "blocks.q4_k" { try writer.write(tensor.name, source.tensor(tensor.name)) }
    try writer.finish()
    #expect(try Data(contentsOf: scratch["model.gguf"]) == Data(contentsOf: ggufReference()))
  }

  @Test func alignmentIsTakenFromTheMetadata() throws {
    var metadata = GGUFMetadata()
    metadata["general.alignment"] = .uint32(256)
    metadata["nested"] = .array([.strings(["a"]), .int32s([1, 2]), .array([])])
    let tensors = ["a", "b"].map { GGUFAnnouncement(name: $0, type: .f32, dimensions: [3]) }
    let writer = try GGUFWriter(creating: scratch["model.gguf"], metadata: metadata, tensors: tensors)
    for name in ["a", "b"] { try write(writer, name, Array(repeating: 1, count: 12)) }
    try writer.finish()
    let file = try GGUFFile(scratch["model.gguf"])
    #expect(file.tensors.map(\.range.lowerBound) == [256, 512])
    #expect(file.metadata["nested"] == .array([.strings(["a"]), .int32s([1, 2]), .int32s([])]))
  }

  /// What an observer was told.
  private final class Observer: WritingObserver {
    let ranges = Mutex<[Range<Int>]>([])
    func began(_ file: URL, at temporary: URL) {}
    func wrote(_ range: Range<Int>, of file: URL) { ranges.withLock { $0.append(range) } }
  }

  @Test func resumesAndTellsOfEveryByteOnce() throws {
    let source = try GGUFCheckpoint(ggufReference())
    let names = source.tensors.map(\.name)
    do {
      let writer = try GGUFWriter(creating: scratch["model.gguf"], metadata: source.gguf, tensors: announcements(source))
      for name in names.prefix(4) { try writer.write(name, source.tensor(name)) }
      try writer.suspend()
    }
    let observer = Observer()
    let writer = try GGUFWriter(
      creating: scratch["model.gguf"], metadata: source.gguf, tensors: announcements(source), resumingAfter: Array(names.prefix(4)),
      observer: observer)
    #expect(message { try writer.write(names[0], source.tensor(names[0])) }.contains("it is written twice"))
    for name in names.dropFirst(4) { try writer.write(name, source.tensor(name)) }
    try writer.finish()
    let bytes = try Data(contentsOf: scratch["model.gguf"])
    #expect(try bytes == Data(contentsOf: ggufReference()))
    let ranges = observer.ranges.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } }
    #expect(ranges.first?.lowerBound == 0 && ranges.last?.upperBound == bytes.count)
    #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
  }

  @Test func writesFromManyThreads() throws {
    let tensors = (0..<64).map { GGUFAnnouncement(name: "t\($0)", type: .i8, dimensions: [1000]) }
    let writer = try GGUFWriter(creating: scratch["model.gguf"], metadata: GGUFMetadata(), tensors: tensors)
    DispatchQueue.concurrentPerform(iterations: 64) { number in
      let bytes = [UInt8](repeating: UInt8(number), count: 1000)
      bytes.withUnsafeBytes { try? writer.write("t\(number)", $0) }
    }
    try writer.finish()
    let checkpoint = try GGUFCheckpoint(scratch["model.gguf"])
    for number in 0..<64 { #expect(try checkpoint.tensor("t\(number)").contents == Array(repeating: UInt8(number), count: 1000)) }
  }

  private func refusal(_ tensors: [GGUFAnnouncement], _ metadata: GGUFMetadata = GGUFMetadata()) -> String {
    message { _ = try GGUFWriter(creating: scratch["model.gguf"], metadata: metadata, tensors: tensors) }
  }

  @Test func refusesWhatNoReaderTakes() throws {
    func one(_ type: GGUFType, _ dimensions: [Int], name: String = "a", parts: [String] = []) -> String {
      refusal([GGUFAnnouncement(name: name, type: type, dimensions: dimensions, parts: parts)])
    }
    #expect(one(.f32, [4]).isEmpty)
    #expect(one(.f32, [4], name: String(repeating: "n", count: 64)).contains("its name has 64 bytes"))
    #expect(one(.f32, [1, 1, 1, 1, 1]).contains("5 dimensions"))
    #expect(one(.f32, [0]).contains("not all positive"))
    #expect(one(.q4_K, [2, 100]).contains("blocks of 256"))
    #expect(one(.f32, [.max, 2]).contains("no representable size"))
    #expect(one(.q8_0, [3, 32], parts: ["x", "y"]).contains("cannot be cut into 2 equal parts"))
    #expect(one(.q8_0, [64], parts: ["x", "y"]).contains("cannot be cut into 2 equal parts"))
    let twice = GGUFAnnouncement(name: "a", type: .f32, dimensions: [4])
    #expect(refusal([twice, twice]).contains("it is announced twice"))
    #expect(refusal([twice, .init(name: "b", type: .f32, dimensions: [2], parts: ["a", "c"])]).contains("it is announced twice"))
    var metadata = GGUFMetadata()
    metadata["mixed"] = .array([.bool(true), .uint8(1)])
    #expect(refusal([], metadata).contains("\"mixed\" are not of one type"))
    metadata["mixed"] = nil
    metadata[""] = .bool(true)
    #expect(refusal([], metadata).contains("has 0 bytes"))
    metadata[""] = nil
    metadata["general.alignment"] = .uint32(5)
    #expect(refusal([], metadata).contains("a power of two"))
  }

  @Test func finishingWantsEverything() throws {
    let tensors = ["a", "b"].map { GGUFAnnouncement(name: $0, type: .f32, dimensions: [1]) }
    let writer = try GGUFWriter(creating: scratch["model.gguf"], metadata: GGUFMetadata(), tensors: tensors)
    try write(writer, "a", [0, 0, 0, 0])
    #expect(message { try write(writer, "b", [0]) }.contains("announced with 4 bytes and is written with 1"))
    #expect(message { try writer.finish() }.contains("1 announced tensors were never written: b"))
    try scratch.file("other.gguf", [1])
    let text = message { _ = try GGUFWriter(creating: scratch["other.gguf"], metadata: GGUFMetadata(), tensors: tensors) }
    #expect(text.contains("it exists already"))
  }
}
