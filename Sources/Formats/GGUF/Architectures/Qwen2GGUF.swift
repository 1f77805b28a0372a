import Diagnostics
import StructuredData

/// `qwen2`: Qwen 2 and 2.5 with their biases on queries, keys and values; attention without windows.
struct Qwen2GGUF: GGUFArchitecture {
  static let name = "qwen2"
  static let modelTypes = ["qwen2"]

  private let decoder: GGUFDecoder

  init(_ reader: GGUFConfigurationReader) throws(CheckpointError) {
    decoder = try GGUFDecoder(reader, .plain)
    try decoder.checkHeadsFillWidth(reader)
    try decoder.checkQwenWindow(reader)
  }

  init(_ reader: GGUFMetadataReader) throws(CheckpointError) {
    decoder = try GGUFDecoder(reader, .plain)
  }

  var configuration: JSONObject {
    var json = decoder.configuration("qwen2", "Qwen2ForCausalLM")
    json["use_sliding_window"] = false
    return json
  }

  var tensorMap: GGUFTensorMap {
    var map = decoder.tensorMap
    map.addAttention(["weight", "bias"])
    map.addMLP()
    return map
  }

  func write(to metadata: inout GGUFMetadata, fileType: UInt32) {
    decoder.write(to: &metadata, Self.name, fileType: fileType)
    decoder.writeVocabulary(to: &metadata, Self.name)
  }
}

extension GGUFDecoder {
  /// Checks that no layer of a Qwen model attends within a window.
  func checkQwenWindow(_ reader: GGUFConfigurationReader) throws(CheckpointError) {
    guard try reader.flag("use_sliding_window", default: false) else { return }
    let isNull = reader.holds("sliding_window") && reader.value("sliding_window") == nil
    let types = reader.value("layer_types")?.array?.map(\.string)
    let first = reader.value("max_window_layers")?.integer ?? 28
    guard types?.contains("sliding_attention") ?? (first < layers) else { return }
    try checkWindow(isNull ? nil : reader.count("sliding_window", default: 4096), reader)
  }

  /// The keys that readers find elsewhere where they are missing.
  func writeVocabulary(to metadata: inout GGUFMetadata, _ architecture: String) {
    metadata["\(architecture).vocab_size"] = .uint32(UInt32(clamping: vocabulary))
    metadata["\(architecture).rope.dimension_count"] = .uint32(UInt32(clamping: headWidth))
  }
}
