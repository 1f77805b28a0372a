import ModelGraph

/// In what form keys and values wait for later tokens.
public enum KeyValueQuantization: String, Sendable, Hashable, Codable, CaseIterable {
  /// float32, as they were computed.
  case none
  /// Symmetric int8 with a float32 scale per token and head: scale = absmax / 127, code = round(x / scale). Of latents (DeepSeek-V2) groups of
  /// features have a scale each, and so has the rotary key.
  case int8
}

extension KeyValueQuantization {
  /// What one token takes in the caches of all layers as the model decodes, scales included.
  public func bytesPerToken(of graph: ModelGraph) -> Int {
    graph.absorbingLatentAttention().nodes.reduce(0) { sum, node in
      switch node.operation {
      case .attention(let attention):
        let features = attention.keyValueHeads * (attention.headDimension + attention.valueDimension)
        return sum + bytes(features: features, scales: 2 * attention.keyValueHeads)
      case .latentAttention(let heads): return sum + bytes(features: heads.keptFeatures, scales: scales(of: heads))
      default: return sum
      }
    }
  }

  private func bytes(features: Int, scales: Int) -> Int {
    switch self {
    case .none: features * MemoryLayout<Float>.stride
    case .int8: features + scales * MemoryLayout<Float>.stride
    }
  }
}
