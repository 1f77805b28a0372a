import StructuredData

/// Which layers of a Qwen model attend within a window: `layer_types` when given, else all from `max_window_layers` on.
struct QwenLayers {
  let window: Int?
  let isSliding: @Sendable (Int) -> Bool

  init(_ reader: inout ConfigurationReader, layers: Int) throws(ConfigurationError) {
    let uses = try reader.flag("use_sliding_window", default: false)
    let hasWindow = reader.value("sliding_window") != nil
    let first = reader.value("max_window_layers")?.integer ?? layers
    let size = hasWindow ? try reader.count("sliding_window") : nil
    window = uses ? size : nil
    guard let types = reader.value("layer_types") else {
      isSliding = { $0 >= first }
      return
    }
    guard let names = types.array?.map({ $0.string ?? "" }), names.count == layers,
      names.allSatisfy({ $0 == "full_attention" || $0 == "sliding_attention" })
    else {
      throw ConfigurationError(
        "\(reader.file): layer_types", "is not a list of \(layers) times full_attention or sliding_attention")
    }
    isSliding = { names[$0] == "sliding_attention" }
  }
}
