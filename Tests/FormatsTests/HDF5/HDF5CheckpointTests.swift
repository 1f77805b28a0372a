import Diagnostics
import Foundation
import StructuredData
import Tensors
import Testing

@testable import Formats

@Suite struct HDF5CheckpointTests {
  @Test func nestedGroupsBecomeDottedNames() throws {
    let checkpoint = try HDF5Fixture.open("nested")
    #expect(
      checkpoint.descriptors == [
        TensorDescriptor(name: "model.layers.0.mlp.up_proj.weight", dataType: .float32, shape: [4, 6]),
        TensorDescriptor(name: "model.layers.10.mlp.up_proj.weight", dataType: .float16, shape: [4, 6]),
        TensorDescriptor(name: "model.norm.weight", dataType: .float64, shape: [6]),
      ])
    for descriptor in checkpoint.descriptors {
      let expected = try HDF5Fixture.bytes(descriptor.dataType, count: descriptor.shape.elementCount)
      #expect(try checkpoint.tensor(descriptor.name).bytes == expected, "\(descriptor.name)")
      #expect(checkpoint.descriptor(descriptor.name) == descriptor)
    }
    #expect(checkpoint.files == [try HDF5Fixture.url("nested")])
  }

  @Test func attributesOfTheRootTravelAlong() throws {
    let checkpoint = try HDF5Fixture.open("nested")
    #expect(checkpoint.attributeText("config.json") == #"{"model_type": "llama", "hidden_size": 6}"#)
    #expect(checkpoint.attributeText("tokenizer.json")?.utf8.count == 3002)
    #expect(checkpoint.attributeText("layers") == nil)
    #expect(checkpoint.metadata["backend"] == "numpy")
    #expect(checkpoint.metadata["größe"] == "Maß")
    let attributes = checkpoint.attributes
    #expect(attributes["layers"] == .integer(11))
    #expect(attributes["largest"] == .number(18_446_744_073_709_551_616))
    #expect(attributes["epsilon"] == .number(1e-6))
    #expect(attributes["tied"] == .bool(true))
    #expect(attributes["layer_names"] == ["embed", "norm"])
    #expect(attributes["shape"] == [4, 6])
    #expect(attributes["reference"] == nil)
    #expect(attributes["nothing"] == nil)
  }

  @Test func dottedNamesStay() throws {
    let checkpoint = try HDF5Fixture.open("dotted")
    #expect(
      checkpoint.descriptors.map(\.name) == [
        "empty", "lm_head.weight", "model.embed_tokens.weight", "model.layers.0.weight", "scalar", "tied",
      ])
    #expect(try checkpoint.tensor("scalar").shape == [])
    #expect(try checkpoint.tensor("scalar").float32Values() == [2.5])
    #expect(try checkpoint.tensor("empty").shape == [0, 4])
    #expect(try checkpoint.tensor("empty").bytes == [])
    #expect(try checkpoint.tensor("tied").bytes == HDF5Fixture.bytes(.float32, count: 7))
    #expect(try checkpoint.tensor("model.layers.0.weight").bytes == HDF5Fixture.bytes(.float32, count: 4))
  }

  @Test(arguments: ["gzip", "gzip_shuffle", "fletcher32", "all", "big_endian"])
  func chunks(filter: String) throws {
    let tensor = try HDF5Fixture.open("chunked").tensor(filter)
    #expect(tensor.shape == [37, 29])
    #expect(try tensor.bytes == HDF5Fixture.bytes(.float32, count: 37 * 29))
  }

  @Test func zerosMayBeCompressedAThousandfold() throws {
    #expect(try HDF5Fixture.open("chunked").tensor("zeros").bytes == [UInt8](repeating: 0, count: 1 << 18))
  }

  @Test(arguments: ["contiguous", "single", "implicit", "fixed", "extensible", "tree"])
  func newestLayouts(index: String) throws {
    #expect(try HDF5Fixture.open("latest").tensor(index).bytes == HDF5Fixture.bytes(.float16, count: 120))
  }

  @Test func groupsInDenseStorage() throws {
    let checkpoint = try HDF5Fixture.open("latest")
    for index in 0..<40 { #expect(try checkpoint.tensor("dense.\(index)").bytes == HDF5Fixture.bytes(.float16, count: 2)) }
  }

  @Test(arguments: ["weight", "chunked"])
  func userBlock(name: String) throws {
    #expect(try HDF5Fixture.open("userblock").tensor(name).bytes == HDF5Fixture.bytes(.float32, count: 12))
  }

  @Test(arguments: [
    ("i1", DataType.int8), ("i2", .int16), ("i4", .int32), ("i8", .int64), ("u1", .uint8), ("u2", .uint16), ("u4", .uint32),
    ("u8", .uint64), ("f2", .float16), ("f4", .float32), ("f8", .float64),
  ])
  func numbersInBothByteOrders(name: String, type: DataType) throws {
    let checkpoint = try HDF5Fixture.open("types")
    for order in ["little", "big"] {
      let tensor = try checkpoint.tensor("\(order).\(name)")
      #expect(tensor.dataType == type)
      #expect(try tensor.bytes == HDF5Fixture.bytes(type, count: 32), "\(order)")
    }
  }

  @Test(arguments: [
    ("bf16_float", DataType.bfloat16), ("bf16_float_big", .bfloat16), ("bf16_opaque", .bfloat16), ("bf16_tagged", .bfloat16),
    ("f8_tagged", .float8E4M3), ("i8_tagged", .int8), ("compact", .float32),
  ])
  func typesBeyondTheStandard(name: String, type: DataType) throws {
    let tensor = try HDF5Fixture.open("types").tensor(name)
    #expect(tensor.dataType == type)
    #expect(try tensor.bytes == HDF5Fixture.bytes(type, count: 32))
  }

  @Test func untaggedWordsStayWords() throws {
    let tensor = try HDF5Fixture.open("types").tensor("bf16_untagged")
    #expect(tensor.dataType == .uint16)
    #expect(try tensor.bytes == HDF5Fixture.bytes(.bfloat16, count: 32))
  }

  @Test func booleans() throws {
    let tensor = try HDF5Fixture.open("types").tensor("bool")
    #expect(tensor.dataType == .bool)
    #expect(tensor.bytes == HDF5Fixture.codes(32).map { $0 % 3 == 0 ? 1 : 0 })
  }

  @Test func swappingKeepsEveryBit() throws {
    // A signalling NaN, a NaN with a payload, a denormal and the largest float.
    let words: [UInt32] = [0x7F80_0001, 0xFFC1_2345, 0x0000_0001, 0x7F7F_FFFF]
    #expect(try HDF5Fixture.open("types").tensor("signalling").bytes == words.flatMap { HDF5Fixture.littleEndian(UInt64($0), 4) })
  }

  @Test func anUnknownNameIsAnError() throws {
    let checkpoint = try HDF5Fixture.open("nested")
    #expect(checkpoint.descriptor("model") == nil)
    let error = #expect(throws: CheckpointError.self) { try checkpoint.tensor("model.norm.bias") }
    #expect(error?.description.contains("model.norm.bias") == true)
  }

  @Test func aTensorOutlivesItsCheckpoint() throws {
    func read() throws -> Tensor { try HDF5Fixture.open("nested").tensor("model.norm.weight") }
    #expect(try read().bytes == HDF5Fixture.bytes(.float64, count: 6))
  }

  @Test func manyThreadsReadAtOnce() async throws {
    let checkpoint = try HDF5Fixture.open("chunked")
    let expected = try HDF5Fixture.bytes(.float32, count: 37 * 29)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for index in 0..<64 {
        group.addTask { try checkpoint.tensor(["gzip", "fletcher32", "all"][index % 3]).bytes == expected }
      }
      for try await isEqual in group { #expect(isEqual) }
    }
  }
}
