import Tensors

extension ModelGraph {
  /// Checks what every pass relies on: nodes in topological order, blocks that partition them, operand and parameter shapes,
  /// names that are unique, an output of vocabulary width.
  public func verify() throws(GraphError) {
    try verifyBlocks()
    try verifyNames()
    var isDefined = [Bool](repeating: false, count: valueTypes.count)
    isDefined[input.index] = true
    var routings: [ValueID: Routing] = [:]
    for node in nodes {
      for value in node.inputs where !isDefined[value.index] {
        throw GraphError(tensor: node.scope, "uses %\(value.index) before it is computed")
      }
      guard !isDefined[node.output.index] else {
        throw GraphError(tensor: node.scope, "computes %\(node.output.index) a second time")
      }
      isDefined[node.output.index] = true
      for parameter in node.parameters where !parameters.indices.contains(parameter.index) {
        throw GraphError(tensor: node.scope, "uses a parameter that does not exist")
      }
      if case .route(let routing) = node.operation { routings[node.output] = routing }
      try verify(node, routings)
    }
    guard isDefined[output.index], purpose == .encoder || self[output].width == vocabularySize else {
      throw GraphError(tensor: "output", "is not \(vocabularySize) wide")
    }
  }

  private func verifyBlocks() throws(GraphError) {
    var next = 0
    for block in blocks {
      guard block.nodes.lowerBound == next, !block.nodes.isEmpty else {
        throw GraphError(tensor: block.name, "does not follow the block before it")
      }
      next = block.nodes.upperBound
    }
    guard next == nodes.count else { throw GraphError(tensor: "graph", "has nodes outside its blocks") }
    // Where each value is computed.
    var home = [Int](repeating: -1, count: valueTypes.count)
    for (index, block) in blocks.enumerated() { for node in block.nodes { home[nodes[node].output.index] = index } }
    for (index, block) in blocks.enumerated().dropFirst() {
      // One value crosses each boundary, so that a block can be run with nothing but its input at hand.
      let start = nodes[block.nodes.lowerBound - 1].output
      var isStarted = false
      for node in block.nodes {
        for value in nodes[node].inputs where home[value.index] != index {
          guard value == start else {
            throw GraphError(tensor: block.name, "does not start from the one value that the block before it ends in")
          }
          isStarted = true
        }
      }
      guard isStarted else {
        throw GraphError(tensor: block.name, "does not start from the one value that the block before it ends in")
      }
    }
  }

  private func verifyNames() throws(GraphError) {
    var names = Set<TensorName>()
    names.reserveCapacity(parameters.count)
    for index in parameters.indices where !names.insert(TensorName(parameters[index].name)).inserted {
      throw GraphError(tensor: parameters[index].name, "stands twice in the graph")
    }
  }

  private func verify(_ node: Node, _ routings: [ValueID: Routing]) throws(GraphError) {
    let inputs = node.inputs.map { self[$0].width }
    let output = self[node.output].width
    let shapes = node.parameters.map { self[$0].shape }
    let rows = node.inputs.map { self[$0].route.map { [$0.routing.index, $0.expert] } }
    var sharesRows = true
    let holds: Bool
    switch node.operation {
    case .embedding:
      holds = node.inputs.count == 1 && inputs[0] == nil && shapes.count == 1 && shapes[0].rank == 2 && shapes[0][1] == output
    case .linear:
      holds =
        inputs.count == 1 && (1...2).contains(shapes.count) && shapes[0].rank == 2 && shapes[0][1] == inputs[0]
        && shapes[0][0] == output && (shapes.count == 1 || shapes[1].dimensions == [shapes[0][0]])
    case .rmsNorm(let epsilon, let width):
      holds =
        inputs.count == 1 && inputs[0] == output && width > 0 && (output ?? 0) % width == 0 && shapes == [[width]]
        && epsilon >= 0
    case .layerNorm(let epsilon):
      holds = inputs.count == 1 && inputs[0] == output && shapes == [[output ?? 0], [output ?? 0]] && epsilon >= 0
    case .dynamicTanh:
      holds = inputs.count == 1 && inputs[0] == output && shapes == [[output ?? 0], [output ?? 0], [1]]
    case .addRow(let choice):
      holds =
        inputs.count == 1 && inputs[0] == output && shapes.count == 1 && shapes[0].rank == 2 && shapes[0][1] == output
        && choice.fits(rows: shapes[0][0], positions: maximumPositions)
    case .activation: holds = inputs.count == 1 && inputs[0] == output && shapes.isEmpty
    case .rotary(let rotary):
      holds =
        inputs.count == 1 && inputs[0] == output && shapes.isEmpty && rotary.heads * rotary.headDimension == output
        && rotary.rotaryDimension % 2 == 0 && rotary.rotaryDimension >= 2 && rotary.offset >= 0
        && rotary.offset + rotary.rotaryDimension <= rotary.headDimension
    case .attention(let attention):
      holds =
        inputs.count == 3 && shapes.isEmpty && attention.keyValueHeads > 0
        && attention.queryHeads % attention.keyValueHeads == 0 && attention.reachIsConsistent
        && inputs[0] == attention.queryHeads * attention.headDimension
        && inputs[1] == attention.keyValueHeads * attention.headDimension
        && inputs[2] == attention.keyValueHeads * attention.valueDimension
        && output == attention.queryHeads * attention.valueDimension
    case .latentAttention(let heads):
      holds =
        heads.isConsistent && inputs == [heads.count * heads.queryDimension, heads.rank, heads.rotaryDimension]
        && output == heads.count * heads.valueDimension && (1...2).contains(shapes.count)
        && shapes[0] == [heads.count * heads.rowsPerHead, heads.rank]
        && (shapes.count == 1 || shapes[1] == [heads.count * heads.rowsPerHead])
    case .slice(let slice):
      holds =
        inputs.count == 1 && shapes.isEmpty && slice.isConsistent && inputs[0] == slice.heads * slice.width
        && output == slice.heads * slice.count
    case .joinHeads(let join):
      holds =
        inputs.count == 2 && shapes.isEmpty && join.heads > 0 && inputs[0] == join.heads * join.left
        && inputs[1] == (join.sharesRight ? join.right : join.heads * join.right) && output == join.heads * (join.left + join.right)
    case .route(let routing):
      holds =
        inputs == [routing.experts] && self[node.output] == .routing && routing.isConsistent
        && (shapes.isEmpty || shapes == [[routing.experts]])
    case .dispatch(let expert):
      sharesRows = false
      holds =
        node.inputs.count == 2 && shapes.isEmpty && rows[0] == nil && self[node.inputs[1]] == .routing && inputs[0] == output
        && routings[node.inputs[1]].map { (0..<$0.experts).contains(expert) } ?? false
        && isRouted(node.output, by: node.inputs[1], to: expert)
    case .combine:
      sharesRows = false
      let experts = node.inputs.dropFirst()
      holds =
        shapes.isEmpty && !experts.isEmpty && self[node.inputs[0]] == .routing && self[node.output].route == nil
        && routings[node.inputs[0]]?.experts == experts.count
        && zip(experts, 0...).allSatisfy { self[$0].width == output && isRouted($0, by: node.inputs[0], to: $1) }
    case .gatedActivation, .add:
      holds = inputs.count == 2 && inputs[0] == inputs[1] && inputs[0] == output && shapes.isEmpty
    case .scale(let factor):
      holds = inputs.count == 1 && inputs[0] == output && shapes.isEmpty && factor.isFinite
    case .magnitude:
      holds =
        inputs.count == 1 && inputs[0] == output && (2...3).contains(shapes.count) && shapes.allSatisfy { $0.dimensions == [output ?? 0] }
    }
    let outputRows = self[node.output].route.map { [$0.routing.index, $0.expert] }
    guard !sharesRows || rows.allSatisfy({ $0 == outputRows }) else {
      throw GraphError(tensor: node.scope, "\(node.operation.name) joins the rows of different experts")
    }
    guard holds else {
      throw GraphError(
        tensor: node.scope, "\(node.operation.name) does not fit its inputs \(inputs.map { $0 ?? 0 }) and parameters \(shapes)")
    }
  }

  private func isRouted(_ value: ValueID, by routing: ValueID, to expert: Int) -> Bool {
    guard let route = self[value].route else { return false }
    return route == (routing, expert)
  }
}

extension RowChoice {
  fileprivate func fits(rows: Int, positions: Int) -> Bool {
    switch self {
    case .position: rows >= positions
    case .constant(let row): (0..<rows).contains(row)
    }
  }
}
