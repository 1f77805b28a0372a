import Diagnostics
import Formats
import ModelGraph
import StructuredData
import Tensors

/// The config.json of an output, and what goes with it.
struct OutputConfiguration {
  let json: JSONValue
  /// What a user should know of the runtimes that load it.
  var caveats: [String] = []
  /// Files beside config.json that say how the weights are read.
  var files: [(name: String, content: JSONValue)] = []
  /// What the weights are written by when they go to KerasHub; nil for any other format.
  var keras: KerasPreset?

  /// What is written.
  struct Subject {
    let model: ModelBundle
    let graph: ModelGraph
    let layout: OutputLayout

    /// The modules whose weights are codes.
    var quantized: [(name: String, scheme: QuantizationScheme, shape: Shape)] {
      layout.entries.compactMap { entry in
        if case .quantized(let scheme) = entry.storage { (entry.module, scheme, entry.shape) } else { nil }
      }
    }

    /// The linear layers whose weights are none, as loaders count them.
    var dense: [String] {
      var dense: [String] = []
      for block in graph.blocks {
        for (node, weight) in graph.linears(of: block) {
          // A tied head is a layer of its own to loaders, whatever its weight is stored as.
          if case .quantized? = layout.parameters[weight]?.storage, graph[weight].module == node.scope { continue }
          dense.append(node.scope)
        }
      }
      // Layers that the graph does not run are layers to loaders all the same.
      for entry in layout.extras where entry.shape.rank == 2 && entry.name.hasSuffix(".weight") {
        if case .dense = entry.storage { dense.append(entry.module) }
      }
      return dense
    }
  }

  init(json: JSONValue, caveats: [String] = [], files: [(name: String, content: JSONValue)] = [], keras: KerasPreset? = nil) {
    (self.json, self.caveats, self.files, self.keras) = (json, caveats, files, keras)
  }

  init(model: ModelBundle, graph: ModelGraph, layout: OutputLayout) throws {
    self = try layout.encoding.configuration(
      Self.settings(of: model, as: graph), of: Subject(model: model, graph: graph, layout: layout))
  }

  /// The model's own config.json as passes leave it, without what it says of how its weights are quantized.
  /// - Parameter graph: what passes made of the model.
  static func settings(of model: ModelBundle, as graph: ModelGraph) -> JSONObject {
    var object = model.configuration.object ?? [:]
    object.removeQuantization()
    if !model.graph.sharedParameters.isEmpty, graph.sharedParameters.isEmpty {
      // A pass gave the head a weight of its own.
      object["tie_word_embeddings"] = false
    }
    return object
  }
}

extension JSONObject {
  /// Takes out of a config.json what says how weights were quantized: what is written from values that were read is not.
  mutating func removeQuantization() {
    for key in ["quantization_config", "compression_config", "quantization"] { self[key] = Optional.none }
  }
}
