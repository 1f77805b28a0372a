/// Multi-head latent attention without its keys and values: it keeps the latents that they are made of, each with the rotary key that all heads
/// share (DeepSeek-V2 2024, section 2.1.2).
public struct LatentHeads: Sendable, Hashable {
  public var count: Int
  /// Features of a latent.
  public var rank: Int
  /// Features of a query head that do not turn, which stand first in it, and those that do.
  public var plainDimension: Int
  public var rotaryDimension: Int
  /// Features of one value head.
  public var valueDimension: Int
  /// What scores are multiplied by before the softmax.
  public var scale: Float
  /// A query sees this many last tokens, itself included; nil for all of them.
  public var slidingWindow: Int?

  public init(
    count: Int, rank: Int, plainDimension: Int, rotaryDimension: Int, valueDimension: Int, scale: Float, slidingWindow: Int? = nil
  ) {
    (self.count, self.rank, self.scale, self.slidingWindow) = (count, rank, scale, slidingWindow)
    (self.plainDimension, self.rotaryDimension, self.valueDimension) = (plainDimension, rotaryDimension, valueDimension)
  }

  /// Features of one query head.
  public var queryDimension: Int { plainDimension + rotaryDimension }
  /// Rows of the weight that one head has: those that make its key, then those that make its value.
  public var rowsPerHead: Int { plainDimension + valueDimension }
  /// What is kept of a token.
  public var keptFeatures: Int { rank + rotaryDimension }

  /// The same attention over keys and values of its own for every head.
  public var expanded: Attention {
    Attention(
      queryHeads: count, keyValueHeads: count, headDimension: queryDimension, valueDimension: valueDimension, scale: scale,
      slidingWindow: slidingWindow)
  }
  /// Where keys, and values, lie in what the weight makes of latents.
  public var plainKeys: HeadSlice { HeadSlice(heads: count, width: rowsPerHead, start: 0, count: plainDimension) }
  public var values: HeadSlice { HeadSlice(heads: count, width: rowsPerHead, start: plainDimension, count: valueDimension) }
  public var keys: HeadJoin { HeadJoin(heads: count, left: plainDimension, right: rotaryDimension, sharesRight: true) }

  var isConsistent: Bool {
    count > 0 && rank > 0 && plainDimension > 0 && rotaryDimension > 0 && valueDimension > 0 && (slidingWindow ?? 1) > 0
  }
}

extension ModelGraph {
  /// The model as it decodes: where nothing but attention reads the keys and values that are made of a latent, one operation takes the place of
  /// making them and attending, so that a cache has to hold latents only. Values keep their ids and parameters stay.
  ///
  /// For running only: passes, gradients and writers work on the graph that this was made of. Layers where something stands in between (an
  /// adapter beside the projection, a choice of blocks by their mean keys) stay as they are.
  package func absorbingLatentAttention() -> ModelGraph {
    guard nodes.contains(where: { if case .joinHeads = $0.operation { true } else { false } }) else { return self }
    var result = self
    result.nodes = []
    result.blocks = []
    for block in blocks {
      let first = result.nodes.count
      result.nodes += absorbingLatentAttention(in: nodes[block.nodes])
      result.blocks.append(Block(kind: block.kind, name: block.name, nodes: first..<result.nodes.count))
    }
    return result
  }

  private func absorbingLatentAttention(in nodes: ArraySlice<Node>) -> [Node] {
    var producers: [ValueID: Node] = [:]
    var readers: [ValueID: Int] = [:]
    for node in nodes {
      producers[node.output] = node
      for value in node.inputs { readers[value, default: 0] += 1 }
    }
    var replaced: [ValueID: Node] = [:]
    var dropped = Set<ValueID>()
    for node in nodes {
      guard let parts = LatentParts(node, producers, in: self), parts.areRead(only: readers) else { continue }
      replaced[node.output] = Node(
        operation: .latentAttention(parts.heads), inputs: [node.inputs[0], parts.expansion.inputs[0], parts.keys.inputs[1]],
        output: node.output, parameters: parts.expansion.parameters, scope: node.scope)
      dropped.formUnion([parts.expansion.output, parts.plain.output, parts.values.output, parts.keys.output])
    }
    return nodes.compactMap { dropped.contains($0.output) ? nil : replaced[$0.output] ?? $0 }
  }
}

/// The nodes between a latent and attention, as multi-head latent attention has them.
private struct LatentParts {
  let heads: LatentHeads
  let expansion, plain, values, keys: Node

  init?(_ node: Node, _ producers: [ValueID: Node], in graph: ModelGraph) {
    guard case .attention(let attention) = node.operation, attention.isCausal, attention.selection == nil,
      let keys = producers[node.inputs[1]], case .joinHeads(let join) = keys.operation, join.sharesRight,
      let values = producers[node.inputs[2]], case .slice(let valueSlice) = values.operation,
      let plain = producers[keys.inputs[0]], case .slice(let plainSlice) = plain.operation,
      plain.inputs == values.inputs, let expansion = producers[plain.inputs[0]], case .linear = expansion.operation,
      let rank = graph[expansion.inputs[0]].width
    else { return nil }
    (self.expansion, self.plain, self.values, self.keys) = (expansion, plain, values, keys)
    // A projection that was cut otherwise does not fit these.
    heads = LatentHeads(
      count: join.heads, rank: rank, plainDimension: join.left, rotaryDimension: join.right, valueDimension: valueSlice.count,
      scale: attention.scale, slidingWindow: attention.slidingWindow)
    guard heads.expanded == attention, heads.plainKeys == plainSlice, heads.values == valueSlice else { return nil }
  }

  /// Whether nothing else needs what they compute.
  func areRead(only readers: [ValueID: Int]) -> Bool {
    readers[expansion.output] == 2 && [plain, values, keys].allSatisfy { readers[$0.output] == 1 }
  }
}
