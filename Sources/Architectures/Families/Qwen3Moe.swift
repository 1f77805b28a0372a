import ModelGraph
import StructuredData
import Tensors

/// Qwen 3 with experts (Yang et al. 2025): Qwen 3's attention; softmax routing; experts in every layer that `decoder_sparse_step` reaches and
/// `mlp_only_layers` does not name.
struct Qwen3Moe: Architecture {
  static let modelTypes = ["qwen3_moe"]
  let decoder: DecoderTransformer

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    var decoder = try DecoderTransformer(family: "qwen3_moe", &reader)
    decoder.headNorms = true
    decoder.queryKeyValueBias = try reader.flag("attention_bias", default: false)
    decoder.outputBias = decoder.queryKeyValueBias
    if try reader.flag("use_sliding_window", default: false) { decoder.slidingWindow = try reader.slidingWindow(default: 4096) }
    for unused in ["sliding_window", "max_window_layers"] { _ = reader.value(unused) }
    let step = try reader.count("decoder_sparse_step", default: 1)
    let dense = Set(reader.value("mlp_only_layers")?.array?.compactMap(\.integer) ?? [])
    decoder.isSparse = { !dense.contains($0) && ($0 + 1) % step == 0 }
    let routing = Routing(
      experts: try reader.experts("num_experts", "num_local_experts"),
      selected: try reader.count("num_experts_per_tok", default: 8, limit: 1 << 16),
      normalized: try reader.flag("norm_topk_prob", default: false))
    decoder.mixture = MixtureOfExperts(
      routing: try reader.checked(routing), width: try reader.count("moe_intermediate_size", default: 768, limit: 1 << 22))
    self.decoder = decoder
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph { try decoder.graph(over: weights) }

  static func configuration(_ configuration: JSONObject, with windows: AttentionWindows) -> JSONObject? {
    configuration.withOneWindow(windows, flag: "use_sliding_window")
  }
}
