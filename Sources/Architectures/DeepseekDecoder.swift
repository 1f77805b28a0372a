import ModelGraph
import StructuredData

extension DecoderTransformer {
  /// What DeepSeek-V2 and V3 share: latent attention, dense layers first, experts behind them beside shared ones.
  /// - Parameter scoring: what the family's router makes weights with, unless the configuration names another.
  init(
    deepseek family: String, _ reader: inout ConfigurationReader, scoring: Routing.Scoring
  ) throws(ConfigurationError) {
    try self.init(family: family, &reader)
    latentAttention = try LatentAttention(&reader)
    mlpBias = try reader.flag("mlp_bias", default: false)
    let dense = reader.value("first_k_dense_replace")?.integer ?? 0
    guard try reader.count("moe_layer_freq", default: 1) == 1 else {
      throw ConfigurationError("\(reader.file): moe_layer_freq", "other than 1 is not supported: no loader agrees with another on it")
    }
    isSparse = { $0 >= dense }
    guard reader.value("n_routed_experts") != nil || reader.value("num_local_experts") != nil else {
      isSparse = { _ in false }
      return
    }
    let experts = try reader.experts("n_routed_experts", "num_local_experts", "num_experts")
    if let named = try reader.text("scoring_func"), named != scoring.rawValue {
      throw ConfigurationError(
        "\(reader.file): scoring_func", "\"\(named)\" is not what \(family) computes", remedy: "use \(scoring.rawValue)")
    }
    let width = try reader.count("moe_intermediate_size", limit: 1 << 22)
    let shared = reader.value("n_shared_experts")?.integer == 0 ? 0 : try reader.count("n_shared_experts", default: 1, limit: 1 << 16)
    let routing = Routing(
      experts: experts, selected: try reader.count("num_experts_per_tok", limit: 1 << 16), scoring: scoring, normalized: false,
      scale: Float(try reader.number("routed_scaling_factor", default: 1)))
    mixture = MixtureOfExperts(routing: routing, width: width, sharedWidth: width * shared)
  }
}
