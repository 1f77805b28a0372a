import Tensors

extension ModelGraph {
  /// The same model with some units of some dimensions only. Parameters are read through a source that picks what is kept.
  /// - Parameters:
  ///   - kept: the units to keep, rising, by dimension, at least one; the others keep all.
  ///   - source: where the smaller parameters are read; made from what is to be picked of each.
  /// - Throws: for units that there are not, or when the rest does not fit together.
  package func keeping(
    _ kept: [(dimension: ChannelDimension, units: [Int])],
    readFrom makeSource: ([(parameter: Parameter, picks: AxisPicks)]) -> any WeightSource
  ) throws(GraphError) -> ModelGraph {
    var masks: [ParameterID: [Int: [Bool]]] = [:]
    var removed: [ValueID: [(start: Int, features: Int)]] = [:]
    var heads: [ValueID: (kept: Int, of: Int)] = [:]
    for (dimension, units) in kept {
      guard !units.isEmpty, zip(units, units.dropFirst()).allSatisfy(<), units.allSatisfy({ (0..<dimension.units).contains($0) }) else {
        throw GraphError(
          tensor: "\(dimension.kind.rawValue) of block \(dimension.block ?? 0)", "cannot keep these of its \(dimension.units) units")
      }
      let stays = Set(units)
      for member in dimension.members {
        // What of the axis is another dimension's is that one's to take away.
        var mask = masks[member.parameter]?[member.axis] ?? Array(repeating: true, count: self[member.parameter].shape[member.axis])
        for unit in 0..<dimension.units where !stays.contains(unit) {
          for feature in 0..<member.unitWidth { mask[member.start + unit * member.unitWidth + feature] = false }
        }
        masks[member.parameter, default: [:]][member.axis] = mask
      }
      for (value, extent) in dimension.values {
        removed[value, default: []].append((extent.start, (dimension.units - units.count) * extent.unitWidth))
        if dimension.kind == .heads { heads[value] = (units.count, dimension.units) }
      }
    }
    let picks = masks.mapValues { axes in
      AxisPicks(
        rows: axes[0].map { mask in mask.indices.filter { mask[$0] } }, columns: axes[1].map { mask in mask.indices.filter { mask[$0] } })
    }
    let widths = removed.reduce(into: [ValueID: Int]()) { widths, entry in
      widths[entry.key] = (self[entry.key].width ?? 0) - entry.value.reduce(0) { $0 + $1.features }
    }
    var result = self
    let source = makeSource(picks.keys.sorted { $0.index < $1.index }.map { (self[$0], picks[$0] ?? AxisPicks()) })
    for (id, pick) in picks {
      var dimensions = self[id].shape.dimensions
      if let rows = pick.rows { dimensions[0] = rows.count }
      if let columns = pick.columns { dimensions[1] = columns.count }
      result.parameters[id.index].shape = Shape(dimensions)
      result.parameters[id.index].storage = .stored(in: source)
    }
    for (value, width) in widths { result.valueTypes[value.index] = self[value].resized(width) }
    result.nodes = nodes.map { node in
      Node(
        operation: node.operation.resized(
          widths[node.output], heads: heads[node.output], inputWidth: node.inputs.first.flatMap { widths[$0] },
          removed: node.inputs.first.flatMap { removed[$0] } ?? []), inputs: node.inputs, output: node.output,
        parameters: node.parameters, scope: node.scope)
    }
    result.isRewritten = true
    try result.verify()
    return result
  }
}

/// What is picked of a parameter along each of its axes; nil for all.
package struct AxisPicks: Sendable {
  package var rows: [Int]?
  package var columns: [Int]?

  package init(rows: [Int]? = nil, columns: [Int]? = nil) { (self.rows, self.columns) = (rows, columns) }
}

extension Operation {
  /// The operation where its output has become as wide, with `heads.kept` of every `heads.of` heads.
  /// - Parameters:
  ///   - inputWidth: of the first input, where that has changed.
  ///   - removed: what that has lost, by the place where the dimension starts.
  fileprivate func resized(
    _ width: Int?, heads: (kept: Int, of: Int)?, inputWidth: Int?, removed: [(start: Int, features: Int)]
  ) -> Operation {
    switch self {
    case .rmsNorm(let epsilon, _):
      // A norm of heads keeps its run; one of the whole row is as wide as the row.
      guard let width, heads == nil else { return self }
      return .rmsNorm(epsilon: epsilon, width: width)
    case .rotary(var rotary):
      guard let heads else { return self }
      rotary.heads = rotary.heads / heads.of * heads.kept
      return .rotary(rotary)
    case .attention(var attention):
      guard let heads else { return self }
      attention.queryHeads = attention.queryHeads / heads.of * heads.kept
      attention.keyValueHeads = attention.keyValueHeads / heads.of * heads.kept
      return .attention(attention)
    case .slice(var slice):
      if let heads { slice.heads = slice.heads / heads.of * heads.kept }
      guard slice.heads == 1, heads == nil else { return .slice(slice) }
      slice.start -= removed.reduce(0) { $1.start < slice.start ? $0 + $1.features : $0 }
      (slice.width, slice.count) = (inputWidth ?? slice.width, width ?? slice.count)
      return .slice(slice)
    case .joinHeads(var join):
      if let heads { join.heads = join.heads / heads.of * heads.kept }
      return .joinHeads(join)
    case .embedding, .linear, .layerNorm, .dynamicTanh, .addRow, .activation, .gatedActivation, .add, .scale, .magnitude, .route, .dispatch,
      .combine, .latentAttention:
      return self
    }
  }
}
