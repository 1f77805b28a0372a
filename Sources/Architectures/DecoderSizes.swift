import ModelGraph
import StructuredData
import Tensors

/// The sizes of a decoder as config.json tells them, found in a graph: what pruning has changed.
struct DecoderSizes {
  private var found: [String: Int] = [:]
  /// The layers without experts, among those that are left.
  private var denseLayers: [Int] = []

  /// - Parameter configuration: what the model was before.
  /// - Throws: for sizes that differ between layers, which no config.json can tell.
  init(of graph: ModelGraph, _ configuration: JSONObject) throws(GraphError) {
    let isLatent = graph.parameters.contains { $0.role == .attentionKeyValueUp }
    // Mixtral has one name for the width of all; others may leave their experts' own to a default.
    let isShared =
      configuration["moe_intermediate_size"] == nil && configuration["num_local_experts"] != nil && configuration["num_experts"] == nil
    let expertWidth = isShared ? "intermediate_size" : "moe_intermediate_size"
    let expertCounts = ["n_routed_experts", "num_experts", "num_local_experts"].filter { configuration[$0] != nil }
    for node in graph.nodes {
      let width = graph[node.output].width ?? 0
      switch node.operation {
      case .embedding: try note("hidden_size", width, node)
      case .attention(let attention):
        try note("num_attention_heads", attention.queryHeads, node)
        guard graph.purpose == .languageModel else {
          // Loaders of encoders find the width of a head by division.
          try note("hidden_size", attention.queryHeads * attention.headDimension, node)
          continue
        }
        try note("num_key_value_heads", attention.keyValueHeads, node)
        // Latent attention has a head_dim for loaders that is none of these.
        if !isLatent { try note("head_dim", attention.headDimension, node) }
      case .linear:
        guard let weight = node.parameters.first else { continue }
        switch graph[weight].role {
        case .mlpGate, .mlpUp: try note("intermediate_size", width, node)
        case .expertGate: try note(expertWidth, width, node)
        case .sharedExpertGate: try note(expertWidth, width / max(1, configuration["n_shared_experts"]?.integer ?? 1), node)
        case .router: for key in expertCounts { try note(key, width, node) }
        case .attentionQueryDown: try note("q_lora_rank", width, node)
        case .attentionKeyValueUp: try note("kv_lora_rank", graph[weight].shape[1], node)
        default: break
        }
      default: break
      }
    }
    let sparse = Set(graph.routers.map(\.block))
    denseLayers = graph.layerBlocks.enumerated().filter { !sparse.contains($0.element) }.map(\.offset)
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
      if let own = configuration[ReplacedModules.key]?.object, let entries = own["attention"]?.array {
        var renewed = own
        renewed["attention"] = .array(
          entries.map { entry in
            var entry = entry.object ?? [:]
            let numbers = entry["layers"]?.array?.compactMap(\.integer) ?? []
            entry["layers"] = .array(numbers.compactMap { layers.firstIndex(of: $0) }.map { .integer(Int64($0)) })
            return .object(entry)
          })
        result[ReplacedModules.key] = .object(renewed)
      }
      if let first = configuration["max_window_layers"]?.integer {
        result["max_window_layers"] = .integer(Int64(layers.count { $0 < first }))
      }
      if configuration["first_k_dense_replace"] != nil { result["first_k_dense_replace"] = .integer(Int64(denseLayers.count)) }
      if configuration["mlp_only_layers"] != nil || configuration["decoder_sparse_step"] != nil {
        // The layers that are left need not come at every so many any more.
        result["mlp_only_layers"] = .array(denseLayers.map { .integer(Int64($0)) })
        result["decoder_sparse_step"] = 1
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
    let object = configuration.object ?? [:]
    return .object(try DecoderSizes(of: graph, object).written(into: object, keeping: layers))
  }
}
