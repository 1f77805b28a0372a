import DeepSeekOptimize

/// The shapes that speed is measured on.
struct ModelSize {
  var hidden, intermediate, layers, heads, keyValueHeads: Int
  let vocabulary = 32000

  static let named = [
    // 0.49 G parameters, 984 MB.
    "half": ModelSize(hidden: 2048, intermediate: 5632, layers: 8, heads: 16, keyValueHeads: 4),
    // Layers as Llama 2 7B has them: 2.08 G parameters, 4.17 GB.
    "four": ModelSize(hidden: 4096, intermediate: 11008, layers: 9, heads: 32, keyValueHeads: 32),
  ]

  var configuration: String {
    """
    {
      "architectures": ["LlamaForCausalLM"],
      "model_type": "llama",
      "hidden_act": "silu",
      "hidden_size": \(hidden),
      "intermediate_size": \(intermediate),
      "num_hidden_layers": \(layers),
      "num_attention_heads": \(heads),
      "num_key_value_heads": \(keyValueHeads),
      "max_position_embeddings": 4096,
      "rms_norm_eps": 1e-05,
      "rope_theta": 10000.0,
      "tie_word_embeddings": false,
      "torch_dtype": "bfloat16",
      "vocab_size": \(vocabulary)
    }

    """
  }

  var tensors: [TensorDescriptor] {
    let keyValues = hidden / heads * keyValueHeads
    func matrix(_ name: String, _ rows: Int, _ columns: Int) -> TensorDescriptor {
      TensorDescriptor(name: name, dataType: .bfloat16, shape: Shape([rows, columns]))
    }
    func gain(_ name: String) -> TensorDescriptor { TensorDescriptor(name: name, dataType: .bfloat16, shape: Shape([hidden])) }
    var all = [matrix("model.embed_tokens.weight", vocabulary, hidden)]
    for layer in 0..<layers {
      let prefix = "model.layers.\(layer)"
      all += [
        gain("\(prefix).input_layernorm.weight"), matrix("\(prefix).self_attn.q_proj.weight", hidden, hidden),
        matrix("\(prefix).self_attn.k_proj.weight", keyValues, hidden), matrix("\(prefix).self_attn.v_proj.weight", keyValues, hidden),
        matrix("\(prefix).self_attn.o_proj.weight", hidden, hidden), gain("\(prefix).post_attention_layernorm.weight"),
        matrix("\(prefix).mlp.gate_proj.weight", intermediate, hidden), matrix("\(prefix).mlp.up_proj.weight", intermediate, hidden),
        matrix("\(prefix).mlp.down_proj.weight", hidden, intermediate),
      ]
    }
    return all + [gain("model.norm.weight"), matrix("lm_head.weight", vocabulary, hidden)]
  }
}
