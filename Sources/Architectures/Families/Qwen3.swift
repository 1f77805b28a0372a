import ModelGraph
import StructuredData
import Tensors

/// Qwen 3 (dense): RMS norms on every query and key head, no biases unless the configuration asks for them (Yang et al. 2025).
struct Qwen3: Architecture {
  static let modelTypes = ["qwen3"]
  let decoder: DecoderTransformer

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    var decoder = try DecoderTransformer(family: "qwen3", &reader, headDimension: 128)
    decoder.headNorms = true
    decoder.queryKeyValueBias = try reader.flag("attention_bias", default: false)
    decoder.outputBias = decoder.queryKeyValueBias
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
