import ModelGraph
import Tensors

/// Mistral 7B and its successors: Llama's graph with a sliding window in every layer when the configuration gives one (Jiang et al. 2023).
struct Mistral: Architecture {
  static let modelTypes = ["mistral"]
  let decoder: DecoderTransformer

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) {
    var decoder = try DecoderTransformer(family: "mistral", &reader)
    if reader.value("sliding_window") != nil { decoder.slidingWindow = try reader.count("sliding_window") }
    self.decoder = decoder
  }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph { try decoder.graph(over: weights) }
}
