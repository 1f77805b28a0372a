extension ModelGraph {
  /// How the routing that a value holds chooses; nil for other values.
  public func routing(of value: ValueID) -> Routing? {
    guard case .routing = self[value], case .route(let routing)? = producer(of: value)?.operation else { return nil }
    return routing
  }

  /// The routings of some nodes, by what their routers give.
  package func routings(of places: Range<Int>) -> [ValueID: Routing] {
    var routings: [ValueID: Routing] = [:]
    for node in nodes[places] { if case .route(let routing) = node.operation { routings[node.output] = routing } }
    return routings
  }

  /// Which expert a linear layer belongs to: the layer's input has a row for every token that is sent there. Nil for layers that see every token.
  public func expert(of node: Node) -> (routing: ValueID, expert: Int)? { node.inputs.first.flatMap { self[$0].route } }

  /// The value that an expert gets its rows of; the value itself where it is none of an expert's inputs.
  package func source(ofRows value: ValueID) -> ValueID {
    guard self[value].route != nil, let node = producer(of: value), case .dispatch = node.operation else { return value }
    return node.inputs[0]
  }
}
