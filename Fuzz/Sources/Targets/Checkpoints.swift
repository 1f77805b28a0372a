import DeepSeekOptimize
import Foundation

/// `model.safetensors`, as it is and in the forms that quantizers give to weights.
struct SafeTensorsTarget: FuzzTarget {
  static let name = "safetensors"
  private let file: URL

  init(in directory: URL) { file = directory.appendingPathComponent("model.safetensors") }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: file)
    _ = try SafeTensorsCheckpoint(file, extent: .headers).metadata
    let checkpoint = try SafeTensorsCheckpoint(file)
    try checkpoint.readAll()
    let settings = Self.settings.filter { input.contains(word: $0.word) }
    try tryAll(settings.map { settings in { try openWeights(checkpoint: checkpoint, configuration: settings.json).readAll() } })
  }

  /// What config.json says of tensors whose names hold a word.
  private static let settings: [(word: String, json: JSONValue)] = [
    ("_scale_inv", ["quantization_config": ["quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [2, 3]]]),
    ("qweight", ["quantization_config": ["quant_method": "gptq", "bits": 4, "group_size": -1]]),
    ("qweight", ["quantization_config": ["quant_method": "gptq", "bits": 3, "group_size": 32, "sym": false]]),
    ("qweight", ["quantization_config": ["quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": true]]),
    (".biases", ["quantization": ["group_size": 32, "bits": 4]]),
    (".scales", ["quantization": ["group_size": 32, "bits": 4, "mode": "mxfp4"]]),
    ("weight_packed", compressed("pack-quantized", ["num_bits": 4, "type": "int", "symmetric": true, "strategy": "channel"])),
    ("weight_packed", compressed("pack-quantized", ["num_bits": 4, "type": "int", "symmetric": false, "group_size": 32])),
    ("global_scale", compressed("nvfp4-pack-quantized", ["num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16])),
    ("weight_scale", compressed("int-quantized", ["num_bits": 8, "type": "int", "symmetric": true, "strategy": "channel"])),
    ("weight_scale", compressed("float-quantized", ["num_bits": 8, "type": "float", "symmetric": true, "strategy": "channel"])),
  ]

  private static func compressed(_ format: String, _ weights: JSONValue) -> JSONValue {
    [
      "quantization_config": [
        "quant_method": "compressed-tensors", "format": .string(format), "quantization_status": "compressed",
        "config_groups": ["group_0": ["targets": ["Linear"], "weights": weights]],
      ]
    ]
  }
}

/// `model.safetensors.index.json`, beside two shards.
struct IndexTarget: FuzzTarget {
  static let name = "index"
  private let directory: URL

  init(in directory: URL) throws {
    self.directory = directory
    for (file, names) in [("model-00001-of-00002.safetensors", ["a", "b"]), ("model-00002-of-00002.safetensors", ["c"])] {
      try SafeTensorsFile.write(names.map { ($0, Tensor([1, 2], shape: [2])) }, to: directory.appendingPathComponent(file))
    }
  }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: directory.appendingPathComponent("model.safetensors.index.json"))
    try SafeTensorsCheckpoint(directory).readAll()
  }
}

/// A plain HDF5 file.
struct HDF5Target: FuzzTarget {
  static let name = "hdf5"
  private let file: URL

  init(in directory: URL) { file = directory.appendingPathComponent("weights.h5") }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: file)
    try HDF5Checkpoint(opening: file).readAll()
  }
}

/// A `.keras` archive, or with another start of its bytes an HDF5 file with the settings of a model.
struct KerasTarget: FuzzTarget {
  static let name = "keras"
  private let archive: URL
  private let legacy: URL

  init(in directory: URL) {
    archive = directory.appendingPathComponent("model.keras")
    legacy = directory.appendingPathComponent("model.h5")
  }

  func open(_ input: UnsafeRawBufferPointer) throws {
    let file = input.starts(with: [0x89, 0x48, 0x44, 0x46]) ? legacy : archive
    try input.write(to: file)
    guard let checkpoint = try KerasCheckpoint.open(file, isDirectory: false) else { return }
    try checkpoint.readAll()
  }
}

/// A GGUF file: its structure, its tokenizer, and the model in it.
struct GGUFTarget: FuzzTarget {
  static let name = "gguf"
  private let file: URL

  init(in directory: URL) { file = directory.appendingPathComponent("model.gguf") }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: file)
    let checkpoint = try GGUFCheckpoint(file)
    try tryAll([
      { try checkpoint.readAll() },
      {
        guard let decoded = try GGUFTokenizer.decode(checkpoint.gguf, named: "model.gguf") else { return }
        try Tokenizer(json: decoded.tokenizer, named: "tokenizer").tryOut()
      },
      {
        let model = try ModelBundle(opening: file.path)
        try model.weights.readAll()
        _ = "\(model.graph)"
      },
    ])
  }
}
