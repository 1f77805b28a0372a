import Tensors

extension ModelGraph {
  /// The routers of the model: what they compute, and how they choose.
  public var routers: [(output: ValueID, block: Int, routing: Routing)] {
    blocks.enumerated().flatMap { index, block in
      nodes[block.nodes].compactMap { node in
        if case .route(let routing) = node.operation { (node.output, index, routing) } else { nil }
      }
    }
  }

  /// The model with some of its experts only. Those that stay take the names of the first ones, and the router no longer scores the others.
  /// - Parameters:
  ///   - kept: the experts that stay, rising, by the routing that chooses among them; of every group as many.
  ///   - rename: where parameters are read that have another name now; made from that name and the parameter as it was.
  ///   - slice: where the routers' parameters are read, of which rows were picked.
  package func keepingExperts(
    _ kept: [ValueID: [Int]], readFrom rename: ([(name: String, origin: Parameter)]) -> any WeightSource,
    sliced slice: ([(parameter: Parameter, picks: AxisPicks)]) -> any WeightSource
  ) throws(GraphError) -> ModelGraph {
    var work = ExpertRemoval(graph: self, kept: kept)
    for block in blocks { try work.take(block) }
    let (renamed, sliced) = (
      rename(work.renamed.map { ($0.name, self[$0.origin]) }), slice(work.sliced.map { (self[$0.origin], $0.picks) })
    )
    for (place, source) in work.renamed.map({ ($0.place, renamed) }) + work.sliced.map({ ($0.place, sliced) }) {
      work.parameters[place].storage = .stored(in: source)
    }
    var result = self
    (result.nodes, result.blocks, result.parameters, result.valueTypes) = (work.nodes, work.blocks, work.parameters, work.types)
    result.inputQuantization = Dictionary(
      uniqueKeysWithValues: inputQuantization.compactMap { id, kind in work.ids[id].map { ($0, kind) } })
    result.isRewritten = true
    try result.verify()
    return result
  }
}

/// The parts of a graph that some experts were left out of.
private struct ExpertRemoval {
  let graph: ModelGraph
  let kept: [ValueID: [Int]]
  var nodes: [Node] = []
  var blocks: [Block] = []
  var parameters: [Parameter] = []
  var types: [ValueType]
  /// The new number of each parameter that is still used.
  var ids: [ParameterID: ParameterID] = [:]
  var renamed: [(name: String, origin: ParameterID, place: Int)] = []
  var sliced: [(origin: ParameterID, picks: AxisPicks, place: Int)] = []
  /// The experts whose scores a value is.
  private var scored: [ValueID: [Int]] = [:]

  init(graph: ModelGraph, kept: [ValueID: [Int]]) {
    (self.graph, self.kept) = (graph, kept)
    types = graph.valueTypes
    for node in graph.nodes { if case .route = node.operation { scored[node.inputs[0]] = kept[node.output] } }
  }

  mutating func take(_ block: Block) throws(GraphError) {
    let start = nodes.count
    /// Module paths of experts, and what they are called now.
    var moved: [(old: String, new: String)] = []
    for node in graph.nodes[block.nodes] {
      if let route = graph[node.output].route, let stay = kept[route.routing] {
        guard let place = stay.firstIndex(of: route.expert) else { continue }
        types[node.output.index] = .routed(width: graph[node.output].width ?? 0, by: route.routing, expert: place)
        var operation = node.operation
        if case .dispatch = operation {
          operation = .dispatch(expert: place)
          moved = [(node.scope, Self.numbered(node.scope, place))]
        }
        append(node, operation, node.inputs, moved: moved)
      } else if let stay = kept[node.output], case .route(var routing) = node.operation {
        guard let first = stay.first, let last = stay.last, first >= 0, last < routing.experts, zip(stay, stay.dropFirst()).allSatisfy(<)
        else { throw GraphError(tensor: node.scope, "cannot keep these of its \(routing.experts) experts") }
        if let groups = routing.groups {
          let size = routing.experts / groups.count
          guard (0..<groups.count).allSatisfy({ group in stay.count { $0 / size == group } == stay.count / groups.count }) else {
            throw GraphError(tensor: node.scope, "would have groups of different sizes")
          }
        }
        routing.experts = stay.count
        append(node, .route(routing), node.inputs, rows: stay)
      } else if let stay = scored[node.output] {
        types[node.output.index] = graph[node.output].resized(stay.count)
        append(node, node.operation, node.inputs, rows: stay)
      } else if case .combine = node.operation, let stay = kept[node.inputs[0]] {
        append(node, node.operation, [node.inputs[0]] + stay.map { node.inputs[$0 + 1] })
      } else {
        append(node, node.operation, node.inputs)
      }
    }
    blocks.append(Block(kind: block.kind, name: block.name, nodes: start..<nodes.count))
  }

  /// A module path that ends in another number.
  private static func numbered(_ scope: String, _ number: Int) -> String {
    guard let dot = scope.lastIndex(of: ".") else { return scope }
    return scope[...dot] + String(number)
  }

  private mutating func append(
    _ node: Node, _ operation: Operation, _ inputs: [ValueID], moved: [(old: String, new: String)] = [], rows: [Int]? = nil
  ) {
    func name(_ old: String) -> String {
      guard let move = moved.first(where: { old == $0.old || old.hasPrefix($0.old + ".") }) else { return old }
      return move.new + old.dropFirst(move.old.count)
    }
    var used: [ParameterID] = []
    for id in node.parameters {
      if let known = ids[id] {
        used.append(known)
        continue
      }
      let origin = graph[id]
      let place = ParameterID(index: parameters.count)
      var dimensions = origin.shape.dimensions
      if let rows { dimensions[0] = rows.count }
      var parameter = Parameter(name: name(origin.name), role: origin.role, shape: Shape(dimensions), storage: origin.storage)
      parameter.replacedType = origin.replacedType
      parameters.append(parameter)
      if parameter.name != origin.name { renamed.append((parameter.name, id, place.index)) }
      if let rows { sliced.append((id, AxisPicks(rows: rows), place.index)) }
      ids[id] = place
      used.append(place)
    }
    nodes.append(Node(operation: operation, inputs: inputs, output: node.output, parameters: used, scope: name(node.scope)))
  }
}
