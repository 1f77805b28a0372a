import DeepSeekOptimize
import Foundation

/// A small random Llama whose rows are as long as superblocks ask.
enum RandomLlama {
  static func write(to directory: URL) throws {
    let demo = try ModelBundle(opening: "demo")
    let vocabulary = demo.graph.vocabularySize
    let configuration: JSONValue = [
      "model_type": "llama", "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "vocab_size": .integer(Int64(vocabulary)),
      "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4,
      "max_position_embeddings": 256, "rms_norm_eps": 0.00001, "rope_theta": 10000, "hidden_act": "silu", "tie_word_embeddings": true,
    ]
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try Data(configuration.text().utf8).write(to: directory.appendingPathComponent("config.json"))
    for file in ["tokenizer.json", "tokenizer_config.json"] {
      try FileManager.default.copyItem(
        at: demo.directory.appendingPathComponent(file), to: directory.appendingPathComponent(file))
    }
    var shapes: [String: Shape] = ["model.embed_tokens.weight": [vocabulary, 256], "model.norm.weight": [256]]
    for layer in 0..<2 {
      let scope = "model.layers.\(layer)"
      for norm in ["input_layernorm", "post_attention_layernorm"] { shapes["\(scope).\(norm).weight"] = [256] }
      for (name, rows) in [("q", 256), ("k", 128), ("v", 128), ("o", 256)] {
        shapes["\(scope).self_attn.\(name)_proj.weight"] = [rows, 256]
      }
      for name in ["gate", "up"] { shapes["\(scope).mlp.\(name)_proj.weight"] = [512, 256] }
      shapes["\(scope).mlp.down_proj.weight"] = [256, 512]
    }
    let tensors = shapes.sorted { $0.key < $1.key }.map { TensorDescriptor(name: $0, dataType: .bfloat16, shape: $1) }
    let writer = try SafeTensorsWriter(directory: directory, tensors: tensors)
    var state: UInt64 = 7
    for tensor in tensors {
      let values = (0..<tensor.shape.elementCount).map { _ -> Float in
        // Sums of uniform numbers: round in the middle, as weights are.
        let parts = (0..<4).map { _ -> Float in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return Float(state >> 40) / Float(1 << 24) - 0.5
        }
        // The last norm's gains are what a rotation moves into the head.
        if tensor.name == "model.norm.weight" { return 1 + parts.reduce(0, +) * 0.4 }
        return tensor.shape.rank == 1 ? 1 : parts.reduce(0, +) * 0.1
      }
      guard let stored = Tensor(values, shape: tensor.shape).converted(to: .bfloat16) else { continue }
      try writer.write(tensor.name, stored)
    }
    try writer.finish()
  }
}
