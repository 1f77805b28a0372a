import Compression
import ModelGraph
import Reporting
import Tensors

extension CompressionReport.Experts {
  /// Counts the experts of a model that was written; nil for a model without.
  init?(of graph: ModelGraph, _ records: [PassRecord]) {
    let routers = graph.routers
    guard !routers.isEmpty else { return nil }
    struct Place: Hashable { let routing: ValueID, expert: Int }
    struct Expert { var isQuantized = true, tokens: Int?, isScarce = false }
    var layers: [String: PassRecord.Layer] = [:]
    for layer in records.flatMap(\.layers) { layers[layer.module] = layer }
    var experts: [Place: Expert] = [:]
    for (node, weight) in graph.blocks.flatMap({ graph.linears(of: $0) }) {
      guard let route = graph.expert(of: node) else { continue }
      let place = Place(routing: route.routing, expert: route.expert)
      var expert = experts[place] ?? Expert()
      if !graph[weight].isQuantized { expert.isQuantized = false }
      if let tokens = layers[node.scope]?.calibrationTokens {
        expert.tokens = min(expert.tokens ?? tokens, tokens)
        if layers[node.scope]?.isScarce == true { expert.isScarce = true }
      }
      experts[place] = expert
    }
    self.init(layers: routers.count, experts: experts.count, quantized: experts.values.count(where: \.isQuantized))
    let tokens = experts.values.compactMap(\.tokens).sorted()
    guard !tokens.isEmpty else { return }
    unreached = tokens.count { $0 == 0 }
    scarce = experts.values.count { ($0.tokens ?? 0) > 0 && $0.isScarce }
    calibrated = experts.values.count { ($0.tokens ?? 0) > 0 && !$0.isScarce }
    (leastTokens, medianTokens) = (tokens[0], tokens[tokens.count / 2])
  }

  /// What a reader has to know of experts that were not treated like the others.
  var warnings: [String] {
    var warnings: [String] = []
    if let unreached, unreached > 0 {
      warnings.append(
        "\(unreached) experts were reached by no token of the calibration text: they are calibrated by their layers; give more of it with --calibration-samples"
      )
    }
    if let quantized, quantized > 0, quantized < experts {
      warnings.append(
        "\(experts - quantized) of \(experts) experts are not quantized as a whole: --ignore or --override names some of their layers")
    }
    return warnings
  }
}
