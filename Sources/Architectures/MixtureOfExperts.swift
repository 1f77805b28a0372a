import ModelGraph

/// A router, the experts that it sends tokens to, and those that all tokens share.
struct MixtureOfExperts: Sendable {
  var routing: Routing
  /// Channels of an expert.
  var width: Int
  /// The module under a layer that holds all of it.
  var scope = "mlp"
  var expertNames = GatedMLP.Names()
  /// Whether the router adds `e_score_correction_bias` when it chooses (DeepSeek-V3).
  var isCorrected = false
  /// Channels of the experts that every token goes to, which lie in one MLP; 0 for none.
  var sharedWidth = 0
  /// Biases of the shared experts' layers.
  var sharedBias = false

  /// - Parameter layer: the layer's module path.
  func build(
    _ x: ValueID, _ layer: String, _ activation: Activation, _ builder: inout GraphBuilder
  ) throws(GraphError) -> ValueID {
    let module = "\(layer).\(scope)"
    let scores = try builder.linear(x, module + ".gate", outputs: routing.experts, role: .router)
    let expert = GatedMLP(width: width, place: .expert, names: expertNames)
    let routed = try builder.experts(
      x, scores: scores, routing, correction: isCorrected ? module + ".gate.e_score_correction_bias" : nil, scope: module + ".experts"
    ) { index, rows, builder throws(GraphError) in
      try expert.build(rows, "\(module).experts.\(index)", activation, &builder)
    }
    guard sharedWidth > 0 else { return routed }
    let shared = GatedMLP(width: sharedWidth, place: .sharedExpert, bias: sharedBias)
    return builder.add(routed, try shared.build(x, module + ".shared_experts", activation, &builder), scope: module)
  }
}

extension ConfigurationReader {
  /// The number of experts, by either of the names that configurations have for it.
  mutating func experts(_ names: String...) throws(ConfigurationError) -> Int {
    for name in names where value(name) != nil { return try count(name, limit: 1 << 16) }
    throw ConfigurationError("\(file): \(names[0])", "is missing")
  }

  /// A routing whose numbers fit together.
  func checked(_ routing: Routing) throws(ConfigurationError) -> Routing {
    guard routing.isConsistent else {
      throw ConfigurationError(
        file,
        "\(routing.experts) experts"
          + (routing.groups.map { " in \($0.count) groups, of which \($0.kept) are kept," } ?? "")
          + " do not give every token \(routing.selected)")
    }
    return routing
  }
}
