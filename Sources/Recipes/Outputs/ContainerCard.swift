/// What a model card says of a container.
struct ContainerCard {
  /// What the files are, in words.
  let form: String
  /// The library that loads it, as model hubs name it.
  var library: String?
  var tags: [String] = []
  /// Whether it is plain safetensors where no weight is codes.
  var isPlainWithoutCodes = false
  /// The programs that may load it, beside this one; each says of a model whether it does.
  var runtimes: [Runtime] = []
}

extension OutputFormat {
  /// An entry for each container.
  var card: ContainerCard {
    switch self {
    case .compressedTensors:
      ContainerCard(
        form: "safetensors in the layout of compressed-tensors", library: "transformers", tags: ["compressed-tensors"],
        isPlainWithoutCodes: true, runtimes: [.transformers, .vllm])
    case .hdf5: ContainerCard(form: "an HDF5 state dict with the tensors of compressed-tensors", tags: ["hdf5"])
    case .keras: ContainerCard(form: "a preset of KerasHub", library: "keras-hub", tags: ["keras"], runtimes: [.kerasHub])
    case .gptq:
      ContainerCard(
        form: "safetensors in GPTQ's layout", library: "transformers", tags: ["gptq"], isPlainWithoutCodes: true,
        runtimes: [.transformers, .vllm])
    case .awq:
      ContainerCard(
        form: "safetensors in AWQ's layout", library: "transformers", tags: ["awq"], isPlainWithoutCodes: true,
        runtimes: [.transformers, .vllm])
    case .safetensors: ContainerCard.dense
    case .mlx: ContainerCard(form: "safetensors in the layout of MLX", library: "mlx", tags: ["mlx"], runtimes: [.mlx])
    case .gguf: ContainerCard(form: "one GGUF file, with its tokenizer in it", tags: ["gguf"], runtimes: [.llamaCpp])
    }
  }
}

extension ContainerCard {
  /// safetensors without codes.
  static let dense = ContainerCard(form: "safetensors without quantized weights", library: "transformers", runtimes: [.transformers])
}
