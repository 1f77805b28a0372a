/// A place that a parameter of the model has in a GGUF file.
public struct GGUFPlacement: Sendable, Hashable {
  /// The tensor's name in the file: `blk.0.attn_q.weight`.
  public let tensor: String
  public let transform: GGUFTransform

  /// Whether readers take the tensor as float32 alone: norms, biases, routers, and an encoder's positions and token types.
  public var requiresFloat32: Bool { Self.requiresFloat32(tensor) }

  static func requiresFloat32(_ tensor: String) -> Bool {
    guard tensor.hasSuffix(".weight") else { return true }
    return ["_norm.weight", "ffn_gate_inp.weight", "position_embd.weight", "token_types.weight", "rope_freqs.weight"]
      .contains { tensor.hasSuffix($0) }
  }
}

/// A parameter of the model that a tensor of a GGUF file holds, or holds a part of.
public struct GGUFOrigin: Sendable, Hashable {
  /// The parameter's name in the model: `model.layers.0.self_attn.q_proj.weight`.
  public let parameter: String
  /// How it lies in the tensor.
  public let transform: GGUFTransform
}

/// A float32 tensor that a file needs and no parameter of the model gives.
public struct GGUFSynthesizedTensor: Sendable, Hashable {
  public let name: String
  public let values: [Float]
}
