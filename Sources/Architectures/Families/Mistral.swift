import ModelGraph
import StructuredData
import Tensors

/// Mistral 7B and its successors: Llama's graph with a sliding window in every layer when the configuration gives one (Jiang et al. 2023). Where
/// there are `layer_types`, as of Ministral, these say which layers have it.
struct Mistral: Architecture {
  static let modelTypes = ["mistral", "ministral"]
  let decoder: DecoderTransformer

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    let type = try reader.text("model_type") ?? "mistral"
    var decoder = try DecoderTransformer(family: type, &reader)
    decoder.slidingWindow = try reader.slidingWindow(default: 4096)
    if let isSliding = try reader.slidingLayers(count: decoder.layers) { decoder.isSliding = isSliding }
    self.decoder = decoder
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph { try decoder.graph(over: weights) }

  static func configuration(_ configuration: JSONObject, with windows: AttentionWindows) -> JSONObject? {
    configuration.withMistralWindows(windows, from: false)
  }
}
