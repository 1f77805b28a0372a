import Diagnostics
import Formats
import Tensors
import Testing

/// Bytes against the compressor of compressed-tensors, and back.
@Suite struct CompressedTensorsEncodingTests {
  @Test func encodesWhatTheReferenceEncodes() throws {
    let golden = try CompressedTensorsGolden()
    let modules = try golden.modules()
    #expect(modules.count == 17)
    for module in modules {
      let encoded = try CompressedTensorsEncoding.encode(golden.quantized(module), module: module.name, format: module.format)
      #expect(encoded.map { $0.0.name }.sorted() == module.parts.map { "\(module.name).\($0)" })
      for (descriptor, tensor) in encoded {
        #expect(golden.tensors.descriptor(descriptor.name) == descriptor)
        #expect(try golden.tensors.tensor(descriptor.name).contents == tensor.contents, "\(descriptor.name)")
      }
    }
  }

  @Test func decodesWhatTheReferenceEncoded() throws {
    let golden = try CompressedTensorsGolden()
    for module in try golden.modules() {
      let expected = try golden.quantized(module)
      let decoded = try CompressedTensorsEncoding.decode(
        module: module.name, scheme: module.scheme, format: module.format, from: golden.tensors)
      #expect(decoded.scheme == module.scheme)
      #expect(decoded.shape == expected.shape)
      #expect(decoded.codes.contents == expected.codes.contents, "\(module.name)")
      #expect(decoded.scales.contents == expected.scales.contents)
      #expect(decoded.zeroPoints?.contents == expected.zeroPoints?.contents, "\(module.name)")
      #expect(decoded.inputScale == expected.inputScale)
      #expect((decoded.inputScale != nil) == (module.scheme.activations == .int8Static))
    }
  }

  @Test(arguments: 2...8, [1, 31, 32, 33, 100]) func packingIsUndone(bits: Int, columns: Int) throws {
    let half = 1 << (bits - 1)
    let codes = Tensor(dataType: .int8, shape: [3, columns]) { bytes in
      for index in bytes.indices { bytes[index] = UInt8(bitPattern: Int8(index * 7 % (2 * half) - half)) }
    }
    let packed = try #require(CodePacking.packed(signedBytes: codes, bits: bits))
    #expect(packed.shape == [3, (columns * bits + 31) / 32])
    #expect(CodePacking.signedBytes(packed, columns: columns, bits: bits)?.contents == codes.contents)
    let down = try #require(CodePacking.packedDownColumns(codes, bits: bits))
    #expect(down.shape == [(3 * bits + 31) / 32, columns])
    #expect(CodePacking.signedBytesDownColumns(down, rows: 3, bits: bits)?.contents == codes.contents)
    #expect(CodePacking.signedBytes(packed, columns: columns + 32, bits: bits) == nil)
  }

  @Test func theLowNibbleComesFirst() throws {
    let codes = Tensor(dataType: .int8, shape: [1, 8]) { bytes in
      for index in 0..<8 { bytes[index] = UInt8(bitPattern: Int8(index) - 8) }
    }
    #expect(CodePacking.packed(signedBytes: codes, bits: 4)?.contents == [0x10, 0x32, 0x54, 0x76])
    #expect(CodePacking.packed(signedBytes: codes, bits: 3) == nil, "−8 is no 3-bit code")
  }

  @Test func choosesFormats() throws {
    func format(_ scheme: QuantizationScheme, expert: Bool = false) throws -> CompressedTensorsFormat {
      try CompressedTensorsFormat.format(for: scheme, inputs: 256, isExpert: expert)
    }
    #expect(try format(QuantizationScheme(bits: 4, granularity: .group(128))) == .packQuantized)
    #expect(try format(QuantizationScheme(bits: 8)) == .packQuantized)
    #expect(try format(QuantizationScheme(bits: 8, activations: .int8)) == .intQuantized)
    #expect(try format(QuantizationScheme(bits: 8, activations: .int8), expert: true) == .packQuantized)
    #expect(try format(QuantizationScheme(bits: 4, granularity: .group(128), activations: .int8)) == .packQuantized)
    #expect(CompressedTensorsFormat.packQuantized.caveats(for: QuantizationScheme(bits: 4, granularity: .group(128))).isEmpty)
    #expect(CompressedTensorsFormat.packQuantized.caveats(for: QuantizationScheme(bits: 3, symmetric: false)).count == 2)
  }

  @Test(arguments: [
    (QuantizationScheme(bits: 1), "use 2 bits"), (QuantizationScheme(bits: 9), "use 8 bits"),
    (QuantizationScheme(bits: 4, granularity: .group(128)), "use groups of 64"),
    (QuantizationScheme(bits: 4, granularity: .group(7)), "use one scale per channel"),
    (QuantizationScheme(bits: 4, granularity: .group(0)), "use a positive group size"),
    (QuantizationScheme(bits: 4, granularity: .group(.max)), "use a positive group size"),
  ]) func refusesWithTheNearest(scheme: QuantizationScheme, remedy: String) throws {
    let error = #expect(throws: CheckpointError.self) { try CompressedTensorsFormat.format(for: scheme, inputs: 192) }
    #expect(error?.kind == .usage)
    #expect(error?.remedy.hasPrefix(remedy) == true, "\(error?.remedy ?? "")")
    #expect(throws: CheckpointError.self) {
      try CompressedTensorsEncoding.descriptors(module: "m", scheme: scheme, shape: [8, 192], scaleType: .float32)
    }
  }

  @Test func refusesLevels() throws {
    let scheme = QuantizationScheme(bits: 4, granularity: .group(64), levels: .normalFloat4)
    let tensor = try #require(
      QuantizedTensor(
        scheme: scheme, shape: [1, 64], codes: Tensor(dataType: .int32, shape: [1, 8]) { _ in },
        scales: Tensor([1], shape: [1, 1]), zeroPoints: nil))
    for format in [nil, CompressedTensorsFormat.packQuantized, .intQuantized] {
      let error = #expect(throws: CheckpointError.self) { try CompressedTensorsEncoding.encode(tensor, module: "a.b", format: format) }
      #expect(error?.kind == .usage && error?.subject == "a.b.weight" && error?.problem == "compressed-tensors cannot hold NF4 g64")
    }
  }

  @Test(arguments: [Shape([8]), Shape([0, 8]), Shape([8, -1]), Shape([8, .max])]) func refusesShapes(shape: Shape) {
    #expect(throws: CheckpointError.self) {
      try CompressedTensorsEncoding.descriptors(module: "m", scheme: QuantizationScheme(bits: 8), shape: shape, scaleType: .float32)
    }
  }
}
