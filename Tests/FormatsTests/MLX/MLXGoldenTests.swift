import Diagnostics
import Formats
import Foundation
import StructuredData
import Synchronization
import Tensors
import Testing

/// MLX's layers against MLX (make-mlx-fixtures.py), and what is refused.
@Suite struct MLXGoldenTests {
  private let file: SafeTensorsFile
  private let layers: [JSONValue]
  private var checkpoint = MemoryCheckpoint()

  init() throws {
    func fixture(_ type: String) throws -> URL {
      try #require(Bundle.module.url(forResource: "golden", withExtension: type, subdirectory: "MLXFixtures"))
    }
    file = try SafeTensorsFile(fixture("safetensors"))
    let document = try JSONValue(parsing: String(contentsOf: fixture("json"), encoding: .utf8))
    layers = try #require(document["layers"]?.array)
    for descriptor in file.descriptors where !descriptor.name.hasSuffix(".expected") {
      checkpoint.tensors[descriptor.name] = try file.tensor(descriptor.name)
    }
  }

  private func name(_ layer: JSONValue) throws -> String { try #require(layer["name"]?.string) }

  /// The configuration of all layers, each by its path.
  private func configuration(_ changes: JSONObject = [:]) -> JSONValue {
    var settings: JSONObject = ["group_size": 64, "bits": 4, "mode": "affine"]
    for layer in layers {
      if let name = layer["name"]?.string, let bits = layer["bits"], let size = layer["group_size"], let mode = layer["mode"] {
        settings[name] = ["bits": bits, "group_size": size, "mode": mode]
      }
    }
    for member in changes.members { settings[member.key] = member.value }
    return ["quantization": .object(settings), "quantization_config": .object(settings)]
  }

  @Test func valuesAreThoseOfMLX() throws {
    let source = try openWeights(checkpoint: checkpoint, configuration: configuration())
    #expect(source.names.count == layers.count)
    for layer in layers {
      let name = try name(layer)
      let described = try #require(source.describe("\(name).weight"))
      guard case .quantized(let tensor) = try source.load("\(name).weight"), case .quantized(let scheme) = described.storage else {
        Issue.record("\(name) is dense")
        continue
      }
      #expect(described.shape == [3, 256] && tensor.scheme == scheme && scheme.bits == layer["bits"]?.integer)
      #expect(tensor.dequantized().contents == (try file.tensor("\(name).expected").contents), "\(name)")
    }
  }

  @Test func whatWasReadIsWrittenAsItWas() throws {
    let source = try openWeights(checkpoint: checkpoint, configuration: configuration())
    for layer in layers {
      let name = try name(layer)
      guard case .quantized(let tensor) = try source.load("\(name).weight") else { continue }
      for (descriptor, part) in try MLXEncoding.encode(tensor, module: name) {
        let stored = try #require(checkpoint.tensors[descriptor.name])
        #expect(stored.dataType == part.dataType && stored.shape == part.shape && stored.contents == part.contents, "\(descriptor.name)")
      }
    }
  }

  @Test func settingsComeBackFromConfig() throws {
    let settings = try #require(MLXSettings(groupSize: 32, bits: 3, mode: .affine))
    let general = try #require(MLXSettings(groupSize: 64, bits: 4, mode: .affine))
    let json = MLXConfiguration.json(layers: [("a", general), ("b", general), ("c", settings)], dense: ["d"])
    #expect(
      json == [
        "group_size": 64, "bits": 4, "mode": "affine", "c": ["group_size": 32, "bits": 3, "mode": "affine"], "d": false,
      ])
  }

  @Test func zeroPointsBecomeMinimaOrAreRefused() throws {
    let scheme = QuantizationScheme(bits: 4, symmetric: false, granularity: .group(32))
    func tensor(_ scale: Float, _ point: Int8) throws -> QuantizedTensor {
      let scales = try #require(Tensor([scale], shape: [1, 1]).converted(to: .bfloat16))
      let codes = Tensor(dataType: .int32, shape: [1, 4]) { $0[0] = 0x9F }
      return try #require(
        QuantizedTensor(
          scheme: scheme, shape: [1, 32], codes: codes, scales: scales, zeroPoints: Tensor(int8: [point], shape: [1, 1])))
    }
    // 1 + 2^-7 has all of bfloat16's digits: three times it takes one more.
    let exact = try tensor(1.0078125, -4)
    let stored = try MLXEncoding.stored(exact, module: "m")
    #expect(stored.scheme.offset == .minimum && stored.minima?.float32Values() == [-4.03125])
    #expect(stored.dequantized().contents == exact.dequantized().contents)
    #expect(stored.withWholeZeroPoints()?.zeroPoints?.contents == exact.zeroPoints?.contents)
    let error = #expect(throws: CheckpointError.self) { try MLXEncoding.stored(tensor(1.0078125, -5), module: "m") }
    #expect(error?.kind == .usage && error?.remedy.contains("--method asymmetric") == true)
  }

  @Test func whatMLXCannotHoldNamesTheNearest() {
    func remedy(_ scheme: QuantizationScheme, inputs: Int = 256) -> String {
      do {
        _ = try MLXSettings(for: scheme, inputs: inputs)
        return ""
      } catch { return error.kind == .usage ? error.remedy : "of another kind" }
    }
    #expect(remedy(QuantizationScheme(bits: 4, granularity: .group(64))).isEmpty)
    #expect(remedy(QuantizationScheme(bits: 8)).contains("--group-size 64"))
    #expect(remedy(QuantizationScheme(bits: 8), inputs: 96).contains("--group-size 32"))
    #expect(remedy(QuantizationScheme(bits: 8), inputs: 48).contains("--ignore"))
    #expect(remedy(QuantizationScheme(bits: 4, granularity: .group(256))).contains("--group-size 128"))
    #expect(remedy(QuantizationScheme(bits: 4, granularity: .group(16))).contains("--group-size 32"))
    #expect(remedy(QuantizationScheme(bits: 8, granularity: .group(64), activations: .int8)).contains("--activations none"))
    #expect(remedy(QuantizationScheme(bits: 4, granularity: .group(64), levels: .normalFloat4)).contains("--method asymmetric"))
  }

  @Test func whatDoesNotFitTogetherIsRefused() throws {
    func message(_ changes: JSONObject = [:], _ edit: (inout MemoryCheckpoint) -> Void = { _ in }) -> String {
      var edited = checkpoint
      edit(&edited)
      do {
        _ = try openWeights(checkpoint: edited, configuration: configuration(changes))
        return ""
      } catch {
        #expect((error as? CheckpointError)?.kind == .badData)
        return "\(error)"
      }
    }
    #expect(message().isEmpty)
    #expect(message(["b4": ["bits": 7, "group_size": 64]]).contains("7 bits"))
    #expect(message(["b4": ["bits": 1, "group_size": 64]]).contains("1 bits"))
    #expect(message(["b4": ["bits": 8, "group_size": 32, "mode": "mxfp8"]]).contains("mxfp8"))
    #expect(message(["b4": ["bits": 4, "group_size": -64]]).contains("-64"))
    #expect(message(["b4": false]).contains("b4.weight"))
    #expect(message(["b4": ["bits": 8, "group_size": 64]]).contains("b4.scales"))
    #expect(message(["b4": ["bits": 4, "group_size": 128]]).contains("b4.scales"))
    #expect(message(["b4": ["bits": 4, "group_size": 32, "mode": "mxfp4"]]).contains("b4.scales"))
    #expect(message { $0.tensors["b4.biases"] = nil }.contains("b4.biases"))
    #expect(message { $0.tensors["b4.scales"] = nil }.contains("b4."))
    #expect(message { $0.tensors["b4.weight"] = nil }.contains("b4."))
    #expect(message { $0.tensors["mx.biases"] = $0.tensors["b4.biases"] }.contains("mx.biases"))
    #expect(message { $0.tensors["nv.global_scale"] = Tensor([1], shape: [1]) }.contains("nv.global_scale"))
    let wide = checkpoint.tensors["b4.biases"]?.asFloat32()
    #expect(message { $0.tensors["b4.biases"] = wide }.contains("b4.biases"))
    // Three dimensions are of experts.
    #expect(
      message {
        for part in ["weight", "scales", "biases"] {
          guard let tensor = $0.tensors["b4.\(part)"] else { continue }
          $0.tensors["b4.\(part)"] = tensor.reshaped(Shape([1] + tensor.shape.dimensions))
        }
      }.contains("none of experts"))
  }

  @Test func scalesThatAreNoNumbersAreRefused() throws {
    func refusal(_ module: String, _ part: String, _ bytes: [UInt8]) throws -> String {
      var broken = checkpoint
      let sound = try #require(checkpoint.tensors["\(module).\(part)"])
      broken.tensors["\(module).\(part)"] = Tensor(dataType: sound.dataType, shape: sound.shape) { target in
        target.copyBytes(from: sound.contents)
        for (index, byte) in bytes.enumerated() { target[index + 4] = byte }
      }
      let source = try openWeights(checkpoint: broken, configuration: configuration())
      return message { _ = try source.load("\(module).weight") }
    }
    #expect(try refusal("mx", "scales", [255]).contains("mx.scales: 1 of its"))
    for code: UInt8 in [0x7f, 0xff] { #expect(try refusal("nv", "scales", [code]).contains("nv.scales: 1 of its")) }
    // Infinite and not a number, as bfloat16 and as float16.
    let bits: [[UInt8]] =
      checkpoint.tensors["b4.scales"]?.dataType == .float16 ? [[0, 0x7c], [1, 0xfe]] : [[0x80, 0x7f], [0xc1, 0xff]]
    for bytes in bits {
      #expect(try refusal("b4", "scales", bytes).contains("b4.scales: 1 of its"))
      #expect(try refusal("b4", "biases", bytes).contains("b4.biases: 1 of its"))
    }
    #expect(try refusal("b4", "scales", []).isEmpty)
  }

  @Test func expertsAreSlicesOfTheirStack() throws {
    #expect(ExpertStack(of: "model.layers.3.mlp.experts.17.up_proj")?.path == "model.layers.3.mlp.switch_mlp.up_proj")
    #expect(ExpertStack(of: "model.layers.3.mlp.experts.17.up_proj")?.index == 17)
    #expect(ExpertStack(of: "model.layers.0.block_sparse_moe.experts.0.w3")?.path == "model.layers.0.block_sparse_moe.switch_mlp.up_proj")
    #expect(ExpertStack(of: "model.layers.3.mlp.shared_experts.up_proj") == nil && ExpertStack(of: "a.experts.01.b") == nil)
    var stacked = MemoryCheckpoint()
    for part in ["weight", "scales", "biases"] {
      let one = try #require(checkpoint.tensors["b3.\(part)"])
      stacked.tensors["a.switch_mlp.up_proj.\(part)"] = Tensor(dataType: one.dataType, shape: Shape([2] + one.shape.dimensions)) { target in
        // The second expert has the rows of the first in reverse.
        let bytes = one.contents, row = bytes.count / one.shape[0]
        for (index, byte) in bytes.enumerated() {
          target[index] = byte
          target[bytes.count + (one.shape[0] - 1 - index / row) * row + index % row] = byte
        }
      }
    }
    let settings: JSONValue = ["quantization": ["group_size": 64, "bits": 3]]
    let source = try openWeights(checkpoint: stacked, configuration: settings)
    #expect(source.names == ["a.experts.0.up_proj.weight", "a.experts.1.up_proj.weight"])
    let expected = try file.tensor("b3.expected")
    for (name, order) in zip(source.names, [[0, 1, 2], [2, 1, 0]]) {
      let values = try #require(source.load(name).float32())
      #expect(values.contents == order.flatMap { expected.rows($0..<$0 + 1)?.contents ?? [] })
      #expect(
        source.storedByteCount(name) == ["weight", "scales", "biases"].reduce(0) { $0 + (checkpoint.tensors["b3.\($1)"]?.byteCount ?? 0) })
    }
    stacked.tensors["a.experts.0.up_proj.weight"] = Tensor([1], shape: [1, 1])
    #expect(throws: CheckpointError.self) { try openWeights(checkpoint: stacked, configuration: settings) }
  }

  /// Pages of a stack are of use until its last expert was read.
  @Test func aStackIsLetGoWithItsLastExpert() throws {
    let released = Mutex<[String]>([])
    var stacked = MemoryCheckpoint()
    for part in ["weight", "scales", "biases"] {
      let one = try #require(checkpoint.tensors["b3.\(part)"])
      stacked.tensors["a.switch_mlp.up_proj.\(part)"] = Tensor(dataType: one.dataType, shape: Shape([3] + one.shape.dimensions)) { _ in }
    }
    stacked.tensors["a.switch_mlp.down_proj.weight"] = Tensor(dataType: .float32, shape: [3, 2, 2]) { _ in }
    stacked.released = { name in released.withLock { $0.append(name) } }
    let source = try openWeights(checkpoint: stacked, configuration: ["quantization": ["group_size": 64, "bits": 3]])
    for expert in 0..<2 { for name in ["up", "down"] { source.release("a.experts.\(expert).\(name)_proj.weight") } }
    #expect(released.withLock { $0 }.isEmpty)
    for name in ["up", "down"] { source.release("a.experts.2.\(name)_proj.weight") }
    let all = ["up_proj.weight", "up_proj.scales", "up_proj.biases", "down_proj.weight"].map { "a.switch_mlp.\($0)" }
    #expect(released.withLock { $0 } == all)
  }

  /// The product of a code and a scale that fills a float32 is rounded: MLX's two roundings are not the one of a whole zero point.
  @Test func scalesThatFillAFloat32KeepTheirMinima() throws {
    let scheme = QuantizationScheme(bits: 4, offset: .minimum, granularity: .group(32))
    func tensor(_ scale: Float) throws -> QuantizedTensor {
      let codes = Tensor(dataType: .int32, shape: [1, 4]) { target in
        for index in target.indices { target[index] = UInt8(truncatingIfNeeded: index * 0x23 &+ 0x10) }
      }
      return try #require(
        QuantizedTensor(
          scheme: scheme, shape: [1, 32], codes: codes, scales: Tensor([scale], shape: [1, 1]), minima: Tensor([-8 * scale], shape: [1, 1]))
      )
    }
    // Eight times any scale is exact, so minima alone do not tell.
    var differing = 0
    for step in 0..<64 {
      let scale = Float(0.1) * (1 + Float(step) / 64)
      let minima = try tensor(scale)
      let points = QuantizedTensor(
        scheme: QuantizationScheme(bits: 4, granularity: .group(32)), shape: [1, 32], codes: minima.codes, scales: minima.scales)
      guard points?.dequantized().contents != minima.dequantized().contents else { continue }
      differing += 1
      #expect(minima.withWholeZeroPoints() == nil, "\(scale)")
    }
    #expect(differing > 0)
    for scale in [Float(0.1), 0x1p-20, 1.0078125, 3e-41, -0.75] {
      for type in [DataType.bfloat16, .float16] {
        let minima = try tensor(type.rounded(scale))
        let whole = try #require(minima.withWholeZeroPoints(), "\(scale)")
        #expect(whole.scheme.offset == .none)
        let (one, other) = (whole.dequantized().float32Values(), minima.dequantized().float32Values())
        #expect(one == other, "\(scale)")
      }
    }
    #expect(try tensor(3e38).withWholeZeroPoints() == nil)
  }

  @Test func modelsAreToldInOlderNames() throws {
    let model = try MLXConfiguration.model([
      "model_type": "llama", "rope_parameters": ["rope_theta": 5e5, "rope_type": "yarn", "factor": 4],
    ])
    #expect(model["rope_theta"] == 5e5 && model["rope_scaling"] == ["rope_type": "yarn", "factor": 4, "type": "yarn"])
    // mlx-lm's DeepSeek-V2 loads nothing without a scaling: this one changes nothing.
    let latent = try MLXConfiguration.model(["model_type": "deepseek_v2", "max_position_embeddings": 512, "rope_scaling": nil])
    #expect(latent["rope_scaling"]?["factor"] == 1.0 && latent["rope_scaling"]?["original_max_position_embeddings"] == 512)
    #expect(throws: CheckpointError.self) { try MLXConfiguration.model(["model_type": "bert"]) }
  }
}
