import Foundation
import Tensors
import Testing

@testable import Formats

/// Sound files: those of gguf-py, those that end early where that is allowed, and those in several parts.
@Suite struct GGUFFileTests {
  private let scratch: SafeTensorsScratch

  init() throws { scratch = try SafeTensorsScratch() }

  @Test func readsMetadataOfEveryType() throws {
    let file = try GGUFFile(ggufReference())
    #expect(file.version == 3 && file.alignment == 32 && file.holdsValues)
    let metadata = file.metadata
    #expect(metadata.entries.map(\.key).prefix(2) == ["general.architecture", "general.name"])
    #expect(metadata.entries.count == 20)
    #expect(metadata["test.uint8"] == .uint8(200))
    #expect(metadata["test.int8"] == .int8(-100))
    #expect(metadata["test.uint16"] == .uint16(60000))
    #expect(metadata["test.int16"] == .int16(-30000))
    #expect(metadata["test.uint32"] == .uint32(4_000_000_000))
    #expect(metadata["test.int32"] == .int32(-2_000_000_000))
    #expect(metadata["test.float32"] == .float32(0.1))
    #expect(metadata["test.uint64"] == .uint64(1 << 63))
    #expect(metadata.integer("test.uint64") == nil)
    #expect(metadata["test.int64"] == .int64(-(1 << 62)))
    #expect(metadata["test.float64"] == .float64(0.1))
    #expect(metadata.bool("test.bool") == true)
    #expect(sameBytes(metadata.string("test.string"), "Größe ▁ 数\u{301}"))
    let texts = try #require(metadata.strings("test.strings"))
    #expect(texts.map { Array($0.utf8) } == ["a", "", "\u{E9}", "e\u{301}"].map { Array($0.utf8) })
    #expect(metadata.integers("test.int32s") == [3, -4, 5])
    #expect(metadata.numbers("test.float32s") == [0.5, -1.25])
    #expect(metadata["test.bools"] == .array([.bool(true), .bool(false), .bool(true)]))
    #expect(metadata["test.uint8s"] == .array((0..<5).map { .uint8($0) }))
    #expect(metadata.integers("test.uint32s") == [1, 2, 3])
  }

  @Test func readsTensors() throws {
    let checkpoint = try GGUFCheckpoint(ggufReference())
    #expect(
      checkpoint.tensors.map(\.name) == [
        "plain.f32", "plain.f16", "plain.i32", "plain.bf16", "blocks.q8_0", "blocks.q4_k", "blocks.mxfp4",
      ])
    #expect(checkpoint.tensors.map(\.dimensions) == [[2, 3], [7], [2, 1, 2], [5], [3, 64], [4, 2, 256], [2, 32]])
    #expect(checkpoint.tensors.map(\.type) == [.f32, .f16, .i32, .bf16, .q8_0, .q4_K, .mxfp4])
    #expect(checkpoint.metadata["general.name"] == "reference")
    #expect(checkpoint.gguf.string("general.architecture") == "llama")
    let plain = try checkpoint.tensor("plain.f32")
    #expect(plain.dataType == .float32 && plain.shape == [2, 3] && plain.float32Values() == [0, 1, 2, 3, 4, 5])
    #expect(try checkpoint.tensor("plain.f16").float32Values() == [0, 1, 2, 3, 4, 5, 6])
    #expect(try checkpoint.tensor("plain.bf16").contents == Array(0..<10))
    let blocks = try #require(checkpoint.descriptor("blocks.q4_k"))
    #expect(blocks.dataType == .uint8 && blocks.shape == [4, 2, 144])
    #expect(checkpoint.entry("blocks.q4_k")?.rowByteCount == 144)
    #expect(try checkpoint.tensor("blocks.q8_0").shape == [3, 68])
    #expect(checkpoint.descriptors.map(\.name) == checkpoint.tensors.map(\.name).sorted())
    #expect(message { _ = try checkpoint.tensor("absent") }.contains("it has no tensor \"absent\""))
    // Values stay readable after they were let go.
    let before = try checkpoint.tensor("blocks.q4_k").contents
    checkpoint.release("blocks.q4_k")
    #expect(try checkpoint.tensor("blocks.q4_k").contents == before)
  }

  @Test func readsVersionTwoScalarsAndOtherAlignments() throws {
    var file = GGUFBytes(version: 2, tensors: 2, pairs: 1)
    file.pair("general.alignment", 4) { $0.number(UInt32(8)) }
    file.tensor("scalar", innermost: [])
    file.tensor("row", innermost: [3, 1], offset: 8)
    file.data(4 + 4 + 12, alignment: 8)
    let opened = try GGUFFile(scratch.file("model.gguf", file.bytes))
    #expect(opened.version == 2 && opened.alignment == 8)
    #expect(opened.tensors.map(\.dimensions) == [[], [1, 3]])
    // The padding behind the last tensor may be missing, and more may follow.
    try scratch.file("more.gguf", file.bytes + Array(repeating: 1, count: 99))
    #expect(try GGUFFile(scratch["more.gguf"]).tensors == opened.tensors)
  }

  @Test func textsThatAreNotUTF8AreRepaired() throws {
    let bytes = GGUFBytes.simple(pairs: 1) { file in
      file.pair("tokens", 9) {
        $0.number(UInt32(8))
        $0.number(UInt64(2))
        $0.number(UInt64(1))
        $0.bytes.append(0xFF)
        $0.text("b")
      }
    }
    #expect(try GGUFFile(scratch.file("model.gguf", bytes)).metadata.strings("tokens") == ["\u{FFFD}", "b"])
  }

  @Test func headersAloneAreEnoughForAPlan() throws {
    let whole = try [UInt8](Data(contentsOf: ggufReference()))
    let start = try GGUFFile(ggufReference()).tensors[0].range.lowerBound
    try scratch.file("header.gguf", Array(whole[..<start]))
    #expect(message { _ = try GGUFFile(scratch["header.gguf"]) }.contains("it is truncated"))
    let checkpoint = try GGUFCheckpoint(scratch["header.gguf"], extent: .headers)
    #expect(!checkpoint.holdsValues && checkpoint.descriptors.count == 7)
    #expect(message { _ = try checkpoint.tensor("plain.f32") }.contains("its header alone"))
    try scratch.file("part.gguf", Array(whole[..<(start + 5)]))
    #expect(message { _ = try GGUFFile(scratch["part.gguf"], extent: .headers) }.contains("it is truncated"))
    #expect(try GGUFCheckpoint(ggufReference(), extent: .headers).holdsValues)
  }

  private func part(_ number: UInt16, of count: UInt16, tensor: String, total: Int32 = 3) -> [UInt8] {
    var file = GGUFBytes(tensors: 1, pairs: 3)
    file.pair("split.no", 2) { $0.number(number) }
    file.pair("split.count", 2) { $0.number(count) }
    file.pair("split.tensors.count", 5) { $0.number(total) }
    file.tensor(tensor, innermost: [4])
    file.data(16)
    return file.bytes
  }

  @Test func readsPartsTogether() throws {
    for (number, name) in ["c", "a", "b"].enumerated() {
      try scratch.file("m-0000\(number + 1)-of-00003.gguf", part(UInt16(number), of: 3, tensor: name))
    }
    // From any of them, and from the directory.
    for name in ["m-00001-of-00003.gguf", "m-00003-of-00003.gguf", ""] {
      let checkpoint = try GGUFCheckpoint(name.isEmpty ? scratch.directory : scratch[name])
      #expect(checkpoint.descriptors.map(\.name) == ["a", "b", "c"])
      #expect(checkpoint.files.map(\.lastPathComponent) == (1...3).map { "m-0000\($0)-of-00003.gguf" })
      #expect(checkpoint.file(of: "b")?.lastPathComponent == "m-00003-of-00003.gguf")
      #expect(try checkpoint.tensor("b").contents == Array(repeating: 7, count: 16))
    }
  }

  @Test func refusesPartsThatDoNotBelongTogether() throws {
    let first = try scratch.file("m-00001-of-00002.gguf", part(0, of: 2, tensor: "a", total: 2))
    #expect(message { _ = try GGUFCheckpoint(first) }.contains("\"m-00002-of-00002.gguf\" that belongs to it is missing"))
    let second = try scratch.file("m-00002-of-00002.gguf", part(0, of: 2, tensor: "b", total: 2))
    #expect(message { _ = try GGUFCheckpoint(first) }.contains("do not say that it is file 2 of 2"))
    try Data(part(1, of: 2, tensor: "a", total: 2)).write(to: second)
    #expect(message { _ = try GGUFCheckpoint(first) }.contains("it is in m-00001-of-00002.gguf and in m-00002-of-00002.gguf"))
    try Data(part(1, of: 2, tensor: "b", total: 9)).write(to: second)
    #expect(message { _ = try GGUFCheckpoint(second) }.contains("2 tensors together, not the 2") == false)
    try Data(part(0, of: 2, tensor: "a", total: 9)).write(to: first)
    #expect(message { _ = try GGUFCheckpoint(first) }.contains("hold 2 tensors together, not the 9"))
    let renamed = try scratch.file("other.gguf", part(0, of: 2, tensor: "a"))
    #expect(message { _ = try GGUFCheckpoint(renamed) }.contains("does not end in -00001-of-0000N.gguf"))
    #expect(message { _ = try GGUFCheckpoint(scratch.directory) }.contains("3 .gguf files"))
  }

  @Test func namesOfParts() {
    #expect(GGUFCheckpoint.PartName("a-b-00002-of-00010.gguf") == .init(stem: "a-b", number: 2, count: 10))
    #expect(GGUFCheckpoint.PartName("m-00002-of-00010.gguf")?.text == "m-00002-of-00010.gguf")
    for name in ["m.gguf", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-00001-of-00000.gguf", "m-1-of-2.gguf", "m-00001-of-00002"] {
      #expect(GGUFCheckpoint.PartName(name) == nil, "\(name)")
    }
  }
}
