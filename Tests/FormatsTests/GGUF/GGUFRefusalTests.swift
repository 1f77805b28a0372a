import Foundation
import Testing

@testable import Formats

/// Files that break a rule are refused, by a message that says which, and never crash.
@Suite struct GGUFRefusalTests {
  private let scratch: SafeTensorsScratch

  init() throws { scratch = try SafeTensorsScratch() }

  private func refusal(_ bytes: [UInt8]) throws -> String {
    let file = try scratch.file("model.gguf", bytes)
    let text = message { _ = try GGUFFile(file) }
    #expect(text.isEmpty || text.contains("model.gguf"))
    return text
  }

  private func refusal(pair key: String, _ type: UInt32, _ body: (inout GGUFBytes) -> Void) throws -> String {
    try refusal(GGUFBytes.simple(pairs: 1) { $0.pair(key, type, body) })
  }

  private func refusal(tensor body: (inout GGUFBytes) -> Void) throws -> String {
    var file = GGUFBytes(tensors: 1)
    body(&file)
    file.data(64)
    return try refusal(file.bytes)
  }

  @Test func everyTruncationIsRefused() throws {
    let whole = try [UInt8](Data(contentsOf: ggufReference()))
    let last = try #require(try GGUFFile(ggufReference()).tensors.last).range.upperBound
    for count in 1..<last {
      #expect(try !refusal(Array(whole[..<count])).isEmpty, "\(count)")
    }
    for count in last...whole.count { #expect(try refusal(Array(whole[..<count])).isEmpty) }
  }

  @Test func noByteCrashes() throws {
    let whole = try [UInt8](Data(contentsOf: ggufReference()))
    let header = try GGUFFile(ggufReference()).tensors[0].range.lowerBound
    for position in 0..<header {
      for value in [UInt8(0), 0x7F, 0x80, 0xFF] where whole[position] != value {
        var bytes = whole
        bytes[position] = value
        _ = try refusal(bytes)
      }
    }
  }

  @Test func otherFilesAndVersions() throws {
    #expect(try refusal(Array("GGML and more of it".utf8)).contains("does not begin with \"GGUF\""))
    #expect(try refusal([1]).contains("does not begin with \"GGUF\""))
    #expect(try refusal(GGUFBytes(version: 1).bytes).contains("version 1 of GGUF"))
    #expect(try refusal(GGUFBytes(version: 0).bytes).contains("version 0 of GGUF"))
    #expect(try refusal(GGUFBytes(version: 4).bytes).contains("version 4 of GGUF"))
    #expect(try refusal(GGUFBytes(version: UInt32(3).byteSwapped).bytes).contains("it is big-endian"))
  }

  @Test(arguments: [UInt64(2), 1 << 20, 1 << 40, 1 << 63, .max])
  func countsBeyondTheFile(_ count: UInt64) throws {
    #expect(try refusal(GGUFBytes(tensors: count).bytes).contains("number of tensors claims \(count) entries"))
    #expect(try refusal(GGUFBytes(pairs: count).bytes).contains("number of metadata claims \(count) entries"))
    guard count > 1000 else { return }
    for type: UInt32 in 0...12 {
      let text = try refusal(pair: "a", 9) {
        $0.number(type)
        $0.number(count)
      }
      #expect(text.contains("claims \(count) entries"), "\(type)")
    }
    #expect(try refusal(pair: "a", 8) { $0.number(count) }.contains("claims \(count) bytes"))
    #expect(
      try refusal(tensor: { $0.number(count) }).contains("claims \(count) bytes"))
  }

  @Test func keysAndValues() throws {
    #expect(try refusal(pair: "", 0) { $0.number(UInt8(1)) }.contains("has 0 bytes"))
    let long = String(repeating: "k", count: 65536)
    #expect(try refusal(pair: long, 0) { $0.number(UInt8(1)) }.contains("has 65536 bytes"))
    #expect(try refusal(pair: "a", 13) { _ in }.contains("the type 13"))
    let twice = GGUFBytes.simple(pairs: 2) { file in
      for _ in 0..<2 { file.pair("a", 0) { $0.number(UInt8(1)) } }
    }
    #expect(try refusal(twice).contains("\"a\" is there twice"))
    // Two spellings of a letter are two keys.
    let spellings = GGUFBytes.simple(pairs: 2) { file in
      for key in ["\u{E9}", "e\u{301}"] { file.pair(key, 0) { $0.number(UInt8(1)) } }
    }
    #expect(try refusal(spellings).isEmpty)
    let crooked = GGUFBytes.simple(pairs: 1) { file in
      file.number(UInt64(1))
      file.bytes.append(0xFF)
      file.number(UInt32(0))
      file.number(UInt8(0))
    }
    #expect(try refusal(crooked).contains("is not UTF-8"))
  }

  @Test func nestedArrays() throws {
    func nested(_ depth: Int) throws -> String {
      try refusal(pair: "a", 9) { file in
        for _ in 0..<depth {
          file.number(UInt32(9))
          file.number(UInt64(1))
        }
        file.number(UInt32(0))
        file.number(UInt64(1))
        file.number(UInt8(1))
      }
    }
    #expect(try nested(3).isEmpty)
    #expect(try nested(4).contains("nests arrays deeper than 4"))
    #expect(try nested(1000).contains("nests arrays deeper than 4"))
  }

  @Test func longArraysOfOtherElements() throws {
    let text = try refusal(pair: "a", 9) { file in
      file.number(UInt32(0))
      file.number(UInt64(1 << 20 + 1))
      file.bytes += Array(repeating: 0, count: 1 << 20 + 1)
    }
    #expect(text.contains("1048577 elements, more than 1048576"))
  }

  /// A file of holes claims what it likes and takes no room: its size bounds nothing.
  @Test func sparseFilesAreRefusedBeforeTheyTakeMemory() throws {
    func refusal(_ header: GGUFBytes, size: Int) throws -> String {
      let file = try scratch.file("sparse.gguf", header.bytes)
      try #require(truncate(file.path, off_t(size)) == 0)
      return message { _ = try GGUFFile(file) }
    }
    #expect(try refusal(GGUFBytes(tensors: 4_000_000_000), size: 100 << 30).contains("of which at most 131072 are read"))
    #expect(try refusal(GGUFBytes(pairs: 4_000_000_000), size: 100 << 30).contains("of which at most 65536 are read"))
    for (type, count) in [(UInt32(8), 8 << 30), (5, 16 << 30), (6, 16 << 30), (0, 64 << 30)] {
      var array = GGUFBytes(pairs: 1)
      array.pair("a", 9) {
        $0.number(type)
        $0.number(UInt64(count))
      }
      #expect(try refusal(array, size: 100 << 30).contains("of which at most 16777216 are read"), "\(type)")
    }
    var text = GGUFBytes(pairs: 1)
    text.pair("a", 8) { $0.number(UInt64(64 << 30)) }
    #expect(try refusal(text, size: 100 << 30).contains("its header goes on behind byte 268435456"))
    // Tensors without a name, of which the second is the first again.
    #expect(try refusal(GGUFBytes(tensors: 1 << 17), size: 1 << 30).contains("it is there twice"))
    #expect(try refusal(GGUFBytes(pairs: 1 << 16), size: 1 << 30).contains("has 0 bytes"))
  }

  /// Limits hold for all arrays of a file together.
  @Test func manyArraysOfOtherElements() throws {
    func arrays(_ lengths: [Int]) throws -> String {
      try refusal(
        GGUFBytes.simple(pairs: UInt64(lengths.count)) { file in
          for (number, length) in lengths.enumerated() {
            file.pair("\(number)", 9) {
              $0.number(UInt32(7))
              $0.number(UInt64(length))
              $0.bytes += Array(repeating: 1, count: length)
            }
          }
        })
    }
    #expect(try arrays([1 << 19, 1 << 19]).isEmpty)
    #expect(try arrays([1 << 19, 1 << 19, 1]).contains("1 elements, more than 0"))
  }

  /// As many tokens and merges as no model has yet, and tensors enough for every expert of the largest models.
  @Test func theLargestVocabulariesAndModelsAreRead() throws {
    var file = GGUFBytes(tensors: 50_000, pairs: 4)
    for (key, type, count) in [("tokens", UInt32(8), 300_000), ("merges", 8, 600_000), ("scores", 6, 300_000), ("types", 5, 300_000)] {
      file.pair(key, 9) { file in
        file.number(type)
        file.number(UInt64(count))
        for _ in 0..<count { if type == 8 { file.text("a") } else { file.number(UInt32(1)) } }
      }
    }
    for number in 0..<50_000 { file.tensor("t\(number)", innermost: [8], offset: UInt64(number * 32)) }
    file.data(50_000 * 32)
    let opened = try GGUFFile(scratch.file("large.gguf", file.bytes))
    #expect(opened.metadata.strings("merges")?.count == 600_000 && opened.tensors.count == 50_000)
  }

  @Test(arguments: [UInt32(0), 3, 48, 1 << 21, .max])
  func alignments(_ alignment: UInt32) throws {
    #expect(try refusal(pair: "general.alignment", 4) { $0.number(alignment) }.contains("a power of two"))
    #expect(try refusal(pair: "general.alignment", 10) { $0.number(UInt64(32)) }.contains("uint32"))
  }

  @Test func tensors() throws {
    #expect(try refusal { $0.tensor("a", innermost: [4]) }.isEmpty)
    #expect(try refusal { $0.tensor(String(repeating: "n", count: 63), innermost: [4]) }.isEmpty)
    #expect(try refusal { $0.tensor(String(repeating: "n", count: 64), innermost: [4]) }.contains("its name has 64 bytes"))
    #expect(try refusal { $0.tensor("a", innermost: [1, 1, 1, 1, 1]) }.contains("5 dimensions, more than 4"))
    #expect(try refusal { $0.tensor("a", innermost: [4, 0]) }.contains("not all positive"))
    #expect(try refusal { $0.tensor("a", innermost: [1 << 63]) }.contains("a dimension is"))
    #expect(try refusal { $0.tensor("a", innermost: [1 << 32, 1 << 32]) }.contains("no representable size"))
    #expect(try refusal { $0.tensor("a", innermost: [1 << 61]) }.contains("no representable size"))
    #expect(try refusal { $0.tensor("a", innermost: [1 << 54]) }.contains("the tensor ends at byte"))
    #expect(try refusal { $0.tensor("a", innermost: [UInt64(Int.max)], type: 24) }.contains("no representable size"))
    #expect(try refusal { $0.tensor("a", innermost: [17]) }.contains("the tensor ends at byte"))
    #expect(try refusal { $0.tensor("a", innermost: [4], offset: 32) }.contains("its offset is 32, the tensors before it end at 0"))
    #expect(try refusal { $0.tensor("a", innermost: [33], type: 8) }.contains("no whole number of Q8_0's blocks of 32"))
    #expect(try refusal { $0.tensor("a", innermost: [128], type: 12) }.contains("no whole number of Q4_K's blocks of 256"))
    let unknown = try refusal { $0.tensor("a", innermost: [256], type: 16) }
    #expect(unknown.contains("tensor a: its type is ggml's number 16 (IQ2_XXS)") && unknown.contains("Q4_K"))
    #expect(try refusal { $0.tensor("a", innermost: [256], type: 4_000_000_000) }.contains("ggml's number 4000000000,"))
  }

  @Test func tensorsThatMeet() throws {
    func two(_ names: [String], _ offset: UInt64) throws -> String {
      var file = GGUFBytes(tensors: 2)
      file.tensor(names[0], innermost: [4])
      file.tensor(names[1], innermost: [4], offset: offset)
      file.data(64)
      return try refusal(file.bytes)
    }
    #expect(try two(["a", "b"], 32).isEmpty)
    #expect(try two(["a", "a"], 32).contains("it is there twice"))
    for offset: UInt64 in [0, 16, 33, 64, .max] { #expect(try two(["a", "b"], offset).contains("its offset is \(offset)")) }
  }
}
