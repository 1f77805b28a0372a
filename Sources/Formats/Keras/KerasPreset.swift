import Diagnostics
import Foundation
import StructuredData
import Tensors

/// A preset of KerasHub to be written: `config.json`, `task.json`, `metadata.json` and `model.weights.h5`, as KerasHub 0.32 and Keras 3.15
/// load them. Quantized layers are Keras's own int8 layers.
public struct KerasPreset: Sendable {
  let backbone: KerasBackbone
  let isTied: Bool
  private let settings: JSONObject
  private let policies: JSONValue

  /// - Parameters:
  ///   - configuration: of the model, in Hugging Face's words, without a quantization.
  ///   - className: of KerasHub, where the source says; nil chooses by the family.
  ///   - dataType: of what is not quantized.
  ///   - quantized: the modules that are.
  /// - Throws: `CheckpointError` of kind `usage` for a model that KerasHub has no class for.
  public init(
    configuration: JSONValue, className: String?, dataType: DataType, quantized: [String]
  ) throws(CheckpointError) {
    let type = configuration["model_type"]?.string ?? ""
    guard configuration["deepseek_optimize"] == nil else {
      throw Self.refused(
        "has no words for the modules that config.json names under deepseek_optimize", remedy: "--format hdf5 holds any model")
    }
    let scaling = try KerasScaling(configuration)
    let kinds = KerasBackbone.kinds.filter { $0.modelType == type }
    guard
      let kind = kinds.first(where: { $0.className == className }) ?? (scaling.isLlama3 && kinds.count > 1 ? kinds.last : kinds.first)
    else {
      throw Self.refused(
        "has no layout for models of type \(CheckpointError.shortened(type))",
        remedy: "it has one for llama and mistral; --format hdf5 holds any model")
    }
    backbone = try KerasBackbone(kind, configuration)
    isTied = configuration["tie_word_embeddings"]?.bool ?? false
    guard type != "mistral" || !isTied else {
      throw Self.refused("has no head that is the embedding in \(kind.className)", remedy: "--format hdf5 holds any model")
    }
    // What transformers takes where config.json does not say.
    let epsilon = configuration["rms_norm_eps"] ?? 1e-6
    var settings: JSONObject = [
      "name": .string(kind.module.split(separator: ".").last.map(String.init) ?? kind.className), "trainable": true,
      "vocabulary_size": .integer(Int64(backbone.vocabulary)), "num_layers": .integer(Int64(backbone.layers)),
      "num_query_heads": .integer(Int64(backbone.heads)), "num_key_value_heads": .integer(Int64(backbone.keyValueHeads)),
      "hidden_dim": .integer(Int64(backbone.width)), "intermediate_dim": .integer(Int64(backbone.hidden)),
      "layer_norm_epsilon": epsilon, "dropout": 0,
    ]
    try scaling.add(to: &settings, mistral: type == "mistral")
    if type == "mistral" {
      settings["head_dim"] = .integer(Int64(backbone.headWidth))
      settings["sliding_window"] = configuration["sliding_window"] ?? .null
    } else {
      settings["tie_word_embeddings"] = .bool(isTied)
    }
    let paths = Dictionary(
      backbone.parameters(isTied: isTied).map { (CompressedTensorsEncoding.moduleName(ofParameter: $0.name), $0.layer) }
    ) { first, _ in first }
    var layers: [String] = []
    for module in quantized {
      guard let path = paths[module], path != "token_embedding" else {
        throw Self.refused(
          "cannot hold \(CheckpointError.shortened(module)) in 8 bits: Keras quantizes the head and the embedding as one",
          remedy: "leave the head as it is, or use --format compressed-tensors")
      }
      layers.append(path)
    }
    policies = Self.policy(of: layers, dataType: dataType)
    self.settings = settings
  }

  /// `config.json`: the backbone.
  public var configuration: JSONValue {
    var config: JSONObject = settings
    config["dtype"] = policies
    return KerasObject.json(module: backbone.kind.module, className: backbone.kind.className, config: config)
  }

  /// The other files: the task, which KerasHub reads the types of layers from, and which versions the layout is that of.
  public var files: [(name: String, content: JSONValue)] {
    let task = backbone.kind.task
    let name = task.module.split(separator: ".").last.map(String.init) ?? task.className
    return [
      (
        "task.json",
        KerasObject.json(
          module: task.module, className: task.className, config: ["backbone": configuration, "preprocessor": .null, "name": .string(name)])
      ),
      ("metadata.json", ["keras_version": "3.15.1", "keras_hub_version": "0.32.0", "tasks": ["CausalLM"]]),
    ]
  }

  /// A policy for every quantized layer by its path, and one for all others. Int8 layers compute in float32, so that their scales are kept.
  private static func policy(of layers: [String], dataType: DataType) -> JSONValue {
    func policy(_ type: String) -> JSONValue {
      ["module": "keras", "class_name": "DTypePolicy", "config": ["name": .string(type)], "registered_name": .null]
    }
    let type: JSONValue = policy(dataType == .bfloat16 ? "bfloat16" : dataType == .float16 ? "float16" : "float32")
    guard !layers.isEmpty else { return type }
    let int8: JSONValue = [
      "module": "keras.dtype_policies", "class_name": "QuantizedDTypePolicy", "config": ["mode": "int8", "source_name": "float32"],
      "registered_name": .null,
    ]
    let map = layers.reduce(into: JSONObject()) { $0[$1] = int8 }
    return [
      "module": "keras.dtype_policies", "class_name": "DTypePolicyMap",
      "config": ["default_policy": type, "policy_map": .object(map)], "registered_name": .null,
    ]
  }

  static func refused(_ problem: String, remedy: String = "") -> CheckpointError {
    CheckpointError(kind: .usage, subject: "KerasHub", problem: problem, remedy: remedy)
  }
}

extension KerasPreset {
  /// The tensors of a quantized module on their way to a writer: codes `[outputs, inputs]` and scales as float32.
  /// - Throws: `CheckpointError` of kind `usage` when Keras's int8 layers cannot hold the scheme.
  public static func descriptors(module: String, scheme: QuantizationScheme, shape: Shape) throws(CheckpointError) -> [TensorDescriptor] {
    guard scheme == KerasBackbone.scheme else {
      throw refused(
        "holds 8-bit symmetric weights with one scale per output and int8 activations, not \(scheme.name) (\(module))",
        remedy: scheme.bits < 8 || scheme.granularity != .channel || !scheme.symmetric
          ? "use --bits 8 --group-size 0 --method symmetric --activations int8" : "use --activations int8")
    }
    return try CompressedTensorsEncoding.descriptors(
      module: module, scheme: scheme, shape: shape, scaleType: .float32, format: .intQuantized)
  }

  /// What a quantized weight is once Keras has it: Keras keeps the reciprocals of scales, in float32.
  public static func stored(_ tensor: QuantizedTensor) -> QuantizedTensor? {
    guard let scales = tensor.scales.float32Values() else { return nil }
    return QuantizedTensor(
      scheme: tensor.scheme, shape: tensor.shape, codes: tensor.codes,
      scales: Tensor(scales.map { 1 / (1 / $0) }, shape: tensor.scales.shape), zeroPoints: tensor.zeroPoints)
  }
}

/// How positions turn the heads of a model, as Keras and Hugging Face spell it.
struct KerasScaling {
  private let base: JSONValue
  private let settings: JSONValue?
  private let type: String

  init(_ configuration: JSONValue) throws(CheckpointError) {
    let parameters = configuration["rope_parameters"].flatMap { $0.isNull ? Optional.none : $0 }
    let older = configuration["rope_scaling"].flatMap { $0.isNull ? Optional.none : $0 }
    settings = parameters ?? older
    base = settings?["rope_theta"] ?? configuration["rope_theta"] ?? 10_000
    type = settings?["rope_type"]?.string ?? settings?["type"]?.string ?? "default"
    guard ["default", "linear", "llama3"].contains(type),
      (settings?["partial_rotary_factor"]?.double ?? configuration["partial_rotary_factor"]?.double ?? 1) == 1
    else {
      throw KerasPreset.refused(
        "has no rotary scaling of type \(CheckpointError.shortened(type))",
        remedy: "it has linear and llama3; --format hdf5 holds any model")
    }
  }

  var isLlama3: Bool { type == "llama3" }

  func add(to json: inout JSONObject, mistral: Bool) throws(CheckpointError) {
    json["rope_max_wavelength"] = base
    guard type != "linear" || mistral || settings?["factor"]?.double == 1 else {
      throw KerasPreset.refused(
        "takes no notice of linear scaling of Llama's positions in version 0.32", remedy: "--format hdf5 holds any model")
    }
    json[mistral ? "rope_scaling_factor" : "rope_position_scaling_factor"] = type == "linear" ? settings?["factor"] ?? 1 : 1
    guard isLlama3 else { return }
    guard !mistral else { throw KerasPreset.refused("has no llama3 scaling for Mistral", remedy: "--format hdf5 holds any model") }
    let names = [
      ("rope_frequency_adjustment_factor", "factor"), ("rope_low_freq_factor", "low_freq_factor"),
      ("rope_high_freq_factor", "high_freq_factor"), ("rope_pretraining_sequence_length", "original_max_position_embeddings"),
    ]
    for (name, key) in names {
      guard let value = settings?[key] else {
        throw KerasPreset.refused("wants \(key) of the rotary scaling in config.json", remedy: "add it, or use --format hdf5")
      }
      json[name] = value
    }
  }
}

extension KerasBackbone {
  /// Reads Hugging Face's settings.
  /// - Throws: `CheckpointError` of kind `usage` for what Keras's class does not have.
  init(_ kind: Kind, _ configuration: JSONValue) throws(CheckpointError) {
    func count(_ key: String) throws(CheckpointError) -> Int {
      guard let value = configuration[key]?.integer, value > 0 else {
        throw KerasPreset.refused("wants \(key) in config.json", remedy: "add it, or use --format hdf5")
      }
      return value
    }
    self.kind = kind
    layers = try count("num_hidden_layers")
    vocabulary = try count("vocab_size")
    width = try count("hidden_size")
    heads = try count("num_attention_heads")
    keyValueHeads = configuration["num_key_value_heads"]?.integer ?? heads
    hidden = try count("intermediate_size")
    headWidth = configuration["head_dim"]?.integer ?? width / heads
    let hasBias = ["attention_bias", "mlp_bias"].contains { configuration[$0]?.bool ?? false }
    let activation = configuration["hidden_act"]?.string ?? "silu"
    guard !hasBias, activation == "silu" else {
      throw KerasPreset.refused("has no \(hasBias ? "biases" : activation) in \(kind.className)", remedy: "--format hdf5 holds any model")
    }
    guard kind.modelType == "mistral" || headWidth * heads == width else {
      throw KerasPreset.refused(
        "wants \(heads) heads of \(width / heads) in \(kind.className), not of \(headWidth)", remedy: "--format hdf5 holds any model")
    }
  }
}
