import Diagnostics
import Foundation
import StructuredData
import Testing

@testable import Formats

#if os(Linux)
  /// Files that claim far more than they hold, in processes that may have little memory: what is only claimed is never allocated.
  @Suite struct HostileMemoryTests {
    static let room = 512 << 20

    /// From here on this process may map so many bytes more, and no others.
    static func limitMemory() throws {
      let pages = try #require(try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ").first)
      let limit = rlim_t(try #require(Int(pages)) * Int(getpagesize()) + room)
      var limits = rlimit(rlim_cur: limit, rlim_max: limit)
      try #require(setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limits) == 0)
      // It holds: what nobody has cannot be had.
      let tooMuch = mmap(nil, 2 * room, PROT_READ, MAP_PRIVATE | MAP_ANON, -1, 0)
      try #require(tooMuch == UnsafeMutableRawPointer(bitPattern: -1))
    }

    static func expectBadData(_ label: Comment, _ body: () throws -> Void) {
      let error = #expect(throws: (any Error).self, label) { try body() }
      #expect((error as? any Failure)?.kind == .badData, label)
    }

    @Test func hdf5() async {
      await #expect(processExitsWith: .success) {
        let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("HDF5Fixtures")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { name in
          name.hasSuffix(".h5") && ["hostile-", "damaged-", "refused-"].contains { name.hasPrefix($0) } && name != "damaged-chunk.h5"
        }
        try #require(names.count > 40)
        try HostileMemoryTests.limitMemory()
        for name in names {
          HostileMemoryTests.expectBadData("\(name)") { _ = try HDF5Checkpoint(opening: folder.appendingPathComponent(name)) }
        }
      }
    }

    @Test func safeTensorsAndJSON() async {
      await #expect(processExitsWith: .success) {
        let scratch = try SafeTensorsScratch()
        let entry = { (shape: String, end: String) in #"{"a":{"dtype":"F32","shape":[\#(shape)],"data_offsets":[0,\#(end)]}}"# }
        let files = [
          try scratch.file("length.safetensors", header: "{}", data: [], length: 99_000_000),
          try scratch.file("longer.safetensors", header: "{}", data: [], length: 1 << 62),
          try scratch.file("shape.safetensors", header: entry("1152921504606846976", "4611686018427387904"), data: [0, 0, 0, 0]),
          try scratch.file("overflow.safetensors", header: entry("4294967296,4294967296,4294967296", "4"), data: [0, 0, 0, 0]),
          try scratch.file("negative.safetensors", header: entry("-1", "4"), data: [0, 0, 0, 0]),
          try scratch.file("deep.safetensors", header: String(repeating: "[", count: 1 << 20), data: []),
          try scratch.file("objects.safetensors", header: String(repeating: "{\"a\":", count: 1 << 18), data: []),
        ]
        try HostileMemoryTests.limitMemory()
        for file in files { HostileMemoryTests.expectBadData("\(file.lastPathComponent)") { _ = try SafeTensorsFile(file) } }
      }
    }

    @Test func gguf() async {
      await #expect(processExitsWith: .success) {
        let scratch = try SafeTensorsScratch()
        func words(_ values: [UInt64]) -> [UInt8] { values.flatMap { value in withUnsafeBytes(of: value.littleEndian, Array.init) } }
        let start: [UInt8] = Array("GGUF".utf8) + [3, 0, 0, 0]
        let key = words([1]) + Array("k".utf8)
        func array(of type: UInt8, _ count: UInt64) -> [UInt8] { key + [9, 0, 0, 0, type, 0, 0, 0] + words([count]) }
        // What stands behind a claim is a megabyte, so that a file's size alone does not tell.
        let rest = [UInt8](repeating: 1, count: 1 << 20)
        var files: [URL] = []
        for count in [UInt64(1) << 30, 1 << 60, .max] {
          files.append(try scratch.file("tensors-\(count).gguf", start + words([count, 0]) + rest))
          files.append(try scratch.file("pairs-\(count).gguf", start + words([0, count]) + rest))
          files.append(try scratch.file("text-\(count).gguf", start + words([0, 1]) + key + [8, 0, 0, 0] + words([count]) + rest))
          for type in UInt8(0)...12 {
            files.append(try scratch.file("array-\(type)-\(count).gguf", start + words([0, 1]) + array(of: type, count) + rest))
          }
        }
        try HostileMemoryTests.limitMemory()
        for file in files { HostileMemoryTests.expectBadData("\(file.lastPathComponent)") { _ = try GGUFFile(file) } }
      }
    }

    /// Settings of Keras name sizes that lists of parameters are made from.
    @Test func keras() async {
      await #expect(processExitsWith: .success) {
        let sizes = [
          "num_layers", "vocabulary_size", "hidden_dim", "num_query_heads", "num_key_value_heads", "intermediate_dim", "head_dim",
        ]
        try HostileMemoryTests.limitMemory()
        for huge in sizes {
          for count in [Int64(1) << 29, 1 << 40, .max] {
            var config = JSONObject()
            for size in sizes { config[size] = .integer(size == huge ? count : 2) }
            let object: JSONValue = ["class_name": "LlamaBackbone", "config": .object(config)]
            let backbone = try #require(KerasObject(object, place: "config.json"))
            let error = #expect(throws: CheckpointError.self, "\(huge) \(count)") { try KerasBackbone(backbone) }
            #expect(error?.kind == .badConfiguration && error?.subject.hasSuffix(huge) == true, "\(huge) \(count)")
          }
        }
      }
    }
  }
#endif
