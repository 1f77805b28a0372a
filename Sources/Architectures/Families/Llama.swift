import ModelGraph
import StructuredData
import Tensors

/// Llama 1 to 3, and what shares its graph: DeepSeek-LLM, DeepSeek-R1-Distill-Llama (Touvron et al. 2023, Dubey et al. 2024).
struct Llama: Architecture {
  static let modelTypes = ["llama"]
  let decoder: DecoderTransformer

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    var decoder = try DecoderTransformer(family: "llama", &reader)
    decoder.queryKeyValueBias = try reader.flag("attention_bias", default: false)
    decoder.outputBias = decoder.queryKeyValueBias
    decoder.mlpBias = try reader.flag("mlp_bias", default: false)
    self.decoder = decoder
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph { try decoder.graph(over: weights) }

  static func configuration(_ configuration: JSONObject, with windows: AttentionWindows) -> JSONObject? {
    configuration.withMistralWindows(windows, from: true)
  }
}
