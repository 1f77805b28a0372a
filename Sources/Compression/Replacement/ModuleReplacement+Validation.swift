import Diagnostics
import ModelGraph

extension ModuleReplacement {
  public func validate(for graph: ModelGraph) throws(CompressionError) {
    try require(
      attention != .keep || activation != .keep || normalization != .keep || mergeExperts != 0, "attention", "replaces nothing",
      "give --attention, --activation, --normalization or --merge-experts")
    try validateAttention(for: graph)
    try require(
      normalization == .keep || graph.streamNormalizations == [.rmsNorm], "normalization",
      "cannot become \(normalization.rawValue): the model has no RMS norms on its residual stream", "leave --normalization out")
    try require(
      activation == .keep || graph.nodes.contains { $0.operation.activation.map { $0 != activation.activation } ?? false }, "activation",
      "is \(activation.rawValue) already", "leave --activation out")
    try validateExperts(for: graph)
    if let parameter = graph.parameters.first(where: \.isQuantized) {
      throw CompressionError(
        parameter.name, "is quantized: replace modules before quantizing", remedy: "start from the unquantized model", kind: .usage)
    }
  }

  private func validateAttention(for graph: ModelGraph) throws(CompressionError) {
    try require(attention == .slidingWindow || window == 0, "window", "is for sliding-window attention", "give --attention sliding-window")
    try require(attention == .topTokens || tokens == 0, "tokens", "is for top-tokens attention", "give --attention top-tokens")
    try require(attention != .keep || layers.isEmpty, "layers", "says where attention is replaced, which it is not", "give --attention")
    guard attention != .keep else { return }
    try require(
      graph.purpose == .languageModel, "attention", "of an encoder sees whole sequences, which none of these do", "leave --attention out")
    try require(
      attentionLayers(of: graph) != nil, "layers", "\"\(layers)\" is no list of layers from 0 to \(graph.layerBlocks.count - 1)",
      "write it as 0-3,5")
    switch attention {
    case .keep, .global: break
    case .slidingWindow: try require((1...1 << 28).contains(window), "window", "\(window) is not from 1 to \(1 << 28)", "give --window N")
    case .topTokens:
      try require((1...65_536).contains(block), "block", "\(block) is not from 1 to 65536")
      try require(
        tokens > 0 && tokens % block == 0 && BlockSelection(block: block, count: tokens / block).isConsistent, "tokens",
        "\(tokens) is no multiple of the \(block) tokens of a block, or more than \(BlockSelection.limit) blocks",
        "give --tokens N, or another --block")
    }
    guard let reach else { return }
    let chosen = Set(attentionLayers(of: graph) ?? [])
    var differs = false
    for (index, block) in graph.layerBlocks.enumerated() where chosen.contains(index) {
      for node in graph.nodes[graph.blocks[block].nodes] {
        if case .attention(let attention) = node.operation, attention.reach != reach { differs = true }
      }
    }
    try require(differs, "attention", "is \(reach.text) in these layers already", "leave --attention out")
  }

  private func validateExperts(for graph: ModelGraph) throws(CompressionError) {
    guard mergeExperts != 0 else { return }
    try require(!graph.routers.isEmpty, "merge-experts", "has nothing to merge: the model has no experts", "leave --merge-experts out")
    for router in graph.routers {
      let routing = router.routing
      try require(
        (1..<routing.experts).contains(mergeExperts), "merge-experts",
        "\(mergeExperts) is not from 1 to below the \(routing.experts) experts that there are")
      let groups = routing.groups?.count ?? 1
      try require(
        mergeExperts % groups == 0, "merge-experts", "\(mergeExperts) is no multiple of the \(groups) groups that experts come in")
      var smaller = routing
      smaller.experts = mergeExperts
      try require(
        smaller.isConsistent, "merge-experts", "\(mergeExperts) are too few: every token goes to \(routing.selected) of them",
        "leave more")
    }
  }

  private func require(
    _ holds: Bool, _ option: String, _ problem: String, _ remedy: String = ""
  ) throws(CompressionError) {
    guard holds else { throw CompressionError("\(Self.identifier): \(option)", problem, remedy: remedy, kind: .usage) }
  }
}

extension Operation {
  /// What an MLP's node is activated by.
  fileprivate var activation: Activation? {
    switch self {
    case .activation(let activation), .gatedActivation(let activation): activation
    default: nil
    }
  }
}
