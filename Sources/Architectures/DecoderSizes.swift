import ModelGraph
import StructuredData

/// The sizes of a decoder as config.json tells them, found in a graph: what pruning has changed.
struct DecoderSizes {
  private var found: [String: Int] = [:]

  /// - Throws: for sizes that differ between layers, which no config.json can tell.
  init(of graph: ModelGraph) throws(GraphError) {
    for node in graph.nodes {
      switch node.operation {
      case .embedding: try note("hidden_size", graph[node.output].width ?? 0, node)
      case .attention(let attention):
        try note("num_attention_heads", attention.queryHeads, node)
        try note("num_key_value_heads", attention.keyValueHeads, node)
        try note("head_dim", attention.headDimension, node)
      case .gatedActivation: try note("intermediate_size", graph[node.output].width ?? 0, node)
      default: break
      }
    }
  }

  private mutating func note(_ key: String, _ size: Int, _ node: Node) throws(GraphError) {
    guard found.updateValue(size, forKey: key).map({ $0 == size }) ?? true else {
      throw GraphError(
        tensor: node.scope, "has another \(key) than the layers before it, which no config.json can say",
        remedy: "remove as many channels of every layer")
    }
  }

  /// A configuration with these sizes; what else it says stays.
  /// - Parameter layers: those that are left of the configuration's; nil for all.
  func written(into configuration: JSONObject, keeping layers: [Int]?) -> JSONObject {
    var result = configuration
    if let layers {
      result["num_hidden_layers"] = .integer(Int64(layers.count))
      // What is said layer by layer goes with the layer.
      if let types = configuration["layer_types"]?.array {
        result["layer_types"] = .array(layers.compactMap { types.indices.contains($0) ? types[$0] : nil })
      }
      if let first = configuration["max_window_layers"]?.integer {
        result["max_window_layers"] = .integer(Int64(layers.count { $0 < first }))
      }
    }
    for (key, size) in found.sorted(by: { $0.key < $1.key }) { result[key] = .integer(Int64(size)) }
    return result
  }
}

extension ArchitectureCatalog {
  /// The configuration of a model whose sizes were changed.
  /// - Parameter layers: the numbers of the layers that are left; nil for all.
  public static func configuration(
    _ configuration: JSONValue, resizedTo graph: ModelGraph, keeping layers: [Int]? = nil
  ) throws(GraphError) -> JSONValue {
    .object(try DecoderSizes(of: graph).written(into: configuration.object ?? [:], keeping: layers))
  }
}
