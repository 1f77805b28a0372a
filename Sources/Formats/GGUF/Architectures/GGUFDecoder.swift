import Diagnostics
import StructuredData

/// The sizes that all decoders have, as config.json and GGUF say them.
struct GGUFDecoder: Sendable, Hashable {
  var vocabulary: Int
  var width: Int
  var hidden: Int
  var layers: Int
  var heads: Int
  var keyValueHeads: Int
  var headWidth: Int
  var positions: Int
  var epsilon: Double
  var isTied: Bool
  var rotary: GGUFRotary
  /// Blocks of a file behind the layers, which predict further tokens.
  var extraBlocks = 0
  var specialTokens: JSONObject = [:]

  /// Readers have room for no more.
  private static let layerLimit = 512

  /// - Parameter headWidth: what `head_dim` is where it is not said; nil for width over heads.
  init(
    _ reader: GGUFConfigurationReader, headWidth usualHeadWidth: Int? = nil, _ dialect: GGUFRotary.Dialect
  ) throws(CheckpointError) {
    vocabulary = try reader.count("vocab_size")
    width = try reader.count("hidden_size", limit: 1 << 20)
    hidden = try reader.count("intermediate_size", limit: 1 << 22)
    layers = try reader.count("num_hidden_layers", limit: 1 << 14)
    heads = try reader.count("num_attention_heads", limit: 1 << 14)
    keyValueHeads = try reader.count("num_key_value_heads", default: heads, limit: 1 << 14)
    headWidth = try reader.count("head_dim", default: usualHeadWidth ?? max(1, width / heads), limit: 1 << 14)
    positions = try reader.count("max_position_embeddings", default: 2048)
    epsilon = try reader.positive("rms_norm_eps", default: 1e-6)
    isTied = try reader.flag("tie_word_embeddings", default: false)
    rotary = try GGUFRotary(reader, positions: positions, dialect)
    guard heads % keyValueHeads == 0, headWidth % 2 == 0 else {
      throw reader.refused(
        "num_key_value_heads", "wants it to divide the heads, and heads of even width, not \(heads), \(keyValueHeads) and \(headWidth)")
    }
    guard layers <= Self.layerLimit else {
      throw reader.refused("num_hidden_layers", "has room for \(Self.layerLimit) layers, not \(layers)")
    }
    let activation = try reader.text("hidden_act") ?? "silu"
    guard ["silu", "swish"].contains(activation) else {
      throw reader.refused("hidden_act", "has silu in this architecture, not \(CheckpointError.shortened(activation))")
    }
    if let own = reader.value("deepseek_optimize"), own.object?.isEmpty != true {
      throw reader.refused("deepseek_optimize", "has no words for the modules that it names")
    }
  }

  init(_ reader: GGUFMetadataReader, _ dialect: GGUFRotary.Dialect) throws(CheckpointError) {
    // A block has tensors: no file can name more blocks than it has of them.
    let blocks = try reader.count("block_count", limit: max(1, min(reader.tensorCount, 1 << 14)))
    extraBlocks = try reader.count("nextn_predict_layers", default: 0, least: 0, limit: blocks - 1)
    layers = blocks - extraBlocks
    let embedding = try reader.shape("token_embd.weight", axes: 2)
    vocabulary = embedding[0]
    width = try reader.count("embedding_length", limit: 1 << 20)
    guard embedding[1] == width, vocabulary <= 1 << 28 else {
      throw reader.wrong("embedding_length", "is \(width), and the embedding has the shape \(embedding)")
    }
    hidden = try reader.count("feed_forward_length", limit: 1 << 22)
    heads = try reader.count("attention.head_count", limit: 1 << 14)
    keyValueHeads = try reader.count("attention.head_count_kv", default: heads, limit: 1 << 14)
    headWidth = try reader.count("attention.key_length", default: max(1, width / heads), limit: 1 << 20)
    positions = try reader.count("context_length")
    guard let epsilon = try reader.positive("attention.layer_norm_rms_epsilon") else {
      throw reader.wrong("attention.layer_norm_rms_epsilon", "is missing")
    }
    self.epsilon = epsilon
    isTied = !reader.has("output.weight")
    let turning: Int
    if case .latent = dialect {
      turning = try reader.count("rope.dimension_count", limit: 1 << 14)
    } else {
      turning = try reader.count("rope.dimension_count", default: headWidth, limit: 1 << 14)
      guard turning == headWidth, try reader.count("attention.value_length", default: headWidth, limit: 1 << 20) == headWidth else {
        throw reader.wrong("rope.dimension_count", "is not the width of keys, \(headWidth), or values have another one")
      }
    }
    guard heads % keyValueHeads == 0, turning % 2 == 0 else {
      throw reader.wrong("attention.head_count_kv", "does not divide the \(heads) heads, or \(turning) features cannot turn in pairs")
    }
    guard reader.flag("attention.causal") ?? true else {
      throw reader.wrong("attention.causal", "is false: decoders that look ahead are not supported", remedy: "use another model")
    }
    rotary = try GGUFRotary(reader, dimension: turning, positions: positions, dialect)
    specialTokens = reader.specialTokens
  }

  /// Checks that every head together is as wide as the model, which some architectures take for granted.
  func checkHeadsFillWidth(_ reader: GGUFConfigurationReader) throws(CheckpointError) {
    guard heads * headWidth == width else {
      throw reader.refused("head_dim", "wants \(heads) heads of \(width / heads) in this architecture, not of \(headWidth)")
    }
  }

  /// Checks that no window narrows the attention: no architecture here has them.
  func checkWindow(_ size: Int?, _ reader: GGUFConfigurationReader) throws(CheckpointError) {
    guard let size, size < positions else { return }
    throw reader.refused(
      "sliding_window", "has no sliding windows in this architecture, and \(size) is narrower than the \(positions) positions",
      remedy: "set max_position_embeddings to \(size), up to where the model is the same, or use --format safetensors")
  }

  /// The configuration's keys.
  func configuration(_ type: String, _ className: String) -> JSONObject {
    var json: JSONObject = [
      "architectures": [.string(className)], "model_type": .string(type), "vocab_size": .integer(Int64(vocabulary)),
      "hidden_size": .integer(Int64(width)), "intermediate_size": .integer(Int64(hidden)), "num_hidden_layers": .integer(Int64(layers)),
      "num_attention_heads": .integer(Int64(heads)), "num_key_value_heads": .integer(Int64(keyValueHeads)),
      "head_dim": .integer(Int64(headWidth)), "hidden_act": "silu", "max_position_embeddings": .integer(Int64(positions)),
      "rms_norm_eps": .number(epsilon), "tie_word_embeddings": .bool(isTied),
    ]
    rotary.write(to: &json)
    for token in specialTokens.members { json[token.key] = token.value }
    return json
  }
}
