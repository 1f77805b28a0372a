import Formats
import ModelGraph
import StructuredData
import Tensors

/// The containers that an output can be written in.
public enum OutputFormat: String, Sendable, Hashable, CaseIterable {
  /// safetensors in the layout of compressed-tensors, which transformers loads.
  case compressedTensors = "compressed-tensors"
  /// One HDF5 file, `model.h5`, with the same tensors and the configuration in its attributes.
  case hdf5
  /// A preset of KerasHub: `config.json` and `model.weights.h5` in Keras's layout, quantized layers as its int8 layers.
  case keras
  /// safetensors as mlx-lm and the programs that follow it load them, with scales and minima.
  case mlx
  /// safetensors in GPTQ's layout, which transformers and gptqmodel load.
  case gptq
  /// safetensors in AWQ's layout "gemm", which the same load.
  case awq
  /// safetensors with quantized weights as float32, the others as they are, for whatever reads no quantized form.
  case safetensors
  /// One GGUF file, `model.gguf`, which llama.cpp and what is built on it load, with its tokenizer in it.
  case gguf

  /// Whether quantized weights stay quantized in it.
  public var keepsQuantizedWeights: Bool { self != .safetensors }

  /// Whether a file that was begun can be taken up: an HDF5 file is laid out by its library.
  var isResumable: Bool { self != .hdf5 && self != .keras }

  /// The container that a model is written to: HDF5 means the one that it came in.
  public func resolved(for model: ModelBundle) -> OutputFormat {
    self == .hdf5 && model.checkpoint is KerasCheckpoint ? .keras : self
  }

  /// What scales are stored as in it, whatever the type of a weight; nil for the weight's own.
  var scaleType: DataType? { self == .gguf || self == .gptq || self == .awq ? .float16 : nil }

  /// What it has no codes of: GGUF keeps the keys' part of latent attention's projection transposed, head by head, and mlx-lm makes that of
  /// DeepSeek-V3's as it loads it.
  func denseRoles(of model: ModelBundle) -> Set<ParameterRole> {
    switch self {
    case .gguf: [.attentionKeyValueUp]
    case .mlx where MLXConfiguration.changesLatentProjection(of: model.configuration["model_type"]?.string): [.attentionKeyValueUp]
    default: []
    }
  }

  /// How weights lie in it.
  /// - Parameter settings: the model's config.json as the passes leave it.
  func encoding(of model: ModelBundle, settings: JSONObject) throws -> any OutputEncoding {
    switch self {
    case .compressedTensors: CompressedTensorsOutput()
    case .hdf5: HDF5Output()
    case .keras: KerasOutput()
    case .mlx: try MLXOutput(model, settings)
    case .gptq: ColumnPackedOutput(method: .gptq)
    case .awq: ColumnPackedOutput(method: .awq)
    case .safetensors: DequantizedOutput()
    case .gguf: try GGUFOutput(model, settings)
    }
  }
}
