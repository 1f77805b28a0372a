import Tensors

/// What passes that rewrite the whole model ahead of a run need: other sources for parameters, and an end to sharing.
extension ModelGraph {
  /// Reads a parameter from another source from now on; it must hold the parameter's name and shape.
  /// - Parameter type: what scales are stored as when it is quantized again; nil for the type that the source has it in.
  package mutating func redirect(
    _ id: ParameterID, to source: any WeightSource, scaledIn type: DataType? = nil
  ) throws(GraphError) {
    let parameter = parameters[id.index]
    guard source.describe(parameter.name)?.shape == parameter.shape else {
      throw GraphError(tensor: parameter.name, "is not in its new source, or has another shape there")
    }
    parameters[id.index].storage = .stored(in: source)
    parameters[id.index].replacedType = type
    isRewritten = true
  }

  /// Gives the node that computes `output` a weight of its own where it shared one (a tied head).
  /// - Parameters:
  ///   - name: the new parameter's, which no other has.
  ///   - source: where it is read; of the shape of the one it replaces.
  package mutating func unshare(
    _ shared: ParameterID, ofNodeComputing output: ValueID, as name: String, role: ParameterRole, from source: any WeightSource
  ) throws(GraphError) {
    guard let index = nodes.firstIndex(where: { $0.output == output }), nodes[index].parameters.contains(shared),
      source.describe(name)?.shape == self[shared].shape
    else { throw GraphError(tensor: name, "cannot take the place of \(self[shared].name)") }
    let id = ParameterID(index: parameters.count)
    parameters.append(Parameter(name: name, role: role, shape: self[shared].shape, storage: .stored(in: source)))
    let node = nodes[index]
    nodes[index] = Node(
      operation: node.operation, inputs: node.inputs, output: node.output,
      parameters: node.parameters.map { $0 == shared ? id : $0 }, scope: node.scope)
    isRewritten = true
  }

  /// The nodes that read a value.
  package func readers(of value: ValueID) -> [Node] { nodes.filter { $0.inputs.contains(value) } }

  /// Those of a block.
  package func readers(of value: ValueID, in block: Block) -> [Node] { nodes[block.nodes].filter { $0.inputs.contains(value) } }

  /// The node that computes a value; nil for the token ids.
  package func producer(of value: ValueID) -> Node? {
    // As built, node i computes value i + 1; rewriting moves nodes.
    let place = value.index - 1
    if nodes.indices.contains(place), nodes[place].output == value { return nodes[place] }
    return nodes.first { $0.output == value }
  }
}
