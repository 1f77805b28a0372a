import Tensors

extension ModelGraph {
  /// The norms of the residual stream: the nodes of a block that normalise whole rows with a gain that is no latent's.
  package func streamNorms(of block: Block) -> [Node] {
    nodes[block.nodes].filter { node in
      switch node.operation {
      case .rmsNorm, .layerNorm, .dynamicTanh: isNormOfStream(node)
      default: false
      }
    }
  }

  /// What takes the place of a norm's gain, and stands beside it.
  package struct NormValues: Sendable {
    /// In the order of the operation's parameters; the first is the gain.
    package var gain: [Float]
    package var bias: [Float]
    /// Of dynamic tanh.
    package var steepness: Float

    package init(gain: [Float], bias: [Float], steepness: Float = 1) {
      (self.gain, self.bias, self.steepness) = (gain, bias, steepness)
    }
  }

  /// Puts another norm in the place of the one that computes a value. Its gain keeps its name, and the parameters beside it are named after its
  /// module.
  /// - Parameter values: nil to keep the gain and to begin with a bias of 0.
  package mutating func replaceNorm(
    computing output: ValueID, by kind: StreamNormalization, _ values: NormValues?
  ) throws(GraphError) {
    guard let index = nodes.firstIndex(where: { $0.output == output }), let gain = nodes[index].parameters.first,
      case .rmsNorm(let epsilon, let width) = nodes[index].operation, let type = self[gain].nativeType
    else { throw GraphError(tensor: "%\(output.index)", "is computed by no RMS norm") }
    let module = self[gain].module
    func stored(_ numbers: [Float], _ name: String) throws(GraphError) -> Weight {
      guard let tensor = Tensor(numbers, shape: [numbers.count]).converted(to: type) else {
        throw GraphError(tensor: name, "cannot be stored as \(type.rawValue)")
      }
      return .dense(tensor)
    }
    func append(_ name: String, _ role: ParameterRole, _ numbers: [Float]) throws(GraphError) -> ParameterID {
      let id = ParameterID(index: parameters.count)
      parameters.append(Parameter(name: name, role: role, shape: [numbers.count], storage: .memory(try stored(numbers, name))))
      return id
    }
    if let values { try replace(gain, with: stored(values.gain, self[gain].name)) }
    var all = [gain]
    let operation: Operation
    switch kind {
    case .rmsNorm: return
    case .layerNorm: operation = .layerNorm(epsilon: epsilon)
    case .dynamicTanh: operation = .dynamicTanh
    }
    all.append(try append(module + ".bias", .bias, values?.bias ?? Array(repeating: 0, count: width)))
    if kind == .dynamicTanh { all.append(try append(module + ".alpha", .normSteepness, [values?.steepness ?? 1])) }
    let node = nodes[index]
    nodes[index] = Node(operation: operation, inputs: node.inputs, output: node.output, parameters: all, scope: node.scope)
    isRewritten = true
  }
}
