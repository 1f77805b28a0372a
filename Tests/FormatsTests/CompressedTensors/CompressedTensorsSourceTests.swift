import Diagnostics
import Formats
import StructuredData
import Tensors
import Testing

/// Checkpoints as parameters: complete ones, and each way in which one can be incomplete.
@Suite struct CompressedTensorsSourceTests {
  private var checkpoint = MemoryCheckpoint()
  private let configuration: JSONValue
  private let golden: CompressedTensorsGolden

  init() throws {
    golden = try CompressedTensorsGolden()
    var modules: [CompressedTensorsConfiguration.Module] = []
    for module in try golden.modules() {
      for (descriptor, tensor) in try CompressedTensorsEncoding.encode(
        golden.quantized(module), module: module.name, format: module.format)
      {
        checkpoint.tensors[descriptor.name] = tensor
      }
      modules.append(.init(name: module.name, scheme: module.scheme, format: module.format))
    }
    checkpoint.tensors["model.norm.weight"] = floats([1, 2], [2])
    checkpoint.tensors["lm_head.weight"] = floats([1, 2, 3, 4], [2, 2])
    configuration = ["quantization_config": try CompressedTensorsConfiguration(modules: modules, dense: ["lm_head"]).json()]
  }

  private func failure(_ edit: (inout MemoryCheckpoint) -> Void) -> String {
    var edited = checkpoint
    edit(&edited)
    return message { _ = try openWeights(checkpoint: edited, configuration: configuration) }
  }

  @Test func presentsLogicalWeights() throws {
    let source = try openWeights(checkpoint: checkpoint, configuration: configuration)
    let modules = try golden.modules()
    #expect(source.names == (modules.map { "\($0.name).weight" } + ["lm_head.weight", "model.norm.weight"]).sorted())
    for module in modules {
      let expected = try golden.quantized(module)
      let described = try #require(source.describe("\(module.name).weight"))
      #expect(described.shape == expected.shape)
      #expect(described.storage == .quantized(module.scheme))
      guard case .quantized(let tensor) = try source.load("\(module.name).weight") else {
        Issue.record("\(module.name) is not quantized")
        continue
      }
      #expect(tensor.dequantized().contents == expected.dequantized().contents)
    }
    #expect(source.describe("lm_head.weight")?.storage == .dense(.float32))
    #expect(try source.load("model.norm.weight").float32()?.float32Values() == [1, 2])
    #expect(source.describe("w4g128.weight_packed") == nil)
    #expect(throws: CheckpointError.self) { try source.load("w4g128.weight_packed") }
  }

  @Test(arguments: ["weight_packed", "weight_scale", "weight_shape", "weight_zero_point"]) func namesWhatIsMissing(part: String) {
    let text = failure { $0.tensors["w4g128a.\(part)"] = nil }
    #expect(text.contains("w4g128a.\(part)") && text.contains("missing"), "\(text)")
  }

  @Test func refusesWrongParts() {
    #expect(
      failure { $0.tensors["w4g128.weight_packed"] = floats([1], [1]) }.contains(
        "it is F32 [1], but W4A16 g128 of a [9, 256] weight has I32 [9, 32]"))
    #expect(failure { $0.tensors["w4g128.weight_scale"] = floats([1], [1]) }.contains("has F32 [9, 2]"))
    #expect(failure { $0.tensors["w4g128.weight_scale"] = $0.tensors["w8a8.weight"] }.contains("scales of type I8"))
    #expect(failure { $0.tensors["w4g128.weight_shape"] = floats([1], [1]) }.contains("not I64 [2]"))
    #expect(failure { $0.tensors["w8a8.weight"] = floats([1], [1, 1]) }.contains("it is F32 [1, 1], but W8A8"))
    for sizes in [[-1, 256], [9, .max], [0, 0]] as [[Int64]] {
      let text = failure {
        $0.tensors["w4g128.weight_shape"] = Tensor(dataType: .int64, shape: [2]) { bytes in
          bytes.copyBytes(from: sizes.flatMap { withUnsafeBytes(of: $0, Array.init) })
        }
      }
      #expect(text.contains("no shape"), "\(text)")
    }
  }

  @Test func refusesPartsThatDoNotBelong() {
    #expect(failure { $0.tensors["w4g128.weight_zero_point"] = $0.tensors["w4g128a.weight_zero_point"] }.contains("has no such tensor"))
    #expect(failure { $0.tensors["w4g128.weight_g_idx"] = $0.tensors["w4g128.weight_shape"] }.contains("has no such tensor"))
    #expect(failure { $0.tensors["w8a8.input_scale"] = floats([1], [1]) }.contains("has no such tensor"))
    #expect(failure { $0.tensors["w8a8static.input_zero_point"] = floats([0], [1]) }.contains("has no such tensor"))
    #expect(failure { $0.tensors["w8a8static.input_scale"] = nil }.contains("is missing"))
    #expect(failure { $0.tensors["w8a8static.input_scale"] = floats([1], [1]) }.contains("has BF16 [1]"))
    #expect(failure { $0.tensors["other.weight_packed"] = $0.tensors["w4g128.weight_packed"] }.contains("no group of config.json"))
    #expect(failure { $0.tensors["w4g128.weight"] = floats([1], [1]) }.contains("both dense and packed"))
    #expect(
      failure {
        $0.tensors["w4g128.weight_packed"] = nil; $0.tensors["w4g128.weight"] = $0.tensors["w8a8.weight"]
      }.contains("says pack-quantized"))
  }

  @Test func refusesCodesOutOfRange() throws {
    var edited = checkpoint
    edited.tensors["w4a8bytes.weight"] = Tensor(dataType: .int8, shape: [4, 64]) { $0[5] = 8 }
    let source = try openWeights(checkpoint: edited, configuration: configuration)
    #expect(message { _ = try source.load("w4a8bytes.weight") }.contains("codes outside -8 … 7"))
  }

  @Test(arguments: [0, -1, Float.nan, .infinity]) func refusesInputScalesThatAreNone(_ scale: Float) throws {
    var edited = checkpoint
    edited.tensors["w4a8static.input_scale"] = floats([scale], [1])
    let source = try openWeights(checkpoint: edited, configuration: configuration)
    #expect(message { _ = try source.load("w4a8static.weight") }.contains("no positive number"))
  }

  @Test func opensPlainCheckpoints() throws {
    var plain = MemoryCheckpoint()
    plain.tensors["a.weight"] = floats([1, 2], [2])
    let source = try openWeights(checkpoint: plain, configuration: ["quantization_config": nil])
    #expect(source.names == ["a.weight"])
    #expect(source.describe("a.weight")?.storage == .dense(.float32))
    #expect(try source.load("a.weight").float32()?.float32Values() == [1, 2])
    #expect(message { _ = try openWeights(checkpoint: checkpoint, configuration: [:]) }.contains("has no \"quantization_config\""))
  }

  @Test func namesOtherMethods() throws {
    for method in ["aqlm", "hqq"] {
      let error = #expect(throws: CheckpointError.self) {
        try openWeights(checkpoint: checkpoint, configuration: ["quantization_config": ["quant_method": .string(method)]])
      }
      #expect(error?.kind == .badData)
      #expect(error?.description.contains("\"\(method)\" is not supported; supported are") == true)
    }
    let mlx = message { _ = try openWeights(checkpoint: checkpoint, configuration: ["quantization_config": ["bits": 4]]) }
    #expect(mlx.contains("quant_method"))
  }

  @Test func readsTheOlderKey() throws {
    let settings = try #require(configuration["quantization_config"])
    let source = try openWeights(checkpoint: checkpoint, configuration: ["compression_config": ["quantization_config": settings]])
    #expect(source.describe("w8a8.weight")?.storage == .quantized(QuantizationScheme(bits: 8, activations: .int8)))
  }
}
