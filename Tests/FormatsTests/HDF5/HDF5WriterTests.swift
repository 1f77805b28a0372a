import Diagnostics
import Foundation
import Tensors
import Testing

@testable import Formats

@Suite struct HDF5WriterTests {
  private static func tensor(_ type: DataType, _ shape: Shape, seed: Int) -> Tensor {
    Tensor(dataType: type, shape: shape) { bytes in
      for index in bytes.indices { bytes[index] = type == .bool ? UInt8((index + seed) % 2) : UInt8((index * 31 + seed * 7) % 256) }
    }
  }

  private static let sample: [(name: String, tensor: Tensor)] = {
    let types: [DataType] = [
      .bool, .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64, .float16, .bfloat16, .float32, .float64,
      .float8E4M3, .float8E5M2, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ,
    ]
    var sample = types.enumerated().map { index, type in
      ("model.layers.\(index).weight", tensor(type, [5, 3], seed: index))
    }
    sample += [
      ("scalar", tensor(.float32, [], seed: 1)), ("empty", tensor(.float16, [3, 0, 2], seed: 2)),
      ("model.layers", tensor(.int8, [4], seed: 3)), ("model", tensor(.int8, [2, 2, 2], seed: 4)),
      ("..odd..name.", tensor(.float32, [1], seed: 5)), ("größe.重み", tensor(.float32, [2000], seed: 6)),
    ]
    return sample
  }()

  private static func descriptors(_ sample: [(name: String, tensor: Tensor)]) -> [TensorDescriptor] {
    sample.map { TensorDescriptor(name: $0.name, dataType: $0.tensor.dataType, shape: $0.tensor.shape) }
  }

  private static func write(
    _ sample: [(name: String, tensor: Tensor)], to url: URL, attributes: [String: String] = [:]
  ) throws {
    let writer = try HDF5Writer(creating: url, tensors: descriptors(sample), attributes: attributes)
    for (name, tensor) in sample { try writer.write(name, tensor) }
    try writer.finish()
  }

  @Test func whatIsWrittenReadsBackEqual() throws {
    let directory = try TemporaryDirectory()
    let url = directory.url.appendingPathComponent("model.h5")
    let attributes = [
      "config.json": #"{"hidden_size": 4}"#, "recipe": "passes: []\n", "none": "",
      "tokenizer.json": String(repeating: "é ", count: 400_000),
    ]
    try Self.write(Self.sample, to: url, attributes: attributes)
    let checkpoint = try HDF5Checkpoint(opening: url)
    #expect(checkpoint.descriptors == Self.descriptors(Self.sample).sorted { compareBytes($0.name, $1.name) < 0 })
    for (name, tensor) in Self.sample { #expect(try checkpoint.tensor(name).bytes == tensor.bytes, "\(name)") }
    #expect(checkpoint.metadata == attributes)
    #expect(checkpoint.attributeText("recipe") == "passes: []\n")
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path) == ["model.h5"])
  }

  @Test func theOrderOfWritingLeavesNoTrace() throws {
    let directory = try TemporaryDirectory()
    let urls = ["first.h5", "second.h5"].map { directory.url.appendingPathComponent($0) }
    try Self.write(Self.sample, to: urls[0], attributes: ["a": "1", "b": "2"])
    try Self.write(Self.sample.reversed(), to: urls[1], attributes: ["b": "2", "a": "1"])
    #expect(try Data(contentsOf: urls[0]) == Data(contentsOf: urls[1]))
  }

  @Test func dotsBecomeGroupsUnlessATensorIsInTheWay() {
    func path(_ name: String, _ others: String...) -> String {
      HDF5Layout.path(of: name, besides: Set((others + [name]).map { Array($0.utf8) }))
    }
    #expect(path("model.layers.0.weight") == "/model/layers/0/weight")
    #expect(path("weight") == "/weight")
    #expect(path("model.layers.0.weight", "model.layers") == "/model/layers.0.weight")
    #expect(path("model.layers.0.weight", "model") == "/model.layers.0.weight")
    #expect(path("model..weight") == "/model..weight")
    #expect(path(".weight") == "/.weight")
  }

  @Test func elementsStartOnCacheLines() throws {
    let layout = try HDF5Layout(of: Self.descriptors(Self.sample), attributes: [:], file: URL(fileURLWithPath: "model.h5"))
    for entry in layout.places.entries where entry.value.byteCount > 0 { #expect(entry.value.offset % 64 == 0, "\(entry.name)") }
  }

  @Test func nothingAndManyTensors() throws {
    let directory = try TemporaryDirectory()
    let none = directory.url.appendingPathComponent("none.h5")
    try Self.write([], to: none)
    #expect(try HDF5Checkpoint(opening: none).descriptors.isEmpty)

    let many = directory.url.appendingPathComponent("many.h5")
    let sample = (0..<1500).map { ("model.layers.\($0 / 10).experts.\($0 % 10).weight", Self.tensor(.bfloat16, [1, 2], seed: $0)) }
    try Self.write(sample, to: many)
    let checkpoint = try HDF5Checkpoint(opening: many)
    #expect(checkpoint.descriptors.count == 1500)
    for (name, tensor) in sample { #expect(try checkpoint.tensor(name).bytes == tensor.bytes, "\(name)") }
  }

  @Test(arguments: ["", ".", "..", "a/b", "a\0b", "a\nb"])
  func namesThatCannotBeStored(name: String) throws {
    let directory = try TemporaryDirectory()
    let error = #expect(throws: CheckpointError.self) {
      try HDF5Writer(
        creating: directory.url.appendingPathComponent("model.h5"),
        tensors: [TensorDescriptor(name: name, dataType: .float32, shape: [1])])
    }
    #expect(error?.kind == .usage)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path).isEmpty)
  }

  @Test(arguments: [DataType.float4E2M1, .float6E2M3, .complex64])
  func typesThatCannotBeStored(type: DataType) throws {
    let directory = try TemporaryDirectory()
    let error = #expect(throws: CheckpointError.self) {
      try HDF5Writer(
        creating: directory.url.appendingPathComponent("model.h5"), tensors: [TensorDescriptor(name: "w", dataType: type, shape: [8])])
    }
    #expect(error?.description.contains(type.rawValue) == true)
  }

  @Test func shapesThatCannotBeStored() throws {
    let directory = try TemporaryDirectory()
    let url = directory.url.appendingPathComponent("model.h5")
    for dimensions in [[-1], [Int.max, 2], [1 << 62], Array(repeating: 1, count: 33)] {
      #expect(throws: CheckpointError.self) {
        try HDF5Writer(creating: url, tensors: [TensorDescriptor(name: "w", dataType: .float32, shape: Shape(dimensions))])
      }
    }
    let large = (0..<6).map { TensorDescriptor(name: "w\($0)", dataType: .uint8, shape: [1 << 61]) }
    #expect(throws: CheckpointError.self) { try HDF5Writer(creating: url, tensors: large) }
  }

  @Test func everyTensorExactlyOnce() throws {
    let directory = try TemporaryDirectory()
    let url = directory.url.appendingPathComponent("model.h5")
    let tensors = ["a", "b"].map { TensorDescriptor(name: $0, dataType: .float32, shape: [2]) }
    #expect(throws: CheckpointError.self) { try HDF5Writer(creating: url, tensors: tensors + tensors) }

    let writer = try HDF5Writer(creating: url, tensors: tensors)
    try writer.write("a", Tensor([1.5, 2.5], shape: [2]))
    #expect(throws: CheckpointError.self) { try writer.write("a", Tensor([1.5, 2.5], shape: [2])) }
    #expect(throws: CheckpointError.self) { try writer.write("b", Tensor([1.5, 2.5, 3.5], shape: [3])) }
    #expect(throws: CheckpointError.self) { try writer.write("c", Tensor([1.5, 2.5], shape: [2])) }
    let error = #expect(throws: CheckpointError.self) { try writer.finish() }
    #expect(error?.description.contains("tensor b") == true)
    #expect(!FileManager.default.fileExists(atPath: url.path))
  }

  @Test func anExistingFileIsKept() throws {
    let directory = try TemporaryDirectory()
    let url = directory.url.appendingPathComponent("model.h5")
    try Data("mine".utf8).write(to: url)
    let error = #expect(throws: CheckpointError.self) { try HDF5Writer(creating: url, tensors: []) }
    #expect(error?.kind == .cannotCreate)
    #expect(try Data(contentsOf: url) == Data("mine".utf8))
    let nowhere = #expect(throws: CheckpointError.self) {
      try HDF5Writer(creating: directory.url.appendingPathComponent("none/model.h5"), tensors: [])
    }
    #expect(nowhere?.kind == .cannotCreate)
  }

  @Test func anUnfinishedFileIsNotVisible() throws {
    let directory = try TemporaryDirectory()
    let url = directory.url.appendingPathComponent("model.h5")
    do {
      let writer = try HDF5Writer(creating: url, tensors: [TensorDescriptor(name: "a", dataType: .float32, shape: [2])])
      try writer.write("a", Tensor([1.5, 2.5], shape: [2]))
      #expect(!FileManager.default.fileExists(atPath: url.path))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path).isEmpty)
  }
}
