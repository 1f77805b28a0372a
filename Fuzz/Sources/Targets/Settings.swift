import DeepSeekOptimize
import Foundation

/// `config.json`, beside the weights of a small model of the family that it names.
struct ConfigurationTarget: FuzzTarget {
  static let name = "config"
  private let directory: URL

  /// Fixtures by the words that settings for them hold; the last is for what holds none of them.
  private static let models = [
    ("deepseek_v3", "Tests/ExecutionTests/Fixtures/deepseek-v3"), ("deepseek_v2", "Tests/ExecutionTests/Fixtures/deepseek-v2-lite"),
    ("qwen3_moe", "Tests/ExecutionTests/Fixtures/qwen3-moe"), ("qwen3", "Tests/ExecutionTests/Fixtures/qwen3"),
    ("qwen2", "Tests/ExecutionTests/Fixtures/qwen2-tied"), ("mixtral", "Tests/ExecutionTests/Fixtures/mixtral"),
    ("mistral", "Tests/ExecutionTests/Fixtures/mistral-window"), ("bert", "Tests/ExecutionTests/EncoderFixtures/plain"),
    ("llama", "Tests/ExecutionTests/Fixtures/llama-gqa"),
  ]

  init(in directory: URL) throws {
    self.directory = directory
    for (word, path) in Self.models {
      let place = directory.appendingPathComponent(word)
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
      try Repository.copy("\(path)/model.safetensors", to: place.appendingPathComponent("model.safetensors"))
    }
  }

  func open(_ input: UnsafeRawBufferPointer) throws {
    let word = Self.models.first { input.contains(word: $0.0) }?.0 ?? "llama"
    let place = directory.appendingPathComponent(word)
    try input.write(to: place.appendingPathComponent("config.json"))
    let model = try ModelBundle(opening: place.path)
    _ = "\(model.graph)"
  }
}

/// What of `config.json` says how weights are quantized, over tensors in the forms of several quantizers.
struct QuantizationTarget: FuzzTarget {
  static let name = "quantization"
  private let directory: URL

  /// Fixtures by the words that settings for them hold.
  private static let checkpoints = [
    ("gptq", "Tests/FormatsTests/ColumnPacked/ColumnPackedFixtures"), ("awq", "Tests/FormatsTests/ColumnPacked/ColumnPackedFixtures"),
    ("fp8", "Tests/FormatsTests/FP8/FP8Fixtures"), ("group_size\":", "Tests/FormatsTests/MLX/MLXFixtures"),
    ("compressed-tensors", "Tests/FormatsTests/CompressedTensors/CompressedTensorsFixtures"),
  ]
  private let opened: [any Checkpoint]

  init(in directory: URL) throws {
    self.directory = directory
    opened = try Self.checkpoints.map { try SafeTensorsCheckpoint(Repository.file("\($0.1)/golden.safetensors")) }
  }

  func open(_ input: UnsafeRawBufferPointer) throws {
    let index = Self.checkpoints.firstIndex { input.contains(word: $0.0) } ?? Self.checkpoints.count - 1
    let settings: JSONValue
    do { settings = try JSONValue(parsing: input) } catch { throw error.inFile("config.json") }
    try openWeights(checkpoint: opened[index], configuration: settings).readAll()
  }
}

/// `adapter_config.json` of PEFT or mlx-lm, beside the tensors of an adapter and over a base model.
struct AdapterTarget: FuzzTarget {
  static let name = "adapter"
  private let directory: URL
  private let bases: [String: BaseWeights]

  private static let layouts = [
    ("lora_parameters", "mlx-dora", "adapters.safetensors"), ("use_dora\": true", "dora", "adapter_model.safetensors"),
    ("_pattern", "patterns", "adapter_model.safetensors"), ("", "lora", "adapter_model.safetensors"),
  ]

  init(in directory: URL) throws {
    self.directory = directory
    var bases: [String: BaseWeights] = [:]
    for (_, name, file) in Self.layouts {
      let place = directory.appendingPathComponent(name)
      let fixture = "Tests/FormatsTests/Adapters/AdapterFixtures/\(name)"
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
      try Repository.copy("\(fixture)/\(file)", to: place.appendingPathComponent(file))
      try Repository.copy("\(fixture)/adapter_config.json", to: place.appendingPathComponent("adapter_config.json"))
      let shapes = try AdapterCheckpoint(place).modules.map { ("\($0.name).weight", $0.weightShape) }
      bases[name] = BaseWeights(shapes: Dictionary(shapes) { first, _ in first })
    }
    self.bases = bases
  }

  func open(_ input: UnsafeRawBufferPointer) throws {
    let name = Self.layouts.first { $0.0.isEmpty || input.contains(word: $0.0) }?.1 ?? "lora"
    let place = directory.appendingPathComponent(name)
    try input.write(to: place.appendingPathComponent("adapter_config.json"))
    let adapter = try AdapterCheckpoint(place)
    if let base = bases[name] { try adapter.check(against: base) }
  }

  /// Names and shapes of the weights that an adapter is for.
  private struct BaseWeights: WeightSource {
    let shapes: [String: Shape]
    var names: [String] { shapes.keys.sorted() }
    func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { shapes[name].map { ($0, .dense(.float32)) } }
    func load(_ name: String) throws -> Weight { .dense(Tensor([], shape: [0])) }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether a word stands somewhere in the bytes.
  func contains(word: String) -> Bool {
    let word = Array(word.utf8)
    guard let first = word.first, count >= word.count else { return word.isEmpty }
    return (0...count - word.count).contains { self[$0] == first && self[$0..<$0 + word.count].elementsEqual(word) }
  }
}
