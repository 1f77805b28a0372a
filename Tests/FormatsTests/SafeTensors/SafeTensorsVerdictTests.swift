import Diagnostics
import Formats
import Foundation
import Tensors
import Testing

/// What a reader must accept and refuse. Every verdict but the one on duplicate names is that of the reference reader, safetensors 0.8.
@Suite struct SafeTensorsVerdictTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let header: String
    var data = 8
    var length: UInt64?
    /// A part of the error; nil when the file is acceptable.
    let problem: String?
  }

  private static func entry(_ name: String, _ type: String, _ shape: String, _ start: Int, _ end: Int, extra: String = "") -> String {
    "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(start),\(end)]\(extra)}"
  }

  private static let good = entry("a", "F32", "[2]", 0, 8)

  static let accepted: [Case] = [
    ("plain", "{\(good)}", 8),
    ("unaligned header", "{\(good)}   ", 8),
    ("newline padding", "{\(good)}\n\t ", 8),
    ("leading space", "  {\(good)}", 8),
    ("order of names is not that of offsets", "{\(entry("b", "F32", "[2]", 8, 16)),\(good)}", 16),
    ("extra field", "{\(entry("a", "F32", "[2]", 0, 8, extra: ",\"more\":[1]"))}", 8),
    ("metadata", "{\"__metadata__\":{\"k\":\"1\"},\(good)}", 8),
    ("metadata null", "{\"__metadata__\":null,\(good)}", 8),
    ("scalar", "{\(entry("a", "F32", "[]", 0, 4))}", 4),
    ("zero dimension", "{\(entry("a", "F32", "[0,5]", 0, 0))}", 0),
    ("two empty tensors", "{\(entry("a", "F32", "[0]", 0, 0)),\(entry("b", "I8", "[0]", 0, 0))}", 0),
    ("no tensors", "{}", 0),
    ("misaligned", "{\(entry("a", "U8", "[1]", 0, 1)),\(entry("b", "F32", "[1]", 1, 5))}", 5),
    ("NUL in a name", "{\(entry("é/\\u0000x", "U8", "[1]", 0, 1))}", 1),
    ("empty name", "{\(entry("", "U8", "[1]", 0, 1))}", 1),
    ("names that differ in composition", "{\(entry("é", "U8", "[1]", 0, 1)),\(entry("e\u{301}", "U8", "[1]", 1, 2))}", 2),
  ].map { Case(testDescription: $0.0, header: $0.1, data: $0.2, problem: nil) }

  static let refused: [Case] = [
    Case(testDescription: "header above 100 MB", header: "{\(good)}", length: 100_000_001, problem: "more than 100000000"),
    Case(testDescription: "length of all ones", header: "{\(good)}", length: .max, problem: "more than 100000000"),
    Case(testDescription: "length past the end", header: "{\(good)}", length: 1_000_000, problem: "truncated"),
    Case(testDescription: "hole", header: "{\(good),\(entry("b", "F32", "[1]", 12, 16))}", data: 16, problem: "leaves a hole"),
    Case(testDescription: "first offset", header: "{\(entry("a", "F32", "[2]", 8, 16))}", data: 16, problem: "leaves a hole"),
    Case(testDescription: "overlap", header: "{\(good),\(entry("b", "F32", "[2]", 4, 12))}", data: 12, problem: "overlaps"),
    Case(testDescription: "shared range", header: "{\(good),\(entry("b", "F32", "[2]", 0, 8))}", problem: "overlaps"),
    Case(testDescription: "trailing byte", header: "{\(good)}", data: 9, problem: "1 bytes too many"),
    Case(testDescription: "missing byte", header: "{\(good)}", data: 7, problem: "truncated"),
    Case(testDescription: "size", header: "{\(entry("a", "F32", "[3]", 0, 8))}", problem: "needs 12 bytes"),
    Case(testDescription: "overflow", header: "{\(entry("a", "F32", "[1099511627776,1099511627776]", 0, 8))}", problem: "representable"),
    Case(testDescription: "overflow in bits", header: "{\(entry("a", "F64", "[1152921504606846976]", 0, 8))}", problem: "representable"),
    Case(testDescription: "negative dimension", header: "{\(entry("a", "F32", "[-2]", 0, 8))}", problem: "\"shape\""),
    Case(testDescription: "float dimension", header: "{\(entry("a", "F32", "[2.0]", 0, 8))}", problem: "\"shape\""),
    Case(
      testDescription: "dimension above 63 bits", header: "{\(entry("a", "F32", "[18446744073709551615]", 0, 8))}", problem: "\"shape\""),
    Case(testDescription: "reversed offsets", header: "{\(entry("a", "F32", "[2]", 8, 0))}", problem: "\"data_offsets\""),
    Case(testDescription: "unknown type", header: "{\(entry("a", "F128", "[1]", 0, 16))}", data: 16, problem: "\"F128\" is unknown"),
    Case(testDescription: "half a byte", header: "{\(entry("a", "F4", "[3]", 0, 2))}", data: 2, problem: "whole"),
    Case(testDescription: "metadata number", header: "{\"__metadata__\":{\"k\":1},\(good)}", problem: "not a string"),
    Case(testDescription: "metadata nested", header: "{\"__metadata__\":{\"k\":{}},\(good)}", problem: "not a string"),
    Case(testDescription: "metadata list", header: "{\"__metadata__\":[],\(good)}", problem: "not an object"),
    Case(testDescription: "NUL padding", header: "{\(good)}\0\0", problem: "not valid JSON"),
    Case(testDescription: "byte order mark", header: "\u{FEFF}{\(good)}", problem: "not valid JSON"),
    Case(testDescription: "list", header: "[]", data: 0, problem: "not a JSON object"),
    Case(testDescription: "empty header", header: "", data: 0, problem: "not valid JSON"),
    Case(testDescription: "duplicate name", header: "{\(good),\(good)}", problem: "appears twice"),
    Case(testDescription: "duplicate name, escaped", header: "{\(good),\(entry("\\u0061", "F32", "[2]", 0, 8))}", problem: "appears twice"),
    Case(
      testDescription: "duplicate field", header: "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
      problem: "appears twice"),
    Case(testDescription: "missing field", header: "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", problem: "\"data_offsets\""),
    Case(testDescription: "entry is a number", header: "{\"a\":1}", problem: "\"dtype\""),
  ]

  @Test(arguments: accepted) func accepts(_ test: Case) throws {
    let scratch = try SafeTensorsScratch()
    let file = try SafeTensorsFile(scratch.file(header: test.header, data: Array(repeating: 0, count: test.data)))
    for descriptor in file.descriptors {
      #expect(try file.tensor(descriptor.name).byteCount == descriptor.byteCount)
    }
  }

  @Test(arguments: refused) func refuses(_ test: Case) throws {
    let scratch = try SafeTensorsScratch()
    let url = try scratch.file(header: test.header, data: Array(repeating: 0, count: test.data), length: test.length)
    let error = #expect(throws: CheckpointError.self) { try SafeTensorsFile(url) }
    #expect(error?.kind == .badData)
    #expect(error?.problem.contains(test.problem ?? "?") == true, "\(error?.problem ?? "")")
    #expect(error?.subject.contains("model.safetensors") == true)
  }

  @Test(arguments: [0, 1, 7]) func refusesShortFiles(count: Int) throws {
    let scratch = try SafeTensorsScratch()
    let url = try scratch.file("short.safetensors", Array(repeating: 0, count: count))
    #expect(throws: CheckpointError.self) { try SafeTensorsFile(url) }
  }

  @Test func refusesWhatIsNoFile() throws {
    let scratch = try SafeTensorsScratch()
    #expect(mkfifo(scratch["pipe"].path, 0o600) == 0)
    #expect(message { _ = try SafeTensorsFile(scratch["pipe"]) }.contains("not a regular file"))
    let absent = #expect(throws: CheckpointError.self) { try SafeTensorsFile(scratch["absent"]) }
    #expect(absent?.kind == .missingInput)
  }

  @Test(arguments: DataType.allCases) func readsEveryType(type: DataType) throws {
    let scratch = try SafeTensorsScratch()
    let bytes = (0..<type.bitWidth).map { UInt8($0) }
    let header = "{\(Self.entry("a", type.rawValue, "[4,2]", 0, bytes.count))}"
    let file = try SafeTensorsFile(scratch.file(header: header, data: bytes))
    let tensor = try file.tensor("a")
    #expect(tensor.dataType == type)
    #expect(tensor.shape == [4, 2])
    #expect(tensor.contents == bytes)
  }

  /// One byte of a valid header changed in every way: whatever happens, it is a verdict and no crash.
  @Test func survivesDamage() throws {
    let scratch = try SafeTensorsScratch()
    let header = Array("{\"__metadata__\":{\"k\":\"v\"},\(Self.good)}".utf8)
    var refusals = 0
    for position in header.indices {
      for value in [UInt8(0), 0x20, 0x22, 0x2D, 0x39, 0x5B, 0x7D, 0xC3, 0xFF] {
        var damaged = header
        damaged[position] = value
        let bytes = withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init) + damaged + Array(repeating: 0, count: 8)
        let url = try scratch.file("damaged.safetensors", bytes)
        if (try? SafeTensorsFile(url)) == nil { refusals += 1 }
      }
    }
    #expect(refusals > header.count * 5)
  }
}
