import Diagnostics
import StructuredData

extension MLXConfiguration {
  /// The families that mlx-lm 0.32 and this package both know, by `model_type`.
  private static let modelTypes = ["llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "mixtral", "deepseek_v2", "deepseek_v3"]

  /// A model's config.json as mlx-lm reads it: with the older names of what newer transformers write under others.
  /// - Throws: of kind `usage` for a family that mlx-lm does not have.
  public static func model(_ configuration: JSONObject) throws(CheckpointError) -> JSONObject {
    var object = configuration
    try checkFamily(configuration)
    if let rope = configuration["rope_parameters"]?.object {
      if object["rope_theta"] == nil, let theta = rope["rope_theta"] { object["rope_theta"] = theta }
      let kind = (rope["rope_type"] ?? rope["type"])?.string ?? "default"
      if object["rope_scaling"] == nil || object["rope_scaling"]?.isNull == true, kind != "default" {
        var scaling = rope
        scaling["rope_theta"] = Optional.none
        // mlx-lm looks for either name.
        scaling["type"] = .string(kind)
        scaling["rope_type"] = .string(kind)
        object["rope_scaling"] = .object(scaling)
      }
    }
    if configuration["model_type"]?.string == "deepseek_v2", object["rope_scaling"]?.object == nil,
      let positions = configuration["max_position_embeddings"]
    {
      // mlx-lm's DeepSeek-V2 wants YaRN; stretched by 1 it is no scaling.
      object["rope_scaling"] = ["type": "yarn", "rope_type": "yarn", "factor": 1.0, "original_max_position_embeddings": positions]
    }
    let isQwenMixture = configuration["model_type"]?.string == "qwen3_moe"
    if isQwenMixture, object["num_experts"] == nil { object["num_experts"] = object["num_local_experts"] }
    return object
  }

  /// Also before any weight is placed.
  public static func checkFamily(_ configuration: JSONObject) throws(CheckpointError) {
    let type = configuration["model_type"]?.string ?? "none"
    guard modelTypes.contains(type) else {
      throw CheckpointError(
        kind: .usage, subject: "--format mlx", problem: "mlx-lm has no models of the type \(CheckpointError.shortened(type))",
        remedy: "use --format compressed-tensors, or safetensors for dequantized weights")
    }
  }

  /// Whether mlx-lm changes the projection out of the latents, `kv_b_proj`, as it loads it: of DeepSeek-V3 it is cut into halves, of which one is
  /// transposed, and codes would be found anew.
  public static func changesLatentProjection(of modelType: String?) -> Bool { modelType == "deepseek_v3" }
}
