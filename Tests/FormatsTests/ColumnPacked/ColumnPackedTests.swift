import Diagnostics
import Formats
import StructuredData
import Tensors
import Testing

/// GPTQ's and AWQ's layouts, byte for byte those of gptqmodel.
@Suite struct ColumnPackedTests {
  private let golden: ColumnPackedGolden

  init() throws { golden = try ColumnPackedGolden() }

  private func settings(_ module: ColumnPackedGolden.Module, version: Int = 2) -> JSONValue {
    let size: JSONValue = module.scheme.granularity == .channel ? -1 : .integer(Int64(module.group))
    return module.encoding == .awq
      ? ["quantization_config": ["quant_method": "awq", "bits": 4, "group_size": size, "zero_point": true, "version": "gemm"]]
      : [
        "quantization_config": [
          "quant_method": "gptq", "bits": .integer(Int64(module.bits)), "group_size": size, "sym": .bool(module.symmetric),
          "checkpoint_format": version == 1 ? "gptq" : "gptq_v2",
        ]
      ]
  }

  @Test(arguments: ColumnPackedGolden.modules) func writesWhatThePeerWrites(module: ColumnPackedGolden.Module) throws {
    let written = try module.encoding.encode(golden.quantized(module), module: module.name)
    #expect(written.map(\.0.name) == module.parts.map { "\(module.name).\($0)" })
    for (descriptor, tensor) in written {
      let expected = try golden.tensors.tensor(descriptor.name)
      #expect(tensor.dataType == expected.dataType && tensor.shape == expected.shape, "\(descriptor.name)")
      #expect(tensor.contents == expected.contents, "\(descriptor.name)")
    }
  }

  @Test(arguments: ColumnPackedGolden.modules) func readsWhatThePeerWrites(module: ColumnPackedGolden.Module) throws {
    let source = try openWeights(checkpoint: golden.checkpoint(module), configuration: settings(module))
    #expect(source.names == ["\(module.name).weight"])
    let described = try #require(source.describe("\(module.name).weight"))
    #expect(described.shape == [32, 64] && described.storage == .quantized(module.scheme))
    let expected = Weight.quantized(try golden.quantized(module)).digest()
    #expect(try source.load("\(module.name).weight").digest() == expected)
    #expect(try source.digest("\(module.name).weight") == expected)
  }

  /// Zero points less 1, as every loader of version 1 adds it again.
  @Test func versionOneKeepsZeroPointsLessOne() throws {
    let module = try #require(ColumnPackedGolden.modules.first { $0.name == "gptq4" })
    let weight = try golden.quantized(module)
    var checkpoint = MemoryCheckpoint()
    for (descriptor, tensor) in try ColumnPackedEncoding.gptq(version: 1).encode(weight, module: "m") {
      checkpoint.tensors[descriptor.name] = tensor
    }
    let zeros = try checkpoint.tensor("m.qzeros").contents
    #expect(zeros.allSatisfy { $0 == 0x77 })
    let source = try openWeights(checkpoint: checkpoint, configuration: settings(module, version: 1))
    #expect(try source.load("m.weight").digest() == Weight.quantized(weight).digest())
  }

  @Test func zeroPointZeroHasNoPlaceInVersionOne() throws {
    let module = try #require(ColumnPackedGolden.modules.first { $0.name == "gptq4a" })
    let text = message { _ = try ColumnPackedEncoding.gptq(version: 1).encode(golden.quantized(module), module: "m") }
    #expect(text.contains("zero point of 0"), "\(text)")
    // What version 1 stores as its largest number is a zero point beyond the codes.
    let read = message {
      _ = try openWeights(checkpoint: golden.checkpoint(module), configuration: settings(module, version: 1)).load("gptq4a.weight")
    }
    #expect(read.contains("gptq_v2"), "\(read)")
  }

  @Test func symmetricWeightsGetZeroPointsInAWQ() throws {
    let module = try #require(ColumnPackedGolden.modules.first { $0.name == "gptq4" })
    let weight = try golden.quantized(module)
    let encoded = try ColumnPackedEncoding.awq.encode(weight, module: "m")
    #expect(encoded.first { $0.0.name == "m.qzeros" }?.1.contents.allSatisfy { $0 == 0x88 } == true)
    let back = ColumnPackedEncoding.awq.readBack(weight)
    #expect(back.scheme.name == "W4A16 g32 asymmetric")
    #expect(back.dequantized().contents == weight.dequantized().contents)
  }

  @Test func scalesThatFloat16DoesNotHoldAreRefused() throws {
    let module = try #require(ColumnPackedGolden.modules.first { $0.name == "gptq4" })
    let weight = try golden.quantized(module)
    for (scale, isHeld) in [(Float(0x1p-20), true), (0x1p-30, false), (70_000, false), (0.1, false)] {
      let scales = Tensor([Float](repeating: scale, count: 64), shape: [32, 2])
      let tensor = try #require(QuantizedTensor(scheme: weight.scheme, shape: weight.shape, codes: weight.codes, scales: scales))
      let text = message { _ = try ColumnPackedEncoding.awq.encode(tensor, module: "m") }
      #expect(isHeld ? text.isEmpty : text.contains("float16"), "\(scale): \(text)")
    }
  }

  struct Refusal: Sendable {
    let encoding: ColumnPackedEncoding
    let scheme: QuantizationScheme
    var outputs = 32
    let says: String
  }

  static let refusals = [
    Refusal(encoding: .gptq(version: 1), scheme: QuantizationScheme(bits: 5, granularity: .group(32)), says: "--bits 4 or 8"),
    Refusal(encoding: .awq, scheme: QuantizationScheme(bits: 8, granularity: .group(32)), says: "--format gptq"),
    Refusal(encoding: .awq, scheme: QuantizationScheme(bits: 4, granularity: .group(16)), says: "--group-size 64, 32"),
    Refusal(encoding: .awq, scheme: QuantizationScheme(bits: 4), says: "--group-size 64, 32"),
    Refusal(encoding: .gptq(version: 1), scheme: QuantizationScheme(bits: 4, granularity: .group(128)), says: "do not divide"),
    Refusal(
      encoding: .gptq(version: 1), scheme: QuantizationScheme(bits: 4, granularity: .group(32)), outputs: 30, says: "words of 32 bits"),
    Refusal(encoding: .gptq(version: 1), scheme: QuantizationScheme(bits: 8, activations: .int8), says: "--activations none"),
    Refusal(encoding: .gptq(version: 1), scheme: QuantizationScheme(bits: 8, levels: .float8), says: "FP8"),
  ]

  @Test(arguments: refusals) func refusesWhatTheLayoutCannotHold(refusal: Refusal) {
    let text = message {
      _ = try refusal.encoding.descriptors(module: "m", scheme: refusal.scheme, shape: [refusal.outputs, 64])
    }
    #expect(text.contains(refusal.says), "\(text)")
  }

  @Test(arguments: [(256, 384, "--group-size 128"), (128, 64, "--group-size 64"), (32, 40, "--group-size 0")])
  func theNearestGroupsAreNamed(_ size: Int, _ inputs: Int, _ says: String) {
    let scheme = QuantizationScheme(bits: 4, granularity: .group(size))
    let text = message { _ = try ColumnPackedEncoding.gptq(version: 1).descriptors(module: "m", scheme: scheme, shape: [32, inputs]) }
    #expect(text.hasSuffix(says), "\(text)")
  }

  // MARK: - Files that do not fit together

  private func failure(_ name: String, _ changes: [String: JSONValue] = [:], _ edit: (inout MemoryCheckpoint) -> Void = { _ in }) throws
    -> String
  {
    let module = try #require(ColumnPackedGolden.modules.first { $0.name == name })
    var checkpoint = try golden.checkpoint(module)
    edit(&checkpoint)
    var object = try #require(settings(module)["quantization_config"]?.object)
    for (key, value) in changes { object[key] = value }
    return message {
      _ = try openWeights(checkpoint: checkpoint, configuration: ["quantization_config": .object(object)]).load("\(name).weight")
    }
  }

  /// On opening, where no run has begun; of headers alone nothing can be said.
  @Test func refusesGroupsInTheOrderOfActivations() throws {
    let module = try #require(ColumnPackedGolden.modules.first { $0.name == "gptq4" })
    var checkpoint = try golden.checkpoint(module)
    checkpoint.tensors["gptq4.g_idx"] = Tensor(dataType: .int32, shape: [64]) { target in
      for input in 0..<64 { target.storeBytes(of: Int32((63 - input) / 32), toByteOffset: input * 4, as: Int32.self) }
    }
    let text = message { _ = try openWeights(checkpoint: checkpoint, configuration: settings(module)) }
    #expect(text.contains("desc_act") && text.contains("g_idx"), "\(text)")
    checkpoint.holdsValues = false
    #expect(message { _ = try openWeights(checkpoint: checkpoint, configuration: settings(module)) }.isEmpty)
  }

  @Test(arguments: ["gptq4", "awq32"]) func refusesScalesThatAreNoNumbers(name: String) throws {
    let text = try failure(name) { checkpoint in
      guard let sound = checkpoint.tensors["\(name).scales"] else { return }
      checkpoint.tensors["\(name).scales"] = Tensor(dataType: sound.dataType, shape: sound.shape) { target in
        target.copyBytes(from: sound.contents)
        target[1] = 0xff
        target[0] = 0xff
      }
    }
    #expect(text.contains("\(name).scales: 1 of its"), "\(text)")
  }

  @Test func readsFilesWithoutGroupIndices() throws {
    #expect(try failure("gptq4") { $0.tensors["gptq4.g_idx"] = nil }.isEmpty)
  }

  @Test(arguments: ["qweight", "qzeros", "scales"]) func namesWhatIsMissing(part: String) throws {
    let text = try failure("gptq4a") { $0.tensors["gptq4a.\(part)"] = nil }
    #expect(text.contains("gptq4a.\(part)") || text.contains("gptq4a.qweight"), "\(text)")
  }

  @Test func refusesSizesThatDoNotFit() throws {
    #expect(try failure("gptq4") { $0.tensors["gptq4.qzeros"] = Tensor(dataType: .int32, shape: [2, 3]) { _ in } }.contains("qzeros"))
    #expect(try failure("gptq4") { $0.tensors["gptq4.scales"] = Tensor(dataType: .float16, shape: [3, 32]) { _ in } }.contains("scales"))
    #expect(try failure("gptq4") { $0.tensors["gptq4.qweight"] = Tensor(dataType: .int32, shape: [8]) { _ in } }.contains("no matrix"))
    #expect(try failure("gptq3") { $0.tensors["gptq3.qweight"] = Tensor(dataType: .int32, shape: [7, 32]) { _ in } }.contains("gptq3"))
    #expect(try failure("gptq4a", ["sym": true]).contains("sym"))
  }

  struct Setting: Sendable {
    let name, key: String
    let value: JSONValue

    init(_ name: String, _ key: String, _ value: JSONValue) { (self.name, self.key, self.value) = (name, key, value) }
  }

  static let wrongSettings = [
    Setting("gptq4", "bits", 5), Setting("gptq4", "bits", "four"), Setting("gptq4", "group_size", 0), Setting("gptq4", "group_size", -2),
    Setting("gptq4", "checkpoint_format", "marlin"), Setting("gptq4", "sym", "yes"), Setting("gptq4", "dynamic", 3),
    Setting("gptq4", "dynamic", ["+:(": [:]]), Setting("gptq4", "dynamic", ["-:gptq4": [:]]), Setting("awq32", "version", "gemv"),
    Setting("awq32", "zero_point", false), Setting("awq32", "bits", 8), Setting("awq32", "group_size", 16),
  ]

  @Test(arguments: wrongSettings) func refusesConfigurations(setting: Setting) throws {
    #expect(try !failure(setting.name, [setting.key: setting.value]).isEmpty)
  }

  @Test func rulesGiveModulesOtherWidths() throws {
    #expect(try failure("gptq8", ["bits": 4, "dynamic": ["+:other": ["bits": 2], "gptq8$": ["bits": 8]]]).isEmpty)
  }
}
