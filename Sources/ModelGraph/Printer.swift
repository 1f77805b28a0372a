import Tensors

extension ModelGraph: CustomStringConvertible {
  /// The graph as text: one line a node, blocks as headings, parameters with role, shape and storage.
  public var description: String {
    var lines = ["graph \(family) { vocabulary \(vocabularySize), positions \(maximumPositions), parameters \(parameterCount) }"]
    for block in blocks {
      lines.append("\(block.name):")
      for node in nodes[block.nodes] { lines.append("  " + text(of: node)) }
    }
    lines.append("return %\(output.index)")
    return lines.joined(separator: "\n")
  }

  private func text(of node: Node) -> String {
    let width =
      switch self[node.output] {
      case .tokens: "tokens"
      case .features(let width): "[tokens, \(width)]"
      case .routing: "routing"
      case .routed(let width, let routing, let expert): "[%\(routing.index) to \(expert), \(width)]"
      }
    var line =
      "%\(node.output.index): \(width) = \(node.operation.name)(" + node.inputs.map { "%\($0.index)" }.joined(separator: ", ") + ")"
    if let detail = node.operation.detail { line += " {\(detail)}" }
    for id in node.parameters {
      let parameter = self[id]
      line += " @\(parameter.name)<\(parameter.role.rawValue) \(parameter.shape) \(storageName(parameter))>"
    }
    return node.parameters.isEmpty ? line + " # \(node.scope)" : line
  }

  private func storageName(_ parameter: Parameter) -> String {
    switch parameter.weightStorage {
    case .dense(let type): type.rawValue
    case .quantized(let scheme): scheme.name
    case nil: "missing"
    }
  }
}

extension Operation {
  fileprivate var detail: String? {
    switch self {
    case .embedding, .linear, .add, .magnitude, .combine, .dynamicTanh: nil
    case .slice(let slice):
      "features \(slice.start)..<\(slice.start + slice.count) of \(slice.width)" + (slice.heads > 1 ? ", heads \(slice.heads)" : "")
    case .joinHeads(let join): "heads \(join.heads) of \(join.left) + \(join.right)" + (join.sharesRight ? ", the right one shared" : "")
    case .route(let routing): routing.detail
    case .dispatch(let expert): "expert \(expert)"
    case .scale(let factor): "factor \(factor)"
    case .layerNorm(let epsilon): "epsilon \(epsilon)"
    case .addRow(.position): "row of the position"
    case .addRow(.constant(let row)): "row \(row)"
    case .activation(let activation): activation.rawValue
    case .rmsNorm(let epsilon, let width): "epsilon \(epsilon), width \(width)"
    case .rotary(let rotary):
      "heads \(rotary.heads) of \(rotary.headDimension), turning \(rotary.rotaryDimension)\(rotary.offset > 0 ? " from \(rotary.offset)" : "")\(rotary.interleaved ? " interleaved" : ""), base \(rotary.base), scaling \(rotary.scaling.detail)"
    case .attention(let attention):
      "heads \(attention.queryHeads)/\(attention.keyValueHeads) of \(attention.headDimension), scale \(attention.scale)"
        + (attention.slidingWindow.map { ", window \($0)" } ?? "")
        + (attention.selection.map { ", \($0.count) of the blocks of \($0.block)" } ?? "") + (attention.isCausal ? "" : ", whole sequences")
    case .latentAttention(let heads):
      "heads \(heads.count) of \(heads.plainDimension) + \(heads.rotaryDimension), values of \(heads.valueDimension), rank \(heads.rank), scale \(heads.scale)"
        + (heads.slidingWindow.map { ", window \($0)" } ?? "")
    case .gatedActivation(let activation): activation.rawValue
    }
  }
}

extension Routing {
  fileprivate var detail: String {
    var parts = ["\(selected) of \(experts)", scoring.rawValue]
    if let groups { parts.append("\(groups.kept) of \(groups.count) groups by \(groups.rank.rawValue)") }
    if normalized { parts.append("normalized") }
    if scale != 1 { parts.append("scale \(scale)") }
    return parts.joined(separator: ", ")
  }
}

extension RotaryScaling {
  fileprivate var detail: String {
    switch self {
    case .none: "none"
    case .linear(let factor): "linear \(factor)"
    case .llama3(let factor, let low, let high, let context): "llama3 \(factor) (\(low), \(high)) from \(context)"
    case .yarn(let yarn): "yarn \(yarn.factor) from \(yarn.originalContext)"
    }
  }
}
