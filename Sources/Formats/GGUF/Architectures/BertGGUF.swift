import Diagnostics
import StructuredData

/// `bert`: BERT's encoder, of which readers make embeddings of texts. What stands on top of it is left out.
struct BertGGUF: GGUFArchitecture {
  static let name = "bert"
  static let modelTypes = ["bert"]

  private let vocabulary: Int
  private let width: Int
  private let hidden: Int
  private let layers: Int
  private let heads: Int
  private let positions: Int
  private let tokenTypes: Int
  private let epsilon: Double
  private var specialTokens: JSONObject = [:]
  /// Whether the model has the exact gelu, where readers take its approximation.
  private var isExact = true

  init(_ reader: GGUFConfigurationReader) throws(CheckpointError) {
    vocabulary = try reader.count("vocab_size", default: 30522)
    width = try reader.count("hidden_size", default: 768, limit: 1 << 20)
    hidden = try reader.count("intermediate_size", default: 3072, limit: 1 << 22)
    layers = try reader.count("num_hidden_layers", default: 12, limit: 512)
    heads = try reader.count("num_attention_heads", default: 12, limit: 1 << 14)
    positions = try reader.count("max_position_embeddings", default: 512)
    tokenTypes = try reader.count("type_vocab_size", default: 2)
    epsilon = try reader.positive("layer_norm_eps", default: 1e-12)
    guard width % heads == 0 else { throw reader.refused("num_attention_heads", "wants it to divide \(width)") }
    let activation = try reader.text("hidden_act") ?? "gelu"
    guard ["gelu", "gelu_new", "gelu_pytorch_tanh"].contains(activation) else {
      throw reader.refused("hidden_act", "has gelu in this architecture, not \(CheckpointError.shortened(activation))")
    }
    isExact = activation == "gelu"
    guard try reader.text("position_embedding_type") ?? "absolute" == "absolute" else {
      throw reader.refused("position_embedding_type", "has absolute positions in this architecture")
    }
    guard try !reader.flag("is_decoder", default: false) else { throw reader.refused("is_decoder", "has encoders in this architecture") }
  }

  init(_ reader: GGUFMetadataReader) throws(CheckpointError) {
    layers = try reader.count("block_count", limit: max(1, min(reader.tensorCount, 1 << 14)))
    width = try reader.count("embedding_length", limit: 1 << 20)
    hidden = try reader.count("feed_forward_length", limit: 1 << 22)
    heads = try reader.count("attention.head_count", limit: 1 << 14)
    guard let epsilon = try reader.positive("attention.layer_norm_epsilon") else {
      throw reader.wrong("attention.layer_norm_epsilon", "is missing")
    }
    self.epsilon = epsilon
    vocabulary = try Self.rows("token_embd.weight", width, reader)
    positions = try Self.rows("position_embd.weight", width, reader)
    tokenTypes = try Self.rows("token_types.weight", width, reader)
    guard width % heads == 0 else { throw reader.wrong("attention.head_count", "\(heads) does not divide \(width)") }
    guard reader.flag("attention.causal") == false else {
      throw reader.wrong("attention.causal", "is not false: encoders see the whole text")
    }
    specialTokens = reader.specialTokens
  }

  private static func rows(_ tensor: String, _ width: Int, _ reader: GGUFMetadataReader) throws(CheckpointError) -> Int {
    let shape = try reader.shape(tensor, axes: 2)
    guard shape[1] == width, shape[0] <= 1 << 28 else {
      throw reader.wrong("embedding_length", "is \(width), and \(tensor) has the shape \(shape)")
    }
    return shape[0]
  }

  /// Readers compute gelu by its approximation, whatever a model had: a file is what they compute.
  var configuration: JSONObject {
    var json: JSONObject = [
      "architectures": ["BertModel"], "model_type": "bert", "vocab_size": .integer(Int64(vocabulary)),
      "hidden_size": .integer(Int64(width)), "intermediate_size": .integer(Int64(hidden)), "num_hidden_layers": .integer(Int64(layers)),
      "num_attention_heads": .integer(Int64(heads)), "hidden_act": "gelu_pytorch_tanh",
      "max_position_embeddings": .integer(Int64(positions)),
      "type_vocab_size": .integer(Int64(tokenTypes)), "layer_norm_eps": .number(epsilon), "position_embedding_type": "absolute",
    ]
    for token in specialTokens.members { json[token.key] = token.value }
    return json
  }

  var tensorMap: GGUFTensorMap {
    var map = GGUFTensorMap(layerPrefix: "encoder.layer.", layers: layers)
    map.ignoredPrefix = "bert."
    map.addOuter([
      "embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
      "embeddings.token_type_embeddings": "token_types",
    ])
    map.addOuter(["embeddings.LayerNorm": "token_embd_norm"], ["weight", "bias"])
    map.add(
      [
        "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
        "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up",
        "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
      ], ["weight", "bias"])
    map.leftOut = ["pooler.", "cls.", "embeddings.position_ids"]
    return map
  }

  var caveats: [String] {
    isExact ? ["GGUF's readers compute gelu by its approximation: embeddings differ a little, which what is measured here counts"] : []
  }

  func write(to metadata: inout GGUFMetadata, fileType: UInt32) {
    for (key, size) in [
      ("block_count", layers), ("context_length", positions), ("embedding_length", width), ("feed_forward_length", hidden),
      ("attention.head_count", heads),
    ] { metadata["bert.\(key)"] = .uint32(UInt32(clamping: size)) }
    metadata["bert.attention.layer_norm_epsilon"] = .float32(Float(epsilon))
    metadata["general.file_type"] = .uint32(fileType)
    metadata["bert.attention.causal"] = .bool(false)
    metadata["tokenizer.ggml.token_type_count"] = .uint32(UInt32(clamping: tokenTypes))
  }
}
