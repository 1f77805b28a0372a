import Diagnostics
import StructuredData
import Tensors

/// A decoder of KerasHub: Llama, Llama 3 and Mistral, which differ in the names of their classes and in how positions are scaled.
///
/// Its settings in Hugging Face's words, its parameters by theirs, and where each lies in a file of Keras. Layouts are those of KerasHub 0.32.
struct KerasBackbone: Sendable {
  /// What tells one kind from another.
  struct Kind: Sendable {
    /// `LlamaBackbone`.
    let className: String
    /// `keras_hub.src.models.llama.llama_backbone`.
    let module: String
    /// The class of the model that predicts tokens, and its module.
    let task: (className: String, module: String)
    /// Classes in a file's spelling.
    let block: String
    let norm: String
    /// Hugging Face's name of the family and of its model.
    let modelType: String
    let architecture: String
    /// Positions that such models were trained for; Keras's settings do not say.
    let positions: Int
  }

  static let kinds = [
    Kind(
      className: "LlamaBackbone", module: "keras_hub.src.models.llama.llama_backbone",
      task: ("LlamaCausalLM", "keras_hub.src.models.llama.llama_causal_lm"), block: "llama_transformer_decoder", norm: "llama_layer_norm",
      modelType: "llama", architecture: "LlamaForCausalLM", positions: 4096),
    Kind(
      className: "Llama3Backbone", module: "keras_hub.src.models.llama3.llama3_backbone",
      task: ("Llama3CausalLM", "keras_hub.src.models.llama3.llama3_causal_lm"), block: "llama_transformer_decoder",
      norm: "llama_layer_norm",
      modelType: "llama", architecture: "LlamaForCausalLM", positions: 8192),
    Kind(
      className: "MistralBackbone", module: "keras_hub.src.models.mistral.mistral_backbone",
      task: ("MistralCausalLM", "keras_hub.src.models.mistral.mistral_causal_lm"), block: "mistral_transformer_decoder",
      norm: "mistral_layer_normalization", modelType: "mistral", architecture: "MistralForCausalLM", positions: 32_768),
  ]

  let kind: Kind
  let layers: Int
  let vocabulary: Int
  let width: Int
  let heads: Int
  let keyValueHeads: Int
  let headWidth: Int
  let hidden: Int

  /// Every parameter in model order.
  /// - Parameter isTied: whether the head is the embedding.
  func parameters(isTied: Bool) -> [KerasParameter] {
    let embedding = ("reversible_embedding", "token_embedding")
    var parameters = [
      KerasParameter(
        "model.embed_tokens.weight", object: embedding.0, layer: embedding.1, variable: "embeddings", .plain([vocabulary, width]))
    ]
    for index in 0..<layers {
      parameters += blockParameters(
        index, object: index == 0 ? kind.block : "\(kind.block)_\(index)", layer: "transformer_layer_\(index)")
    }
    parameters.append(
      KerasParameter("model.norm.weight", object: kind.norm, layer: "sequence_output_layernorm", variable: "scale", .plain([width])))
    guard !isTied else { return parameters }
    return parameters + [
      KerasParameter(
        "lm_head.weight", object: embedding.0, layer: embedding.1, variable: "reverse_embeddings", index: 1, quantizedIndex: 2,
        .kernel(inputs: [width], outputs: [vocabulary]))
    ]
  }

  private func blockParameters(_ index: Int, object: String, layer: String) -> [KerasParameter] {
    func kernel(_ name: String, _ object: String, _ layer: String, _ inputs: [Int], _ outputs: [Int]) -> KerasParameter {
      KerasParameter(
        "model.layers.\(index).\(name).weight", object: object, layer: layer, .kernel(inputs: inputs, outputs: outputs))
    }
    func norm(_ name: String, _ part: String) -> KerasParameter {
      KerasParameter(
        "model.layers.\(index).\(name).weight", object: "\(object)._\(part)", layer: "\(layer)/\(part)", variable: "scale",
        .plain([width]))
    }
    func attention(_ name: String, _ part: String, _ layerPart: String, _ inputs: [Int], _ outputs: [Int]) -> KerasParameter {
      kernel(
        "self_attn.\(name)", "\(object)._self_attention_layer._\(part)_dense", "\(layer)/self_attention/\(layerPart)", inputs, outputs)
    }
    func feedforward(_ name: String, _ part: String, _ inputs: Int, _ outputs: Int) -> KerasParameter {
      kernel("mlp.\(name)", "\(object)._feedforward_\(part)_dense", "\(layer)/feedforward_\(part)_dense", [inputs], [outputs])
    }
    return [
      norm("input_layernorm", "self_attention_layernorm"),
      attention("q_proj", "query", "query", [width], [heads, headWidth]),
      attention("k_proj", "key", "key", [width], [keyValueHeads, headWidth]),
      attention("v_proj", "value", "value", [width], [keyValueHeads, headWidth]),
      attention("o_proj", "output", "attention_output", [heads, headWidth], [width]),
      norm("post_attention_layernorm", "feedforward_layernorm"),
      feedforward("gate_proj", "gate", width, hidden),
      feedforward("up_proj", "intermediate", width, hidden),
      feedforward("down_proj", "output", hidden, width),
    ]
  }
}

extension KerasBackbone {
  /// Reads Keras's settings.
  /// - Throws: `CheckpointError` of kind `badConfiguration` for a class or a setting that is not known.
  init(_ object: KerasObject) throws(CheckpointError) {
    guard let kind = Self.kinds.first(where: { $0.className == object.className }) else {
      throw CheckpointError(
        kind: .badConfiguration, subject: "\(object.place): class_name",
        problem: "Keras's \(CheckpointError.shortened(object.className)) is not supported",
        remedy: "supported are \(Self.kinds.map(\.className).joined(separator: ", ")) of KerasHub, and their CausalLM")
    }
    self.kind = kind
    // As of a config.json: products of a few stay far from overflow.
    layers = try object.count("num_layers", limit: 10_000)
    vocabulary = try object.count("vocabulary_size", limit: 1 << 28)
    width = try object.count("hidden_dim", limit: 1 << 20)
    heads = try object.count("num_query_heads", limit: 1 << 14)
    keyValueHeads = try object.count("num_key_value_heads", limit: 1 << 14)
    hidden = try object.count("intermediate_dim", limit: 1 << 22)
    headWidth = object.value("head_dim") == nil ? width / heads : try object.count("head_dim", limit: 1 << 14)
    guard headWidth > 0, heads % keyValueHeads == 0 else {
      throw object.invalid("num_layers, num_query_heads", "do not fit together", remedy: "fetch the model again")
    }
  }

  /// The config.json that transformers would want for the same model.
  func huggingFaceConfiguration(_ object: KerasObject, isTied: Bool, dataType: String) throws(CheckpointError) -> JSONObject {
    var json: JSONObject = [
      "architectures": [.string(kind.architecture)], "model_type": .string(kind.modelType),
      "vocab_size": .integer(Int64(vocabulary)), "hidden_size": .integer(Int64(width)), "intermediate_size": .integer(Int64(hidden)),
      "num_hidden_layers": .integer(Int64(layers)), "num_attention_heads": .integer(Int64(heads)),
      "num_key_value_heads": .integer(Int64(keyValueHeads)), "head_dim": .integer(Int64(headWidth)), "hidden_act": "silu",
      "max_position_embeddings": .integer(Int64(kind.positions)),
      "rms_norm_eps": .number(try object.number("layer_norm_epsilon", default: 1e-6)),
      "rope_theta": .number(try object.number("rope_max_wavelength", default: 10_000)),
      "tie_word_embeddings": .bool(isTied), "attention_bias": false, "mlp_bias": false, "dtype": .string(dataType),
    ]
    if kind.modelType == "mistral" {
      for key in ["attention_bias", "mlp_bias"] { json[key] = Optional.none }
      json["sliding_window"] = try window(object)
    }
    json["rope_scaling"] = try scaling(object)
    return json
  }

  /// Null says that there is none; where nothing is said, KerasHub's class takes 512.
  private func window(_ object: KerasObject) throws(CheckpointError) -> JSONValue {
    guard object.config["sliding_window"] != nil else { return 512 }
    return object.value("sliding_window") == nil ? .null : .integer(Int64(try object.count("sliding_window")))
  }

  /// Whether the head can be the embedding.
  var mayBeTied: Bool { kind.modelType != "mistral" }

  private func scaling(_ object: KerasObject) throws(CheckpointError) -> JSONValue? {
    let isMistral = kind.modelType == "mistral"
    let key = isMistral ? "rope_scaling_factor" : "rope_position_scaling_factor"
    let factor = try object.number(key, default: 1)
    // Some versions of KerasHub divide positions by it, 0.32 takes no notice: what such a model computes is not settled.
    guard isMistral || factor == 1 else {
      throw object.invalid(
        key, "is \(factor), which versions of KerasHub take differently", remedy: "set it to 1 to have what KerasHub 0.32 computes")
    }
    guard object.value("rope_frequency_adjustment_factor") != nil else {
      // A literal nil would be JSON's null here.
      guard factor != 1 else { return Optional.none }
      return ["rope_type": "linear", "factor": .number(factor)]
    }
    return [
      "rope_type": "llama3", "factor": .number(try object.number("rope_frequency_adjustment_factor")),
      "low_freq_factor": .number(try object.number("rope_low_freq_factor")),
      "high_freq_factor": .number(try object.number("rope_high_freq_factor")),
      "original_max_position_embeddings": .integer(Int64(try object.count("rope_pretraining_sequence_length"))),
    ]
  }
}
