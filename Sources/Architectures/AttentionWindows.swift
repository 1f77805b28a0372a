import ModelGraph
import StructuredData

/// The sliding windows of a decoder's layers, for families to write into a configuration.
public struct AttentionWindows: Sendable, Hashable {
  /// By layer; nil for one that sees everything.
  public let layers: [Int?]

  /// The one size that all windows have; nil where there are none, or of several sizes.
  public var size: Int? {
    let sizes = Set(layers.compactMap { $0 })
    return sizes.count == 1 ? sizes.first : nil
  }

  public var isEmpty: Bool { layers.allSatisfy { $0 == nil } }
  /// Whether every layer has the same window.
  public var isUniform: Bool { size != nil && layers.allSatisfy { $0 != nil } }

  /// As `layer_types` has it.
  var types: JSONValue { .array(layers.map { $0 == nil ? "full_attention" : "sliding_attention" }) }

  /// No window in any of as many layers.
  var without: AttentionWindows { AttentionWindows(layers: layers.map { _ in nil }) }
}

extension JSONObject {
  /// With the windows of Qwen's configurations; nil for windows of several sizes.
  func withQwenWindows(_ windows: AttentionWindows) -> JSONObject? {
    guard windows.isEmpty || windows.size != nil else { return nil }
    var result = self
    result["use_sliding_window"] = .bool(!windows.isEmpty)
    result["sliding_window"] = windows.size.map { .integer(Int64($0)) } ?? .null
    result["layer_types"] = windows.types
    result["max_window_layers"] = .integer(Int64(windows.layers.firstIndex { $0 != nil } ?? windows.layers.count))
    return result
  }

  /// Llama's graph with windows under the names that loaders know it by: `mistral` where every layer has one, `ministral` where some have.
  /// Nil for windows of several sizes, and where layers have biases, which those do not.
  func withMistralWindows(_ windows: AttentionWindows, from llama: Bool) -> JSONObject? {
    guard let size = windows.size else { return !windows.isEmpty ? nil : llama ? self : withoutMistralWindows }
    for key in ["attention_bias", "mlp_bias"] where self[key]?.bool ?? false { return nil }
    var result = self
    // Loaders of Mistral take other defaults than Llama's for what is not said.
    for (key, value) in [("num_key_value_heads", self["num_attention_heads"] ?? 32), ("max_position_embeddings", 2048)]
    where llama && (self[key] ?? .null).isNull {
      result[key] = value
    }
    if (self["head_dim"] ?? .null).isNull, let width = self["hidden_size"]?.integer, let heads = self["num_attention_heads"]?.integer,
      heads > 0
    {
      result["head_dim"] = .integer(Int64(width / heads))
    }
    for key in ["attention_bias", "mlp_bias", "pretraining_tp"] { result[key] = nil }
    let isMixed = !windows.isUniform || self["model_type"]?.string == "ministral"
    result["model_type"] = isMixed ? "ministral" : "mistral"
    result["architectures"] = [isMixed ? "MinistralForCausalLM" : "MistralForCausalLM"]
    result["sliding_window"] = .integer(Int64(size))
    // A mistral with layer_types is taken for a ministral, even where they are null.
    result["layer_types"] = nil
    if isMixed { result["layer_types"] = windows.types }
    return result
  }

  /// The name is that of Mistral: loaders of Ministral do not do without a window.
  private var withoutMistralWindows: JSONObject {
    var result = self
    result["model_type"] = "mistral"
    result["architectures"] = ["MistralForCausalLM"]
    result["sliding_window"] = .null
    result["layer_types"] = nil
    return result
  }

  /// With one window for all layers, or none; nil for anything else.
  func withOneWindow(_ windows: AttentionWindows, flag: String? = nil) -> JSONObject? {
    guard windows.isEmpty || windows.isUniform else { return nil }
    var result = self
    if let flag { result[flag] = .bool(!windows.isEmpty) }
    result["sliding_window"] = windows.size.map { .integer(Int64($0)) } ?? .null
    return result
  }
}
