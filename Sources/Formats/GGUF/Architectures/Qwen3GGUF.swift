import Diagnostics
import StructuredData

/// `qwen3`: norms on every query and key head, no biases.
struct Qwen3GGUF: GGUFArchitecture {
  static let name = "qwen3"
  static let modelTypes = ["qwen3"]

  private let decoder: GGUFDecoder

  init(_ reader: GGUFConfigurationReader) throws(CheckpointError) {
    decoder = try GGUFDecoder(reader, headWidth: 128, .plain)
    try decoder.checkQwenWindow(reader)
    try decoder.checkNoAttentionBias(reader)
  }

  init(_ reader: GGUFMetadataReader) throws(CheckpointError) {
    decoder = try GGUFDecoder(reader, .plain)
  }

  var configuration: JSONObject {
    var json = decoder.configuration("qwen3", "Qwen3ForCausalLM")
    json["attention_bias"] = false
    json["use_sliding_window"] = false
    return json
  }

  var tensorMap: GGUFTensorMap {
    var map = decoder.tensorMap
    map.addAttention()
    map.addHeadNorms()
    map.addMLP()
    return map
  }

  func write(to metadata: inout GGUFMetadata, fileType: UInt32) {
    decoder.write(to: &metadata, Self.name, fileType: fileType)
    decoder.writeVocabulary(to: &metadata, Self.name)
  }
}

extension GGUFDecoder {
  func checkNoAttentionBias(_ reader: GGUFConfigurationReader) throws(CheckpointError) {
    guard try reader.flag("attention_bias", default: false) else { return }
    throw reader.refused("attention_bias", "has no biases for attention in this architecture")
  }
}

extension GGUFTensorMap {
  mutating func addHeadNorms() { add(["self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"]) }
}
