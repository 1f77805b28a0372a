import ModelGraph

/// In what form keys and values wait for later tokens.
public enum KeyValueQuantization: String, Sendable, Hashable, Codable, CaseIterable {
  /// float32, as they were computed.
  case none
  /// Symmetric int8 with a float32 scale per token and head: scale = absmax / 127, code = round(x / scale).
  case int8
}

extension KeyValueQuantization {
  /// What one token takes in the caches of all layers, scales included.
  public func bytesPerToken(of graph: ModelGraph) -> Int {
    graph.nodes.reduce(0) { sum, node in
      guard case .attention(let attention) = node.operation else { return sum }
      let features = attention.keyValueHeads * (attention.headDimension + attention.valueDimension)
      switch self {
      case .none: return sum + features * MemoryLayout<Float>.stride
      case .int8: return sum + features + 2 * attention.keyValueHeads * MemoryLayout<Float>.stride
      }
    }
  }
}
