import Diagnostics
import StructuredData

/// `deepseek2`: DeepSeek-V2, V3 and R1: latent attention, dense layers first, experts behind them beside shared ones. Readers take V3 for V2 with
/// sigmoids, and keep latents in place of keys and values: a model with one key head.
struct Deepseek2GGUF: GGUFArchitecture {
  static let name = "deepseek2"
  static let modelTypes = ["deepseek_v2", "deepseek_v3"]

  var decoder: GGUFDecoder
  var isV3: Bool
  /// Width of the queries' latent; nil where they have none.
  var queryRank: Int?
  var keyValueRank: Int
  var plainWidth: Int
  var rotaryWidth: Int
  var valueWidth: Int
  var denseLayers: Int
  var experts: GGUFExperts?
  var expertWidth: Int
  var sharedExperts: Int
  var isNormalized: Bool
  var weightsScale: Double
  /// Whether a file has keys and values in one tensor, as before latents were kept.
  var isUnsplit = false

  /// Whether readers take a model of so many layers for one without a latent for queries, and another for one with it.
  private var countsAsLite: Bool { decoder.layers == 26 || decoder.layers == 27 || decoder.layers == 48 && decoder.vocabulary == 128256 }

  init(_ reader: GGUFConfigurationReader) throws(CheckpointError) {
    decoder = try GGUFDecoder(reader, .latent)
    isV3 = try reader.text("model_type") == "deepseek_v3"
    queryRank = reader.value("q_lora_rank") == nil ? nil : try reader.count("q_lora_rank", limit: 1 << 20)
    keyValueRank = try reader.count("kv_lora_rank", limit: 1 << 20)
    plainWidth = try reader.count("qk_nope_head_dim", limit: 1 << 14)
    rotaryWidth = try reader.count("qk_rope_head_dim", limit: 1 << 14)
    valueWidth = try reader.count("v_head_dim", limit: 1 << 14)
    (experts, expertWidth, sharedExperts, isNormalized, weightsScale) = (nil, decoder.hidden, 0, false, 1)
    denseLayers = decoder.layers
    try decoder.checkNoAttentionBias(reader)
    for key in ["mlp_bias"] where try reader.flag(key, default: false) {
      throw reader.refused(key, "has no biases in this architecture")
    }
    guard try reader.flag("rope_interleave", default: true) else {
      throw reader.refused("rope_interleave", "turns neighbours in this architecture, as rope_interleave true does")
    }
    guard try reader.count("moe_layer_freq", default: 1) == 1 else {
      throw reader.refused("moe_layer_freq", "has experts in every layer behind the dense ones")
    }
    guard queryRank == nil || !countsAsLite else {
      throw reader.refused("q_lora_rank", "readers take a model of \(decoder.layers) layers for one without it")
    }
    guard ["n_routed_experts", "num_local_experts"].contains(where: { reader.value($0) != nil }) else { return }
    denseLayers = min(reader.value("first_k_dense_replace")?.integer ?? 0, decoder.layers)
    guard denseLayers >= 0 else { throw reader.refused("first_k_dense_replace", "wants no number below 0") }
    expertWidth = try reader.count("moe_intermediate_size", limit: 1 << 22)
    guard reader.value("n_shared_experts")?.integer != 0 else {
      throw reader.refused("n_shared_experts", "wants a shared expert in this architecture")
    }
    sharedExperts = try reader.count("n_shared_experts", default: 1, limit: 1 << 16)
    weightsScale = try reader.positive("routed_scaling_factor", default: 1)
    isNormalized = try reader.flag("norm_topk_prob", default: isV3)
    let scoring = isV3 ? "sigmoid" : "softmax"
    guard try reader.text("scoring_func") ?? scoring == scoring else {
      throw reader.refused("scoring_func", "wants \(scoring) for this family")
    }
    experts = try Self.experts(reader, isV3: isV3)
  }

  private static func experts(_ reader: GGUFConfigurationReader, isV3: Bool) throws(CheckpointError) -> GGUFExperts {
    var experts = GGUFExperts(
      count: try reader.count("n_routed_experts", "num_local_experts", "num_experts", limit: GGUFExperts.limit),
      used: try reader.count("num_experts_per_tok", limit: GGUFExperts.limit), gating: isV3 ? 2 : 1)
    let method = try reader.text("topk_method") ?? (isV3 ? "noaux_tc" : "greedy")
    guard (isV3 ? ["noaux_tc"] : ["greedy", "group_limited_greedy"]).contains(method) else {
      throw reader.refused("topk_method", "does not know \"\(CheckpointError.shortened(method))\"")
    }
    var groups = (count: 1, used: 1)
    if method != "greedy" { groups = (try reader.count("n_group", default: 1), try reader.count("topk_group", default: 1)) }
    guard groups.used <= groups.count, experts.count % groups.count == 0,
      experts.used <= experts.count / groups.count * groups.used
    else {
      throw reader.refused(
        "n_group",
        "wants \(experts.used) experts for a token, which \(experts.count) in \(groups.count) groups with \(groups.used) kept do not give")
    }
    // Readers do not take groups that are all kept, which is to say none.
    if groups.used == groups.count { groups = (1, 1) }
    guard groups.count == 1 || experts.count / groups.count > 1 else {
      throw reader.refused("n_group", "wants more than one expert in a group")
    }
    if groups.count > 1 || reader.value("n_group") != nil && experts.count > 1 { experts.groups = groups }
    return experts
  }

  var tensorMap: GGUFTensorMap {
    var map = decoder.tensorMap
    if queryRank == nil {
      map.add(["self_attn.q_proj": "attn_q"])
    } else {
      map.add(["self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm", "self_attn.q_b_proj": "attn_q_b"])
    }
    map.add(["self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa", "self_attn.kv_a_layernorm": "attn_kv_a_norm"])
    if isUnsplit {
      map.add(["self_attn.kv_b_proj": "attn_kv_b"])
    } else {
      map.latent = GGUFLatentHeads(heads: decoder.heads, keyRows: plainWidth, valueRows: valueWidth)
    }
    map.addMLP()
    guard let experts else { return map }
    map.add([
      "mlp.gate": "ffn_gate_inp", "mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp",
      "mlp.shared_experts.down_proj": "ffn_down_shexp",
    ])
    if isV3 { map.add(parameter: "mlp.gate.e_score_correction_bias", tensor: "exp_probs_b.bias") }
    map.addExperts(experts.count)
    return map
  }

  var caveats: [String] {
    var caveats: [String] = []
    if !isV3, experts?.groups.map({ $0.count > 1 }) ?? false {
      caveats.append(
        "llama.cpp ranks groups of experts by their two best, and DeepSeek-V2 by the best: some tokens go to other experts there")
    }
    if decoder.epsilon != 1e-6 {
      caveats.append("llama.cpp norms latents with rms_norm_eps, \(decoder.epsilon), where the model has 1e-6 always")
    }
    return caveats
  }

  func write(to metadata: inout GGUFMetadata, fileType: UInt32) {
    decoder.write(
      to: &metadata, Self.name, experts: experts, keyValueHeads: 1, keyWidth: keyValueRank + rotaryWidth, valueWidth: keyValueRank,
      isLatent: true, fileType: fileType)
    func set(_ key: String, _ value: Int) { metadata["deepseek2.\(key)"] = .uint32(UInt32(clamping: value)) }
    set("leading_dense_block_count", denseLayers)
    set("vocab_size", decoder.vocabulary)
    // Readers that expect the rank take 0 for queries without a latent.
    if queryRank != nil || !countsAsLite { set("attention.q_lora_rank", queryRank ?? 0) }
    set("attention.kv_lora_rank", keyValueRank)
    set("attention.key_length_mla", plainWidth + rotaryWidth)
    set("attention.value_length_mla", valueWidth)
    set("expert_feed_forward_length", expertWidth)
    set("expert_shared_count", sharedExperts)
    metadata["deepseek2.expert_weights_scale"] = .float32(Float(weightsScale))
    if isNormalized { metadata["deepseek2.expert_weights_norm"] = .bool(true) }
    set("rope.dimension_count", rotaryWidth)
    if case .yarn(let yarn) = decoder.rotary.scaling, let mscale = yarn.mscaleAllDimensions {
      metadata["deepseek2.rope.scaling.yarn_log_multiplier"] = .float32(Float(0.1 * mscale))
    }
  }
}
