import Diagnostics
import StructuredData

extension Deepseek2GGUF {
  init(_ reader: GGUFMetadataReader) throws(CheckpointError) {
    var decoder = try GGUFDecoder(reader, .latent)
    rotaryWidth = try reader.count("rope.dimension_count", limit: 1 << 14)
    keyValueRank = try reader.count("attention.kv_lora_rank", limit: 1 << 20)
    queryRank = reader.has("blk.0.attn_q.weight") ? nil : try reader.count("attention.q_lora_rank", limit: 1 << 20)
    isUnsplit = reader.has("blk.0.attn_kv_b.weight")
    let keyWidth = try reader.count(isUnsplit ? "attention.key_length" : "attention.key_length_mla", limit: 1 << 15)
    valueWidth = try reader.count(isUnsplit ? "attention.value_length" : "attention.value_length_mla", limit: 1 << 14)
    plainWidth = keyWidth - rotaryWidth
    guard plainWidth > 0 else {
      throw reader.wrong("attention.key_length", "is \(keyWidth), of which \(rotaryWidth) turn: none is left")
    }
    // The file counts the one head that a cache of latents has.
    decoder.keyValueHeads = decoder.heads
    decoder.headWidth = rotaryWidth
    let count = try reader.count("expert_count", default: 0, least: 0, limit: GGUFExperts.limit)
    let gating = try reader.count("expert_gating_func", default: 0, least: 0, limit: 255)
    guard gating <= 2 else {
      throw reader.wrong("expert_gating_func", "is \(gating)", remedy: "known are 1 for softmax and 2 for sigmoid")
    }
    isV3 = gating == 2
    isNormalized = reader.flag("expert_weights_norm") ?? false
    let scale = try reader.number("expert_weights_scale") ?? 1
    // Readers take 0 for no scale.
    weightsScale = scale == 0 ? 1 : scale
    denseLayers = min(try reader.count("leading_dense_block_count", default: 0, least: 0), decoder.layers)
    sharedExperts = try reader.count("expert_shared_count", default: 0, least: 0, limit: 1 << 16)
    expertWidth = try reader.count("expert_feed_forward_length", default: decoder.hidden, limit: 1 << 22)
    experts = nil
    self.decoder = decoder
    guard count > 0 else { return }
    var experts = GGUFExperts(count: count, used: try reader.count("expert_used_count", limit: count), gating: isV3 ? 2 : 1)
    let groups = try reader.count("expert_group_count", default: 1, least: 0, limit: count)
    if groups > 1 { experts.groups = (groups, try reader.count("expert_group_used_count", limit: groups)) }
    self.experts = experts
  }

  var configuration: JSONObject {
    var json = decoder.configuration(
      isV3 ? "deepseek_v3" : "deepseek_v2", isV3 ? "DeepseekV3ForCausalLM" : "DeepseekV2ForCausalLM")
    json["attention_bias"] = false
    json["q_lora_rank"] = queryRank.map { .integer(Int64($0)) } ?? .null
    for (key, size) in [
      ("kv_lora_rank", keyValueRank), ("qk_nope_head_dim", plainWidth), ("qk_rope_head_dim", rotaryWidth), ("v_head_dim", valueWidth),
    ] { json[key] = .integer(Int64(size)) }
    guard let experts else {
      json["n_routed_experts"] = .null
      return json
    }
    for (key, size) in [
      ("first_k_dense_replace", denseLayers), ("n_routed_experts", experts.count), ("n_shared_experts", sharedExperts),
      ("num_experts_per_tok", experts.used), ("moe_intermediate_size", expertWidth), ("moe_layer_freq", 1),
      ("n_group", experts.groups?.count ?? 1), ("topk_group", experts.groups?.used ?? 1),
    ] { json[key] = .integer(Int64(size)) }
    json["routed_scaling_factor"] = .number(weightsScale)
    json["norm_topk_prob"] = .bool(isNormalized)
    json["scoring_func"] = isV3 ? "sigmoid" : "softmax"
    json["topk_method"] = isV3 ? "noaux_tc" : (experts.groups?.count ?? 1) > 1 ? "group_limited_greedy" : "greedy"
    return json
  }
}
