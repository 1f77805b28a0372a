import Formats
import Reporting

/// A program that loads checkpoints, and how it is asked to.
enum Runtime {
  case transformers
  case vllm
  case llamaCpp
  case kerasHub
  case mlx
  /// This one.
  case own

  private static let place = ModelCard.place
  private static let prompt = "The lighthouse"

  /// How it loads the model; nil where it is not known to, or is known not to.
  func usage(_ model: Loadability) -> ModelCard.Usage? {
    switch self {
    case .transformers: transformers(model)
    case .vllm:
      model.isRunByVLLM
        ? ModelCard.Usage("vLLM", language: "sh", "vllm serve \(Self.place)") : nil
    case .llamaCpp:
      ModelCard.Usage(
        "llama.cpp", language: "sh",
        "\(model.isEncoder ? "llama-embedding" : "llama-cli") -m \(Self.place)/\(GGUFOutput.fileName) -p \"\(Self.prompt)\"")
    case .kerasHub:
      ModelCard.Usage(
        "KerasHub", language: "python",
        """
        import keras_hub

        model = keras_hub.models.CausalLM.from_preset("\(Self.place)")
        """)
    case .mlx:
      ModelCard.Usage(
        "MLX", language: "sh", "mlx_lm.generate --model \(Self.place) --prompt \"\(Self.prompt)\"")
    case .own:
      ModelCard.Usage(
        Tool.name, language: "sh",
        model.isEncoder
          ? "deepseek-optimize eval --model \(Self.place) --eval text.txt --save-embeddings embeddings.safetensors"
          : "deepseek-optimize generate --model \(Self.place) --prompt \"\(Self.prompt)\"")
    }
  }

  private func transformers(_ model: Loadability) -> ModelCard.Usage? {
    guard let loading = model.transformersLoading else { return nil }
    let isDequantized = loading == .dequantized
    let name = model.isEncoder ? "AutoModel" : "AutoModelForCausalLM"
    let use =
      model.isEncoder
      ? "states = model(**inputs).last_hidden_state"
      : "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))"
    return ModelCard.Usage(
      model.packages.map { "transformers, with \($0)" } ?? "transformers", language: "python",
      """
      from transformers import \(name), AutoTokenizer\(isDequantized ? ", CompressedTensorsConfig" : "")

      model = \(name).from_pretrained("\(Self.place)"\(isDequantized ? ", quantization_config=CompressedTensorsConfig(dequantize=True)" : ""))
      tokenizer = AutoTokenizer.from_pretrained("\(Self.place)")
      inputs = tokenizer("\(Self.prompt)", return_tensors="pt")
      \(use)
      """)
  }
}
