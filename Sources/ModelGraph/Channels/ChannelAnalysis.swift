import Tensors

/// Finds out which axes of parameters and values are one dimension, by what each operation does with its features. It names no family and no layer.
struct ChannelAnalysis {
  /// An axis of a parameter, or the features of a value; or those of them that start at a place, where the axis is cut into several dimensions.
  private enum Axis: Hashable {
    case parameter(ParameterID, Int, from: Int? = nil)
    case value(ValueID, from: Int? = nil)
  }

  private let graph: ModelGraph
  private var indices: [Axis: Int] = [:]
  private var axes: [Axis] = []
  private var parents: [Int] = []
  /// Features of each axis.
  private var widths: [Int] = []
  /// Units of the dimension that a root stands for.
  private var units: [Int] = []
  private var kinds: [Int: ChannelDimension.Kind] = [:]
  /// Dimensions that something depends on as a whole: the vocabulary, features that are used one by one.
  private var fixed: [Int] = []
  /// The parts that values are cut into: the first feature of each, and its features.
  private var parts: [ValueID: [Int: Int]] = [:]
  /// The block that computes a value.
  private let blockOf: [ValueID: Int]
  /// The same of what computes them.
  private var partsOfRows: [ParameterID: [Int: Int]] = [:]

  init(_ graph: ModelGraph) throws(GraphError) {
    self.graph = graph
    blockOf = Dictionary(
      graph.blocks.enumerated().flatMap { index, block in graph.nodes[block.nodes].map { ($0.output, index) } }
    ) { first, _ in first }
    findParts()
    for node in graph.nodes { try relate(node) }
  }

  /// Outputs of linear layers that nothing reads but slices, which share nothing and leave nothing out.
  private mutating func findParts() {
    var slices: [ValueID: [HeadSlice]] = [:]
    var others: Set<ValueID> = []
    for node in graph.nodes {
      if case .slice(let slice) = node.operation, slice.heads == 1 {
        slices[node.inputs[0], default: []].append(slice)
      } else {
        others.formUnion(node.inputs)
      }
    }
    for node in graph.nodes {
      guard case .linear = node.operation, let found = slices[node.output], !others.contains(node.output) else { continue }
      let sorted = found.sorted { $0.start < $1.start }
      var end = 0
      for slice in sorted { end = slice.start == end ? slice.start + slice.count : -1 }
      if end == graph[node.output].width { parts[node.output] = Dictionary(uniqueKeysWithValues: sorted.map { ($0.start, $0.count) }) }
    }
  }

  private mutating func index(_ axis: Axis) -> Int {
    if let known = indices[axis] { return known }
    let width =
      switch axis {
      case .parameter(let id, let position, nil): graph[id].shape[position]
      case .value(let id, nil): graph[id].width ?? 0
      case .parameter(let id, _, let start?): partsOfRows[id]?[start] ?? 0
      case .value(let id, let start?): parts[id]?[start] ?? 0
      }
    let index = axes.count
    indices[axis] = index
    axes.append(axis)
    parents.append(index)
    widths.append(width)
    units.append(width)
    return index
  }

  private mutating func root(_ index: Int) -> Int {
    var (root, place) = (index, index)
    while parents[root] != root { root = parents[root] }
    while parents[place] != root { (parents[place], place) = (root, parents[place]) }
    return root
  }

  /// Says that units of two axes are the same ones, of which there are as many as the coarser side has.
  private mutating func unite(_ a: Axis, _ b: Axis, units limit: Int? = nil, of node: Node) throws(GraphError) {
    let (first, second) = (root(index(a)), root(index(b)))
    let count = min(units[first], units[second], limit ?? .max)
    for place in [first, second] where count == 0 || units[place] % count != 0 {
      throw GraphError(tensor: node.scope, "joins \(units[place]) channels with \(count), which do not divide them")
    }
    units[first] = count
    guard first != second else { return }
    parents[second] = first
    if let kind = kinds.removeValue(forKey: second), kinds[first] == nil { kinds[first] = kind }
  }

  private mutating func mark(_ axis: Axis, _ kind: ChannelDimension.Kind) { kinds[root(index(axis))] = kind }
  private mutating func fix(_ axis: Axis) { fixed.append(index(axis)) }

  private mutating func relate(_ node: Node) throws(GraphError) {
    let (inputs, output) = (node.inputs.map { Axis.value($0) }, Axis.value(node.output))
    switch node.operation {
    case .embedding:
      try unite(.parameter(node.parameters[0], 1), output, of: node)
      fix(.parameter(node.parameters[0], 0))
      mark(output, .hidden)
    case .linear:
      try unite(.parameter(node.parameters[0], 1), inputs[0], of: node)
      if let cut = parts[node.output] {
        for parameter in node.parameters {
          partsOfRows[parameter] = cut
          for start in cut.keys.sorted() {
            try unite(.parameter(parameter, 0, from: start), .value(node.output, from: start), of: node)
          }
        }
      } else {
        try unite(.parameter(node.parameters[0], 0), output, of: node)
        for bias in node.parameters.dropFirst() { try unite(.parameter(bias, 0), output, of: node) }
      }
      if node.output == graph.output { fix(output) }
    case .rmsNorm(_, let width):
      try unite(inputs[0], output, of: node)
      if width == graph[node.output].width {
        try unite(.parameter(node.parameters[0], 0), output, of: node)
        if graph[node.parameters[0]].role == .latentNormGain { mark(output, .latent) }
      } else {
        // One gain for all heads: only whole heads can go.
        try unite(inputs[0], output, units: (graph[node.output].width ?? 0) / max(1, width), of: node)
        fix(.parameter(node.parameters[0], 0))
      }
    case .layerNorm:
      try unite(inputs[0], output, of: node)
      for parameter in node.parameters { try unite(.parameter(parameter, 0), output, of: node) }
    case .dynamicTanh:
      try unite(inputs[0], output, of: node)
      for parameter in node.parameters.prefix(2) { try unite(.parameter(parameter, 0), output, of: node) }
      fix(.parameter(node.parameters[2], 0))
    case .addRow:
      try unite(inputs[0], output, of: node)
      try unite(.parameter(node.parameters[0], 1), output, of: node)
      fix(.parameter(node.parameters[0], 0))
    case .activation:
      try unite(inputs[0], output, of: node)
      mark(output, .mlp)
    case .rotary(let rotary):
      try unite(inputs[0], output, units: rotary.heads, of: node)
      if rotary.heads == 1 { fix(output) }
    case .attention(let attention):
      for input in inputs { try unite(input, output, units: attention.keyValueHeads, of: node) }
      mark(output, .heads)
    case .latentAttention: throw GraphError(tensor: node.scope, "is a form that only decoding has")
    case .gatedActivation:
      for input in inputs { try unite(input, output, of: node) }
      mark(output, .mlp)
    case .add: for input in inputs { try unite(input, output, of: node) }
    case .slice(let slice):
      if slice.heads > 1 {
        try unite(inputs[0], output, units: slice.heads, of: node)
      } else if parts[node.inputs[0]] != nil {
        try unite(.value(node.inputs[0], from: slice.start), output, of: node)
      } else {
        fix(inputs[0])
        fix(output)
      }
    case .joinHeads(let join):
      try unite(inputs[0], output, units: join.heads, of: node)
      if join.sharesRight { fix(inputs[1]) } else { try unite(inputs[1], output, units: join.heads, of: node) }
    case .route:
      fix(inputs[0])
      for parameter in node.parameters { fix(.parameter(parameter, 0)) }
    case .dispatch: try unite(inputs[0], output, of: node)
    case .combine: for input in inputs.dropFirst() { try unite(input, output, of: node) }
    case .scale: try unite(inputs[0], output, of: node)
    case .magnitude:
      try unite(inputs[0], output, of: node)
      for parameter in node.parameters { try unite(.parameter(parameter, 0), output, of: node) }
    }
  }

  /// The dimensions that can be made smaller, in the order of the model.
  mutating func dimensions() -> [ChannelDimension] {
    var members: [Int: [ChannelDimension.Member]] = [:]
    var values: [Int: [ValueID: ChannelDimension.Extent]] = [:]
    var order: [Int] = []
    let fixedRoots = Set(fixed.map { root($0) })
    for (place, axis) in axes.enumerated() {
      let dimension = root(place)
      guard kinds[dimension] != nil, !fixedRoots.contains(dimension) else { continue }
      if values[dimension] == nil, members[dimension] == nil { order.append(dimension) }
      let unitWidth = widths[place] / max(1, units[dimension])
      switch axis {
      case .parameter(let id, let position, let start):
        members[dimension, default: []].append(.init(parameter: id, axis: position, unitWidth: unitWidth, start: start ?? 0))
      case .value(let id, let start): values[dimension, default: [:]][id] = .init(unitWidth: unitWidth, start: start ?? 0)
      }
    }
    return order.compactMap { dimension in
      guard let kind = kinds[dimension] else { return nil }
      let sorted = (members[dimension] ?? []).sorted { ($0.parameter.index, $0.axis) < ($1.parameter.index, $1.axis) }
      return ChannelDimension(
        kind: kind, block: block(holding: values[dimension] ?? [:]), units: units[dimension], members: sorted,
        values: values[dimension] ?? [:])
    }
  }

  private func block(holding values: [ValueID: ChannelDimension.Extent]) -> Int? {
    let blocks = Set(values.keys.compactMap { blockOf[$0] })
    return blocks.count == 1 ? blocks.first : nil
  }
}

extension ModelGraph {
  /// The dimensions that can be made smaller: channels of each MLP and expert, heads of each attention, latents, the width
  /// of the residual stream.
  public func channelDimensions() throws(GraphError) -> [ChannelDimension] {
    var analysis = try ChannelAnalysis(self)
    return analysis.dimensions()
  }
}
