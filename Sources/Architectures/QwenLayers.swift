import StructuredData

/// Which layers of a Qwen model attend within a window: `layer_types` when given, else all from `max_window_layers` on.
struct QwenLayers {
  let window: Int?
  let isSliding: @Sendable (Int) -> Bool

  /// What loaders take for a `max_window_layers` that is not there.
  private static let usualFirstLayer = 28

  init(_ reader: inout ConfigurationReader, layers: Int) throws(ConfigurationError) {
    let uses = try reader.flag("use_sliding_window", default: false)
    let first = reader.value("max_window_layers")?.integer ?? (uses ? Self.usualFirstLayer : layers)
    let size = try reader.slidingWindow(default: uses ? 4096 : nil)
    window = uses ? size : nil
    isSliding = try reader.slidingLayers(count: layers) ?? { $0 >= first }
  }
}

extension ConfigurationReader {
  /// Which layers `layer_types` says to attend within the window; nil where it is not there.
  mutating func slidingLayers(count layers: Int) throws(ConfigurationError) -> (@Sendable (Int) -> Bool)? {
    guard let types = value("layer_types") else { return nil }
    guard let names = types.array?.map({ $0.string ?? "" }), names.count == layers,
      names.allSatisfy({ $0 == "full_attention" || $0 == "sliding_attention" })
    else {
      throw ConfigurationError(
        "\(file): layer_types", "is not a list of \(layers) times full_attention or sliding_attention")
    }
    return { names[$0] == "sliding_attention" }
  }

  /// The window under `sliding_window`; nil for null.
  /// - Parameter fallback: what loaders of the family take where the key is not there at all.
  mutating func slidingWindow(default fallback: Int?) throws(ConfigurationError) -> Int? {
    guard holds("sliding_window") else { return fallback }
    return value("sliding_window") == nil ? nil : try count("sliding_window")
  }
}
