import Diagnostics
import Formats
import Foundation
import StructuredData
import Tensors
import Testing

/// Adapters that other loaders would take without any effect, or with another one than was trained: each is refused by name.
@Suite struct AdapterRefusalTests {
  private let scratch: AdapterScratch
  private static let prefix = "base_model.model.m.q_proj."
  private static let settings: JSONObject = ["peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]]
  private static let tensors = [prefix + "lora_A.weight": [2, 3], prefix + "lora_B.weight": [4, 2]]
  private static let mlxSettings: JSONObject = [
    "fine_tune_type": "lora", "num_layers": 1, "lora_parameters": ["rank": 2, "scale": 2, "dropout": 0, "keys": ["q_proj"]],
  ]
  private static let mlxTensors = ["m.layers.0.q_proj.lora_a": [3, 2], "m.layers.0.q_proj.lora_b": [2, 4]]

  init() throws { scratch = try AdapterScratch() }

  /// The message of reading it; the exit status must be that of bad data.
  private func refusal(
    _ settings: JSONObject = Self.settings, _ tensors: [String: [Int]] = Self.tensors, type: String = "F32",
    file: String = "adapter_model.safetensors"
  ) throws -> String {
    let folder = try scratch.adapter(.object(settings), tensors, type: type, file: file)
    do {
      _ = try AdapterCheckpoint(folder)
      return ""
    } catch {
      #expect(error.kind == .badData)
      #expect(!error.remedy.isEmpty, "\(error)")
      return error.description
    }
  }

  /// Names come from files: the number of the last layer may be the largest there is.
  @Test func theLastLayerMayHaveAnyNumber() throws {
    let adapter = try AdapterCheckpoint(scratch.adapter(.object(Self.mlxSettings), Self.mlxTensors, file: "adapters.safetensors"))
    var model = MemoryCheckpoint()
    for layer in [0, Int.max] {
      model.tensors["m.layers.\(layer).q_proj.weight"] = Tensor([Float](repeating: 0, count: 12), shape: [4, 3])
    }
    let weights = try PlainSource(checkpoint: model)
    let text = message { try adapter.check(against: weights) }
    #expect(text.contains("m.layers.\(Int.max).q_proj"), "\(text)")
  }

  @Test func theWellFormedOnesAreRead() throws {
    #expect(try refusal() == "")
    #expect(try refusal(Self.mlxSettings, Self.mlxTensors, file: "adapters.safetensors") == "")
  }

  @Test(arguments: [
    ("m.q_proj.lora_A.weight", "its name does not begin with base_model.model."),
    ("base_model.model.lm_head.weight", "modules_to_save"),
    ("base_model.model.m.embed_tokens.base_layer.weight", "save_embedding_layers=False"),
    (prefix + "lora_B.bias", "no part of a low-rank adapter that is supported"),
    (prefix + "lora_A.default.weight", "another adapter"),
    (prefix + "lora_A", "no part of a low-rank adapter"),
    (prefix + "lora_magnitude_vector", "does not say DoRA"),
    (prefix + "lora_embedding_A", "of a linear layer and of an embedding"),
    (prefix + "lora_diag", "no part of a low-rank adapter"),
    ("base_model.model.m.k_proj.lora_A.weight", "its module has no factor B"),
    ("base_model.model.m.k_proj.lora_B.weight", "its module has no factor A"),
    ("base_model.model.m.k_proj.lora_magnitude_vector", "no factor A and B"),
    ("base_model.model..lora_A.weight", "no part of a low-rank adapter"),
  ])
  func everyTensorMustBelong(name: String, problem: String) throws {
    var tensors = Self.tensors
    tensors[name] = [2, 3]
    let text = try refusal(Self.settings, tensors)
    #expect(text.contains(problem), "\(text)")
    #expect(text.contains("adapter_model.safetensors, tensor \(name)") || problem == "another adapter", "\(text)")
  }

  @Test(arguments: [
    ([2, 3], [4, 3], "lora_B.weight: its shape [4, 3] has rank 3, adapter_config.json says 2"),
    ([3, 3], [4, 2], "lora_A.weight: its shape [3, 3] has rank 3, adapter_config.json says 2"),
    ([2, 3, 1], [4, 2], "its shape is [2, 3, 1], a factor is a matrix"),
    ([2, 0], [4, 2], "its shape is [2, 0], a factor is a matrix"),
    ([2], [4, 2], "its shape is [2], a factor is a matrix"),
  ])
  func shapesMustFit(a: [Int], b: [Int], problem: String) throws {
    let text = try refusal(Self.settings, [Self.prefix + "lora_A.weight": a, Self.prefix + "lora_B.weight": b])
    #expect(text.contains(problem), "\(text)")
  }

  @Test func magnitudesMustFit() throws {
    var settings = Self.settings
    settings["use_dora"] = true
    #expect(try refusal(settings).contains("its module has no magnitude"))
    var tensors = Self.tensors
    tensors[Self.prefix + "lora_magnitude_vector"] = [3]
    #expect(try refusal(settings, tensors).contains("its shape is [3], not [4]"))
    tensors[Self.prefix + "lora_magnitude_vector.weight"] = [4]
    #expect(try refusal(settings, tensors).contains("it is the same as"))
    settings["target_modules"] = ["embed"]
    let embedding = "base_model.model.embed.lora_"
    #expect(
      try refusal(settings, [embedding + "embedding_A": [2, 3], embedding + "embedding_B": [4, 2], embedding + "magnitude_vector": [4]])
        .contains("DoRA of an embedding is not supported"))
  }

  @Test func typesMustBeFloats() throws { #expect(try refusal(type: "F64").contains("its type is F64; save the adapter in F32")) }

  @Test(
    arguments: [
      ("peft_type", nil, "is missing"), ("peft_type", "ADALORA", "is \"ADALORA\", which is not supported"),
      ("target_modules", nil, "PEFT would take a default"), ("target_modules", ["k_proj"], "does not select its module m.q_proj"),
      ("target_modules", [1], "is neither a list of names nor an expression"), ("target_modules", "m", "does not select its module"),
      ("target_modules", "(", "cannot be used"), ("exclude_modules", ["q_proj"], "does not select its module"),
      ("exclude_modules", "m\\.q.*", "does not select its module"), ("layers_to_transform", [3], "does not select its module"),
      ("layers_to_transform", "x", "is not a list of numbers"), ("layers_pattern", ["a|b"], "only plain names"),
      ("r", 0, "is not a rank"), ("r", 2.5, "is not a rank"), ("r", 4, "has rank 2, adapter_config.json says 4"),
      ("r", "2", "is not a rank"), ("lora_alpha", 0, "the adapter would do nothing"), ("lora_alpha", "4", "is not a number"),
      ("rank_pattern", ["q_proj": 3], "adapter_config.json says 3"), ("rank_pattern", ["(": 3], "the pattern \"(\" of rank_pattern"),
      ("rank_pattern", [1], "is not an object of patterns"), ("rank_pattern", ["q_proj": 0], "\"rank_pattern.q_proj\" is not a rank"),
      ("alpha_pattern", ["q_proj": 0], "\"alpha_pattern.q_proj\" is 0"), ("use_dora", 1, "is neither true nor false"),
      ("modules_to_save", ["lm_head"], "is set, which is not supported"), ("lora_bias", true, "\"lora_bias\" is set"),
      ("alora_invocation_tokens", [1], "is set"), ("target_parameters", ["x"], "is set"), ("layer_replication", [[0, 1]], "is set"),
      ("trainable_token_indices", [1], "is set"), ("use_qalora", true, "is set"), ("use_of_the_future", true, "is set"),
      ("init_lora_weights", "pissa_niter_4", "base model whose weights were changed"),
      ("init_lora_weights", "loftq", "weights were changed"),
      ("base_model_name_or_path", 1, "is not a string"),
    ] as [(String, JSONValue?, String)])
  func settingsMustBeUnderstood(key: String, value: JSONValue?, problem: String) throws {
    var settings = Self.settings
    settings[key] = value
    let text = try refusal(settings)
    #expect(text.contains(problem), "\(text)")
    #expect(text.contains("adapter_config.json"))
  }

  @Test(
    arguments: [
      ("modules_to_save", nil), ("modules_to_save", []), ("use_of_the_future", false), ("init_lora_weights", "gaussian"),
      ("init_lora_weights", true), ("something_new", 16), ("exclude_modules", ["k_proj"]), ("layers_to_transform", []),
      ("target_modules", "all-linear"), ("target_modules", ".*"), ("bias", "lora_only"), ("lora_alpha", -3), ("r", 2.0),
    ] as [(String, JSONValue?)])
  func harmlessSettingsAreTaken(key: String, value: JSONValue?) throws {
    var settings = Self.settings
    settings[key] = value ?? .null
    #expect(try refusal(settings) == "")
  }

  @Test func blocksCountAsInPEFT() throws {
    func reads(_ layers: JSONValue, _ list: JSONValue?, _ module: String) throws -> Bool {
      var settings = Self.settings
      settings["layers_to_transform"] = layers
      settings["layers_pattern"] = list
      let prefix = "base_model.model.\(module).lora_"
      let text = try refusal(settings, [prefix + "A.weight": [2, 3], prefix + "B.weight": [4, 2]])
      #expect(text == "" || text.contains("does not select"))
      return text == ""
    }
    #expect(try reads([1, 5], nil, "model.layers.5.q_proj"))
    #expect(try reads(5, nil, "model.layers.5.q_proj"))
    #expect(try !reads([1], nil, "model.layers.5.experts.1.q_proj"))
    #expect(try !reads([5], nil, "layers.5.q_proj"))
    #expect(try reads([5], "layers", "layers.5.q_proj"))
    #expect(try reads([1], ["none", "experts"], "model.layers.5.experts.1.q_proj"))
    #expect(try !reads([5], "h", "model.layers.5.q_proj"))
  }

  @Test(
    arguments: [
      ("fine_tune_type", "full", "no low-rank adapter"), ("lora_parameters", nil, "rank and scale are unknown"),
      ("lora_parameters", ["rank": 2, "dropout": 0], "\"lora_parameters.scale\" is missing"),
      ("lora_parameters", ["scale": 2], "\"lora_parameters.rank\" is missing"),
      ("lora_parameters", ["rank": 3, "scale": 2], "has rank 2, adapter_config.json says 3"),
      ("lora_parameters", ["rank": 2, "scale": 0], "the adapter would do nothing"),
      ("lora_parameters", ["rank": 2, "scale": 2, "keys": ["k_proj"]], "add the module to lora_parameters.keys"),
      ("lora_parameters", ["rank": 2, "scale": 2, "keys": "q"], "is not a list of names"), ("num_layers", nil, "is missing or no number"),
      ("fine_tune_type", "dora", "has no magnitude"),
    ] as [(String, JSONValue?, String)])
  func mlxSettingsMustBeUnderstood(key: String, value: JSONValue?, problem: String) throws {
    var settings = Self.mlxSettings
    settings[key] = value
    let text = try refusal(settings, Self.mlxTensors, file: "adapters.safetensors")
    #expect(text.contains(problem), "\(text)")
  }

  @Test(arguments: [
    ("m.layers.0.q_proj.weight", [4, 3], "whole weights are not supported"), ("lora_a", [3, 2], "it is no part of an adapter"),
    ("m.layers.0.q_proj.lora_A", [3, 2], "rename it"), ("m.layers.0.q_proj.m", [4], "set fine_tune_type"),
    ("m.layers.0.k_proj.lora_a", [3, 2], "no factor B"), ("m.layers.1.q_proj.lora_a", [3, 2], "\"num_layers\" is 1"),
    ("m.layers.0.experts.lora_a", [2, 3, 2], "no factor B"),
  ])
  func everyMLXTensorMustBelong(name: String, shape: [Int], problem: String) throws {
    var tensors = Self.mlxTensors
    tensors[name] = shape
    let text = try refusal(Self.mlxSettings, tensors, file: "adapters.safetensors")
    #expect(text.contains(problem), "\(text)")
  }

  @Test func otherFilesAreNamed() throws {
    let folder = try scratch.folder("files")
    func read() -> (String, FailureKind?) {
      do {
        _ = try AdapterCheckpoint(folder)
        return ("", nil)
      } catch { return (error.description, error.kind) }
    }
    #expect(read().1 == .missingInput)
    try Data([1]).write(to: folder.appendingPathComponent("adapters.npz"))
    #expect(read().0.contains("adapters.npz: it is the layout of an old mlx-lm") && read().1 == .badData)
    try Data([1]).write(to: folder.appendingPathComponent("adapter_model.bin"))
    #expect(read().0.contains("it is a pickle") && read().0.contains("safe_serialization=True") && read().1 == .badData)
    try Data([1]).write(to: folder.appendingPathComponent("adapter_model.safetensors"))
    #expect(read().0.contains("it has no adapter_config.json") && read().1 == .missingInput)
    let settings = folder.appendingPathComponent("adapter_config.json")
    try Data("[]".utf8).write(to: settings)
    #expect(read().0.contains("it is not a JSON object"))
    try Data("{\"r\": 1, \"r\": 1}".utf8).write(to: settings)
    #expect(read().0.contains("appears twice") && read().1 == .badData)
    try Data("{}".utf8).write(to: settings)
    #expect(read().0.contains("too few for a safetensors file") && read().1 == .badData)
    try Data([1]).write(to: folder.appendingPathComponent("adapters.safetensors"))
    #expect(read().0.contains("it holds adapter_model.safetensors and adapters.safetensors"))
    try FileManager.default.removeItem(at: settings)
    try FileManager.default.removeItem(at: folder.appendingPathComponent("adapters.safetensors"))
    try FileManager.default.createSymbolicLink(at: settings, withDestinationURL: URL(fileURLWithPath: "/etc/hostname"))
    #expect(read().0.contains("symbolic link to a file outside"))
    #expect(message { _ = try AdapterCheckpoint(folder.appendingPathComponent("none")) }.contains("no such file"))
  }

  @Test func anEmptyAdapterIsRefused() throws { #expect(try refusal(Self.settings, [:]).contains("it holds no tensors")) }

  @Test func longNamesAreRefused() throws {
    var tensors = Self.tensors
    tensors["base_model.model." + String(repeating: "a.", count: 600) + "lora_A.weight"] = [2, 3]
    #expect(try refusal(Self.settings, tensors).contains("more than 1024"))
  }

  @Test func patternsCannotTakeForever() throws {
    var settings = Self.settings
    settings["rank_pattern"] = .object(
      (0..<300).reduce(into: JSONObject()) { $0["(a*)*b{1,99}\($1)(x|y|z)*.*.*.*"] = 2 })
    var tensors: [String: [Int]] = [:]
    for index in 0..<1000 {
      tensors["base_model.model.m.\(index).q_proj.lora_A.weight"] = [2, 3]
      tensors["base_model.model.m.\(index).q_proj.lora_B.weight"] = [4, 2]
    }
    #expect(try refusal(settings, tensors).contains("300 patterns for 1000 modules, too many to compare"))
    settings = Self.settings
    settings["target_modules"] = .string(String(repeating: "a?", count: 1500) + ".*")
    tensors = tensors.filter { $0.key.contains("1") }
    let long = String(repeating: "a", count: 900)
    for index in 0..<200 {
      tensors["base_model.model.\(long).\(index).q_proj.lora_A.weight"] = [2, 3]
      tensors["base_model.model.\(long).\(index).q_proj.lora_B.weight"] = [4, 2]
    }
    #expect(try refusal(settings, tensors).contains("the expressions of the targets are too long"))
  }
}
