import Diagnostics
import StructuredData

/// `qwen3moe`: Qwen 3 with experts in every layer, whose weights add up to one.
struct Qwen3MoeGGUF: GGUFArchitecture {
  static let name = "qwen3moe"
  static let modelTypes = ["qwen3_moe"]

  private let decoder: GGUFDecoder
  private let experts: GGUFExperts
  private let expertWidth: Int

  init(_ reader: GGUFConfigurationReader) throws(CheckpointError) {
    decoder = try GGUFDecoder(reader, .plain)
    try decoder.checkNoAttentionBias(reader)
    if try reader.flag("use_sliding_window", default: false) {
      let isNull = reader.holds("sliding_window") && reader.value("sliding_window") == nil
      try decoder.checkWindow(isNull ? nil : reader.count("sliding_window", default: 4096), reader)
    }
    guard try reader.count("decoder_sparse_step", default: 1) == 1, reader.value("mlp_only_layers")?.array?.isEmpty ?? true else {
      throw reader.refused("mlp_only_layers", "wants experts in every layer of this architecture")
    }
    guard try reader.flag("norm_topk_prob", default: false) else {
      throw reader.refused("norm_topk_prob", "scales the weights of the chosen experts to a sum of one, as norm_topk_prob true does")
    }
    experts = GGUFExperts(
      count: try reader.count("num_experts", "num_local_experts", limit: GGUFExperts.limit),
      used: try reader.count("num_experts_per_tok", default: 8, limit: GGUFExperts.limit))
    expertWidth = try reader.count("moe_intermediate_size", default: 768, limit: 1 << 22)
    guard experts.used <= experts.count else {
      throw reader.refused("num_experts_per_tok", "wants no more than the \(experts.count) experts")
    }
  }

  init(_ reader: GGUFMetadataReader) throws(CheckpointError) {
    decoder = try GGUFDecoder(reader, .plain)
    let count = try reader.count("expert_count", limit: GGUFExperts.limit)
    experts = GGUFExperts(count: count, used: try reader.count("expert_used_count", limit: count))
    expertWidth = try reader.count(
      "expert_feed_forward_length", default: max(1, decoder.hidden / experts.used), limit: 1 << 22)
  }

  var configuration: JSONObject {
    var json = decoder.configuration("qwen3_moe", "Qwen3MoeForCausalLM")
    json["attention_bias"] = false
    json["use_sliding_window"] = false
    json["num_experts"] = .integer(Int64(experts.count))
    json["num_experts_per_tok"] = .integer(Int64(experts.used))
    json["moe_intermediate_size"] = .integer(Int64(expertWidth))
    json["norm_topk_prob"] = true
    json["decoder_sparse_step"] = 1
    json["mlp_only_layers"] = []
    return json
  }

  var tensorMap: GGUFTensorMap {
    var map = decoder.tensorMap
    map.addAttention()
    map.addHeadNorms()
    map.add(["mlp.gate": "ffn_gate_inp"])
    map.addExperts(experts.count)
    return map
  }

  func write(to metadata: inout GGUFMetadata, fileType: UInt32) {
    decoder.write(to: &metadata, Self.name, experts: experts, fileType: fileType)
    metadata["qwen3moe.expert_feed_forward_length"] = .uint32(UInt32(clamping: expertWidth))
    decoder.writeVocabulary(to: &metadata, Self.name)
  }
}

extension GGUFTensorMap {
  /// Experts under `mlp.experts`.
  mutating func addExperts(_ count: Int) {
    experts = Experts(
      scope: "mlp.experts", projections: ["gate_proj": "ffn_gate_exps", "down_proj": "ffn_down_exps", "up_proj": "ffn_up_exps"],
      count: count)
  }
}
