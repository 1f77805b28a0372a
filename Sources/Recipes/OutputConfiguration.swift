import Diagnostics
import Formats
import ModelGraph
import StructuredData
import Tensors

/// The config.json of an output.
struct OutputConfiguration {
  let json: JSONValue
  /// What a user should know of the runtimes that load it.
  let caveats: [String]
  /// What the weights are written by when they go to KerasHub; nil for any other format.
  let keras: KerasPreset?

  /// Files beside config.json that say how the weights are read.
  var files: [(name: String, content: JSONValue)] { keras?.files ?? [] }

  init(model: ModelBundle, graph: ModelGraph, layout: OutputLayout) throws {
    var object = model.configuration.object ?? [:]
    object.removeQuantization()
    if !model.graph.sharedParameters.isEmpty, graph.sharedParameters.isEmpty {
      // A pass gave the head a weight of its own.
      object["tie_word_embeddings"] = false
    }
    var modules: [CompressedTensorsConfiguration.Module] = []
    for entry in layout.entries {
      guard case .quantized(let scheme) = entry.storage else { continue }
      let name = CompressedTensorsEncoding.moduleName(ofParameter: entry.name)
      let format = try CompressedTensorsFormat.format(
        for: scheme, inputs: entry.shape[1], isExpert: CompressedTensorsEncoding.isExpert(name))
      modules.append(CompressedTensorsConfiguration.Module(name: name, scheme: scheme, format: format))
    }
    if layout.format == .keras {
      // What is neither vector nor code has the model's type.
      let types = layout.entries.compactMap { if case .dense(let type) = $0.storage { type } else { nil } }
      guard Set(types).count <= 1 else {
        throw RecipeError(
          "--format keras",
          "wants one type for all weights that are not quantized; the model has \(Set(types).map(\.rawValue).sorted().joined(separator: ", "))",
          remedy: "use --format hdf5, which keeps each", kind: .usage)
      }
      let preset = try KerasPreset(
        configuration: .object(object), className: (model.checkpoint as? KerasCheckpoint)?.className, dataType: types.first ?? .float32,
        quantized: modules.map(\.name))
      (json, caveats, keras) = (preset.configuration, [], preset)
      return
    }
    keras = nil
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
      if case .dense = entry.storage { dense.append(CompressedTensorsEncoding.moduleName(ofParameter: entry.name)) }
    }
    if modules.isEmpty {
      caveats = []
      if layout.format == .safetensors, layout.entries.contains(where: { $0.storage == .dense(.float32) }) {
        // Loaders cast weights to the type named here.
        object["dtype"] = "float32"
        if object["torch_dtype"] != nil { object["torch_dtype"] = "float32" }
      }
    } else {
      let configuration = try CompressedTensorsConfiguration(modules: modules, dense: dense)
      object["quantization_config"] = configuration.json(tool: ["name": .string(Tool.name), "version": .string(Tool.version)])
      caveats = configuration.caveats
    }
    json = .object(object)
  }
}

extension JSONObject {
  /// Takes out of a config.json what says how weights were quantized: what is written from values that were read is not.
  mutating func removeQuantization() {
    self["quantization_config"] = Optional.none
    self["compression_config"] = Optional.none
  }
}
