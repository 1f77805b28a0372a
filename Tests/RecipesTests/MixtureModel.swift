import DeepSeekOptimize
import Foundation

/// A small random DeepSeek-V3 as a checkpoint: a dense layer, then experts of which one is never chosen, and a layer for predicting several tokens
/// that the graph does not have.
enum MixtureModel {
  static let unchosen = 5
  static let experts = 8
  static let layers = 3

  /// - Parameter factors: of weights, by the end of their names.
  static func write(to directory: URL, factors: [String: Float] = [:]) throws {
    let demo = try ModelBundle(opening: "demo")
    let configuration: JSONValue = [
      "model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "dtype": "float32",
      "vocab_size": .integer(Int64(demo.graph.vocabularySize)),
      "hidden_size": 64, "intermediate_size": 96, "moe_intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
      "num_key_value_heads": 4, "q_lora_rank": 32, "kv_lora_rank": 32, "qk_nope_head_dim": 12, "qk_rope_head_dim": 4, "v_head_dim": 16,
      "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 2, "norm_topk_prob": true,
      "routed_scaling_factor": 1.5, "first_k_dense_replace": 1, "max_position_embeddings": 512, "rms_norm_eps": 0.000001,
      "rope_theta": 10000, "hidden_act": "silu", "tie_word_embeddings": false, "num_nextn_predict_layers": 1,
    ]
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try Data(configuration.text().utf8).write(to: directory.appendingPathComponent("config.json"))
    for file in ["tokenizer.json", "tokenizer_config.json"] {
      try FileManager.default.copyItem(
        at: demo.directory.appendingPathComponent(file), to: directory.appendingPathComponent(file))
    }
    let tensors = shapes(vocabulary: demo.graph.vocabularySize).sorted { $0.key < $1.key }.map { name, shape in
      TensorDescriptor(name: name, dataType: .float32, shape: shape)
    }
    let writer = try SafeTensorsWriter(directory: directory, tensors: tensors)
    for tensor in tensors {
      let factor = factors.first { tensor.name.hasSuffix($0.key) }?.value ?? 1
      try writer.write(tensor.name, Tensor((values(tensor).float32Values() ?? []).map { factor * $0 }, shape: tensor.shape))
    }
    try writer.finish()
  }

  private static func shapes(vocabulary: Int) -> [String: Shape] {
    var shapes: [String: Shape] = [
      "model.embed_tokens.weight": [vocabulary, 64], "lm_head.weight": [vocabulary, 64], "model.norm.weight": [64],
      "model.layers.3.eh_proj.weight": [64, 128], "model.layers.3.enorm.weight": [64],
    ]
    func mlp(_ scope: String, _ width: Int) {
      shapes["\(scope).gate_proj.weight"] = [width, 64]
      shapes["\(scope).up_proj.weight"] = [width, 64]
      shapes["\(scope).down_proj.weight"] = [64, width]
    }
    for layer in 0..<layers {
      let scope = "model.layers.\(layer)"
      for norm in ["input_layernorm", "post_attention_layernorm"] { shapes["\(scope).\(norm).weight"] = [64] }
      let attention: [(String, Shape)] = [
        ("q_a_proj", [32, 64]), ("q_a_layernorm", [32]), ("q_b_proj", [64, 32]), ("kv_a_proj_with_mqa", [36, 64]), ("kv_a_layernorm", [32]),
        ("kv_b_proj", [112, 32]), ("o_proj", [64, 64]),
      ]
      for (name, shape) in attention { shapes["\(scope).self_attn.\(name).weight"] = shape }
      if layer == 0 {
        mlp(scope + ".mlp", 96)
        continue
      }
      shapes["\(scope).mlp.gate.weight"] = [experts, 64]
      shapes["\(scope).mlp.gate.e_score_correction_bias"] = [experts]
      mlp(scope + ".mlp.shared_experts", 32)
      for expert in 0..<experts { mlp("\(scope).mlp.experts.\(expert)", 32) }
    }
    return shapes
  }

  private static func values(_ tensor: TensorDescriptor) -> Tensor {
    let seed = tensor.name.utf8.reduce(UInt64(7)) { $0 &* 31 &+ UInt64($1) }
    let values = (0..<tensor.shape.elementCount).map { index in
      let unit = Float(SeededRandom.value(seed: seed, index: UInt64(index)) >> 40) / Float(1 << 24) - 0.5
      if tensor.name.hasSuffix("correction_bias") { return index == unchosen ? -100 : 0.1 * unit }
      return tensor.name.contains("norm") ? 1 + unit : 0.6 * unit
    }
    return Tensor(values, shape: tensor.shape)
  }
}
