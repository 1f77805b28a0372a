import ModelGraph
import StructuredData
import Tensors

/// Mixtral (Jiang et al. 2024): Mistral's attention, and experts in every layer, with weights that add up to one.
struct Mixtral: Architecture {
  static let modelTypes = ["mixtral"]
  let decoder: DecoderTransformer

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    var decoder = try DecoderTransformer(family: "mixtral", &reader)
    if reader.value("sliding_window") != nil { decoder.slidingWindow = try reader.count("sliding_window") }
    let routing = Routing(
      experts: try reader.experts("num_local_experts", "num_experts"),
      selected: try reader.count("num_experts_per_tok", default: 2, limit: 1 << 16), normalized: true)
    decoder.mixture = MixtureOfExperts(
      routing: try reader.checked(routing), width: decoder.intermediateSize, scope: "block_sparse_moe",
      expertNames: .init(gate: "w1", up: "w3", down: "w2"))
    self.decoder = decoder
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph { try decoder.graph(over: weights) }

  static func configuration(_ configuration: JSONObject, with windows: AttentionWindows) -> JSONObject? {
    configuration.withOneWindow(windows)
  }
}
