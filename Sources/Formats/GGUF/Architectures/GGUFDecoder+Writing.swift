/// What a file's metadata says of experts, whatever the architecture.
struct GGUFExperts: Sendable, Hashable {
  /// Readers have room for no more.
  static let limit = 1024

  var count: Int
  var used: Int
  var groups: (count: Int, used: Int)?
  /// 1 for softmax, 2 for sigmoid; nil where the architecture says it.
  var gating: Int?

  static func == (first: Self, second: Self) -> Bool {
    first.count == second.count && first.used == second.used && first.gating == second.gating
      && first.groups?.count == second.groups?.count && first.groups?.used == second.groups?.used
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine([count, used, groups?.count ?? 0, groups?.used ?? 0, gating ?? 0])
  }
}

extension GGUFDecoder {
  /// The keys of sizes, in the reference converter's order; the architecture's own follow.
  /// - Parameters:
  ///   - keyWidth, valueWidth: of cached keys and values, where they are no heads.
  func write(
    to metadata: inout GGUFMetadata, _ architecture: String, experts: GGUFExperts? = nil, keyValueHeads cached: Int? = nil,
    keyWidth: Int? = nil, valueWidth: Int? = nil, isLatent: Bool = false, fileType: UInt32
  ) {
    func set(_ key: String, _ value: Int) { metadata["\(architecture).\(key)"] = .uint32(UInt32(clamping: value)) }
    set("block_count", layers)
    set("context_length", positions)
    set("embedding_length", width)
    set("feed_forward_length", hidden)
    set("attention.head_count", heads)
    set("attention.head_count_kv", cached ?? keyValueHeads)
    rotary.write(to: &metadata, architecture, latent: isLatent)
    metadata["\(architecture).attention.layer_norm_rms_epsilon"] = .float32(Float(epsilon))
    if let experts {
      set("expert_count", experts.count)
      set("expert_used_count", experts.used)
      if let groups = experts.groups {
        set("expert_group_count", groups.count)
        set("expert_group_used_count", groups.used)
      }
      if let gating = experts.gating { set("expert_gating_func", gating) }
    }
    set("attention.key_length", keyWidth ?? headWidth)
    set("attention.value_length", valueWidth ?? headWidth)
    metadata["general.file_type"] = .uint32(fileType)
  }

  /// The names that all decoders share.
  var tensorMap: GGUFTensorMap {
    var map = GGUFTensorMap(layers: layers)
    map.extraBlocks = extraBlocks
    map.addOuter(["model.embed_tokens": "token_embd", "model.norm": "output_norm"])
    if isTied { map.leftOut = ["lm_head."] } else { map.addOuter(["lm_head": "output"]) }
    map.add(["input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.o_proj": "attn_output"])
    return map
  }
}

extension GGUFTensorMap {
  /// Queries, keys and values of their own, and a gated MLP.
  mutating func addAttention(_ kinds: [String] = ["weight"]) {
    add(["self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"], kinds)
  }

  mutating func addMLP(_ kinds: [String] = ["weight"]) {
    add(["mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"], kinds)
  }
}
