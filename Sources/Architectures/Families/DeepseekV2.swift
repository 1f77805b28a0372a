import ModelGraph
import Tensors

/// DeepSeek-V2, V2-Lite and V2.5 (DeepSeek-AI 2024): latent attention; experts chosen by softmax, from the best groups where there are any.
struct DeepseekV2: Architecture {
  static let modelTypes = ["deepseek_v2"]
  let decoder: DecoderTransformer

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    var decoder = try DecoderTransformer(deepseek: "deepseek_v2", &reader, scoring: .softmax)
    decoder.mixture?.sharedBias = decoder.mlpBias
    if try reader.flag("norm_topk_prob", default: false) {
      throw ConfigurationError(
        "\(reader.file): norm_topk_prob", "is true, which implementations of DeepSeek-V2 do not agree on", remedy: "use false")
    }
    let method = try reader.text("topk_method") ?? "greedy"
    let (count, kept) = (try reader.count("n_group", default: 1), try reader.count("topk_group", default: 1))
    guard ["greedy", "group_limited_greedy"].contains(method) else {
      throw ConfigurationError(
        "\(reader.file): topk_method", "\"\(method)\" is not supported", remedy: "use greedy or group_limited_greedy")
    }
    if var routing = decoder.mixture?.routing {
      if method == "group_limited_greedy" { routing.groups = .init(count: count, kept: kept, rank: .best) }
      decoder.mixture?.routing = try reader.checked(routing)
    }
    self.decoder = decoder
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph { try decoder.graph(over: weights) }
}
