import Diagnostics
import StructuredData

/// `llama`: Llama 1 to 3, Mistral without its windows, and Mixtral, which is Llama with experts. Rows of queries and keys are reordered, because
/// readers turn neighbours.
struct LlamaGGUF: GGUFArchitecture {
  static let name = "llama"
  static let modelTypes = ["llama", "mistral", "ministral", "mixtral"]

  private var decoder: GGUFDecoder
  private var hasAttentionBias = false
  private var hasMLPBias = false
  private var experts: GGUFExperts?

  init(_ reader: GGUFConfigurationReader) throws(CheckpointError) {
    decoder = try GGUFDecoder(reader, .withDivisors)
    switch try reader.text("model_type") {
    case "mixtral":
      try decoder.checkWindow(reader.value("sliding_window") == nil ? nil : reader.count("sliding_window"), reader)
      experts = GGUFExperts(
        count: try reader.count("num_local_experts", "num_experts", limit: GGUFExperts.limit),
        used: try reader.count("num_experts_per_tok", default: 2, limit: GGUFExperts.limit))
      if let experts, experts.used > experts.count {
        throw reader.refused("num_experts_per_tok", "wants no more than the \(experts.count) experts")
      }
    case "llama":
      hasAttentionBias = try reader.flag("attention_bias", default: false)
      hasMLPBias = try reader.flag("mlp_bias", default: false)
    default:
      let types = reader.value("layer_types")?.array?.map(\.string)
      let slides = types?.contains("sliding_attention") ?? true
      // Loaders of Mistral take a window of 4096 where config.json does not say that there is none.
      let window =
        reader.holds("sliding_window") && reader.value("sliding_window") == nil ? nil : try reader.count("sliding_window", default: 4096)
      if slides { try decoder.checkWindow(window, reader) }
    }
  }

  init(_ reader: GGUFMetadataReader) throws(CheckpointError) {
    decoder = try GGUFDecoder(reader, .withDivisors)
    let count = try reader.count("expert_count", default: 0, least: 0, limit: GGUFExperts.limit)
    hasAttentionBias = reader.has("blk.0.attn_q.bias")
    hasMLPBias = reader.has("blk.0.ffn_up.bias")
    guard hasAttentionBias == reader.has("blk.0.attn_output.bias") else {
      throw reader.wrong(
        "block_count", "layers have biases for some projections of the attention only, which no family here has", remedy: "")
    }
    guard count > 0 else { return }
    experts = GGUFExperts(count: count, used: try reader.count("expert_used_count", limit: count))
    guard !hasAttentionBias, !hasMLPBias else {
      throw reader.wrong("expert_count", "layers have experts and biases, which no family here has", remedy: "")
    }
  }

  var configuration: JSONObject {
    if let experts {
      var json = decoder.configuration("mixtral", "MixtralForCausalLM")
      json["sliding_window"] = .null
      json["num_local_experts"] = .integer(Int64(experts.count))
      json["num_experts_per_tok"] = .integer(Int64(experts.used))
      return json
    }
    var json = decoder.configuration("llama", "LlamaForCausalLM")
    json["attention_bias"] = .bool(hasAttentionBias)
    json["mlp_bias"] = .bool(hasMLPBias)
    return json
  }

  var tensorMap: GGUFTensorMap {
    var map = decoder.tensorMap
    map.addAttention(hasAttentionBias ? ["weight", "bias"] : ["weight"])
    if hasAttentionBias { map.add(["self_attn.o_proj": "attn_output"], ["bias"]) }
    map.rotatedHeads = ["self_attn.q_proj": decoder.heads, "self_attn.k_proj": decoder.keyValueHeads]
    map.synthesized = ["rope_freqs.weight"]
    if let experts {
      map.add(["block_sparse_moe.gate": "ffn_gate_inp"])
      map.experts = .init(
        scope: "block_sparse_moe.experts", projections: ["w1": "ffn_gate_exps", "w2": "ffn_down_exps", "w3": "ffn_up_exps"],
        count: experts.count)
    } else {
      map.addMLP(hasMLPBias ? ["weight", "bias"] : ["weight"])
    }
    return map
  }

  var synthesizedTensors: [GGUFSynthesizedTensor] {
    guard case .llama3(let divisors) = decoder.rotary.scaling else { return [] }
    return [
      GGUFSynthesizedTensor(name: "rope_freqs.weight", values: divisors.values(count: decoder.headWidth / 2, base: decoder.rotary.base))
    ]
  }

  func write(to metadata: inout GGUFMetadata, fileType: UInt32) {
    decoder.write(to: &metadata, Self.name, experts: experts, fileType: fileType)
    metadata["llama.vocab_size"] = .uint32(UInt32(clamping: decoder.vocabulary))
    metadata["llama.rope.dimension_count"] = .uint32(UInt32(clamping: decoder.headWidth))
  }
}
