import ModelGraph
import StructuredData
import Tensors

/// Qwen 2 and 2.5, and DeepSeek-R1-Distill-Qwen: biases on queries, keys and values (Yang et al. 2024).
struct Qwen2: Architecture {
  static let modelTypes = ["qwen2"]
  let decoder: DecoderTransformer

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    var decoder = try DecoderTransformer(family: "qwen2", &reader)
    decoder.queryKeyValueBias = true
    let layers = try QwenLayers(&reader, layers: decoder.layers)
    decoder.slidingWindow = layers.window
    decoder.isSliding = layers.isSliding
    self.decoder = decoder
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph { try decoder.graph(over: weights) }

  static func configuration(_ configuration: JSONObject, with windows: AttentionWindows) -> JSONObject? {
    configuration.withQwenWindows(windows)
  }
}
