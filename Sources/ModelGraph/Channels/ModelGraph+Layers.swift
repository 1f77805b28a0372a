import Tensors

extension ModelGraph {
  /// The blocks that are layers, in order.
  public var layerBlocks: [Int] {
    blocks.indices.filter { if case .layer = blocks[$0].kind { true } else { false } }
  }

  /// The model without some of its layers: what enters one leaves it. Those that stay take the names of the first ones.
  /// - Parameters:
  ///   - removed: blocks that are layers, not all of them.
  ///   - makeSource: where parameters are read that have another name now; made from that name and the parameter as it was.
  package func removingLayers(
    _ removed: Set<Int>, readFrom makeSource: ([(name: String, origin: Parameter)]) -> any WeightSource
  ) throws(GraphError) -> ModelGraph {
    let layers = layerBlocks
    let kept = layers.filter { !removed.contains($0) }
    guard removed.isSubset(of: layers), !kept.isEmpty else {
      throw GraphError(tensor: "layers", "cannot be removed: \(removed.count) of \(layers.count)")
    }
    var names: [Int: Block] = [:]
    for (place, index) in kept.enumerated() { names[index] = blocks[layers[place]] }
    var work = LayerRemoval(graph: self)
    for (index, block) in blocks.enumerated() {
      if removed.contains(index) { work.skip(boundary(of: block)) } else { work.take(block, as: names[index] ?? block) }
    }
    let source = makeSource(work.renamed.map { ($0.name, self[$0.origin]) })
    for place in work.renamedPlaces { work.parameters[place].storage = .stored(in: source) }
    var result = self
    (result.nodes, result.blocks, result.parameters) = (work.nodes, work.blocks, work.parameters)
    result.output = work.alias[output] ?? output
    result.inputQuantization = Dictionary(
      uniqueKeysWithValues: inputQuantization.compactMap { id, kind in work.ids[id].map { ($0, kind) } })
    result.isRewritten = true
    try result.verify()
    return result
  }
}

/// The parts of a graph that some layers were left out of.
private struct LayerRemoval {
  let graph: ModelGraph
  var nodes: [Node] = []
  var blocks: [Block] = []
  var parameters: [Parameter] = []
  /// The new number of each parameter that is still used.
  var ids: [ParameterID: ParameterID] = [:]
  /// What is read in place of values that are no longer computed.
  var alias: [ValueID: ValueID] = [:]
  /// Parameters with another name, and their places among `parameters`.
  var renamed: [(name: String, origin: ParameterID)] = []
  var renamedPlaces: [Int] = []

  init(graph: ModelGraph) { self.graph = graph }

  mutating func skip(_ boundary: (input: ValueID, output: ValueID)) { alias[boundary.output] = alias[boundary.input] ?? boundary.input }

  mutating func take(_ block: Block, as other: Block) {
    let start = nodes.count
    for node in graph.nodes[block.nodes] {
      let used = node.parameters.map { parameter($0, from: block.name, to: other.name) }
      nodes.append(
        Node(
          operation: node.operation, inputs: node.inputs.map { alias[$0] ?? $0 }, output: node.output, parameters: used,
          scope: Self.name(node.scope, from: block.name, to: other.name)))
    }
    blocks.append(Block(kind: other.kind, name: other.name, nodes: start..<nodes.count))
  }

  private mutating func parameter(_ id: ParameterID, from old: String, to new: String) -> ParameterID {
    if let known = ids[id] { return known }
    let origin = graph[id]
    let name = Self.name(origin.name, from: old, to: new)
    let place = ParameterID(index: parameters.count)
    var parameter = Parameter(name: name, role: origin.role, shape: origin.shape, storage: origin.storage)
    parameter.replacedType = origin.replacedType
    parameters.append(parameter)
    if name != origin.name {
      renamed.append((name, id))
      renamedPlaces.append(place.index)
    }
    ids[id] = place
    return place
  }

  private static func name(_ name: String, from old: String, to new: String) -> String {
    if name == old { return new }
    return name.hasPrefix(old + ".") ? new + name.dropFirst(old.count) : name
  }
}
