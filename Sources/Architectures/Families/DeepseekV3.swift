import ModelGraph
import Tensors

/// DeepSeek-V3 and R1 (DeepSeek-AI 2024): latent attention; experts scored by sigmoids, chosen with a correction that balances their load, from
/// the groups whose two best experts are best. Layers for predicting several tokens stay in the checkpoint and are not run.
struct DeepseekV3: Architecture {
  static let modelTypes = ["deepseek_v3"]
  let decoder: DecoderTransformer

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    var decoder = try DecoderTransformer(deepseek: "deepseek_v3", &reader, scoring: .sigmoid)
    decoder.latentAttention?.isInterleaved = try reader.flag("rope_interleave", default: true)
    let normalized = try reader.flag("norm_topk_prob", default: true)
    if let method = try reader.text("topk_method"), method != "noaux_tc" {
      throw ConfigurationError("\(reader.file): topk_method", "\"\(method)\" is not supported", remedy: "use noaux_tc")
    }
    let (count, kept) = (try reader.count("n_group", default: 1), try reader.count("topk_group", default: 1))
    if var routing = decoder.mixture?.routing {
      routing.normalized = normalized
      routing.groups = .init(count: count, kept: kept, rank: .bestTwo)
      decoder.mixture?.routing = try reader.checked(routing)
      decoder.mixture?.isCorrected = true
    }
    for unused in ["num_nextn_predict_layers", "num_mtp_layers"] { _ = reader.value(unused) }
    self.decoder = decoder
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph { try decoder.graph(over: weights) }
}
