import Tensors

/// Builds a graph node by node against a checkpoint: every parameter is looked up, its shape checked, and its storage left lazy.
public struct GraphBuilder {
  private var graph: ModelGraph
  private let weights: any WeightSource
  private var known: [TensorName: ParameterID] = [:]
  private var blockStart = 0

  /// - Parameters:
  ///   - family: the name that listings and reports show.
  ///   - weights: where parameters are looked up and later read from.
  ///   - purpose: what comes out.
  public init(
    family: String, vocabularySize: Int, maximumPositions: Int, purpose: ModelGraph.Purpose = .languageModel, weights: any WeightSource
  ) {
    self.weights = weights
    let input = ValueID(index: 0)
    graph = ModelGraph(
      family: family, vocabularySize: vocabularySize, maximumPositions: maximumPositions, purpose: purpose, nodes: [],
      parameters: [], valueTypes: [.tokens], blocks: [], input: input, output: input)
  }

  /// The token ids.
  public var input: ValueID { graph.input }

  /// A parameter of that name and shape; the same one when it was asked for before (tied weights).
  public mutating func parameter(_ name: String, _ shape: Shape, _ role: ParameterRole) throws(GraphError) -> ParameterID {
    if let id = known[TensorName(name)] {
      guard graph[id].shape == shape else {
        throw GraphError(tensor: name, "is used both as \(graph[id].shape) and as \(shape)")
      }
      return id
    }
    guard let found = weights.describe(name) else { throw GraphError.missing(name) }
    guard found.shape == shape else {
      throw GraphError(
        tensor: name, "has the shape \(found.shape) where config.json asks for \(shape)",
        remedy: "use the config.json that belongs to this checkpoint")
    }
    let id = ParameterID(index: graph.parameters.count)
    graph.parameters.append(Parameter(name: name, role: role, shape: shape, storage: .stored(in: weights)))
    known[TensorName(name)] = id
    if case .quantized(let scheme) = found.storage { graph.setInputQuantization(scheme.activations, for: id) }
    if case .dense(let type) = found.storage, !type.isFloatingPoint {
      throw GraphError(
        tensor: name, "is \(type.rawValue), which is not a floating-point type",
        remedy: "convert it to BF16, F16 or F32, or keep its quantization_config in config.json")
    }
    return id
  }

  private mutating func append(
    _ operation: Operation, _ inputs: [ValueID], width: Int, parameters: [ParameterID] = [], scope: String
  ) -> ValueID {
    // What is computed from an expert's rows has its rows.
    let type = inputs.first.map { graph[$0].resized(width) } ?? .features(width: width)
    return append(operation, inputs, type, parameters: parameters, scope: scope)
  }

  private mutating func append(
    _ operation: Operation, _ inputs: [ValueID], _ type: ValueType, parameters: [ParameterID] = [], scope: String
  ) -> ValueID {
    let output = ValueID(index: graph.valueTypes.count)
    graph.valueTypes.append(type)
    graph.nodes.append(Node(operation: operation, inputs: inputs, output: output, parameters: parameters, scope: scope))
    return output
  }

  /// Features of a value; 0 for tokens.
  public func width(_ value: ValueID) -> Int { graph[value].width ?? 0 }

  public mutating func embedding(_ tokens: ValueID, _ scope: String, width: Int) throws(GraphError) -> ValueID {
    let table = try parameter(scope + ".weight", [graph.vocabularySize, width], .tokenEmbedding)
    return append(.embedding, [tokens], width: width, parameters: [table], scope: scope)
  }

  /// A linear layer `scope.weight`, with `scope.bias` when `bias` is set.
  public mutating func linear(
    _ x: ValueID, _ scope: String, outputs: Int, role: ParameterRole, bias: Bool = false
  ) throws(GraphError) -> ValueID {
    var parameters = [try parameter(scope + ".weight", [outputs, width(x)], role)]
    if bias { parameters.append(try parameter(scope + ".bias", [outputs], .bias)) }
    return append(.linear, [x], width: outputs, parameters: parameters, scope: scope)
  }

  /// A linear layer whose weight is another module's (tied embeddings).
  public mutating func linear(_ x: ValueID, _ scope: String, outputs: Int, tiedTo name: String) throws(GraphError) -> ValueID {
    let weight = try parameter(name, [outputs, width(x)], .tokenEmbedding)
    return append(.linear, [x], width: outputs, parameters: [weight], scope: scope)
  }

  /// RMS normalisation of every run of `perHead` features, or of the whole row.
  public mutating func rmsNorm(
    _ x: ValueID, _ scope: String, epsilon: Double, perHead: Int? = nil, role: ParameterRole = .normGain
  ) throws(GraphError) -> ValueID {
    let runs = perHead ?? width(x)
    let gain = try parameter(scope + ".weight", [runs], perHead == nil ? role : .headNormGain)
    return append(.rmsNorm(epsilon: Float(epsilon), width: runs), [x], width: width(x), parameters: [gain], scope: scope)
  }

  /// `gain · tanh(steepness · x) + bias`, with `scope.weight`, `scope.bias` and `scope.alpha`.
  public mutating func dynamicTanh(_ x: ValueID, _ scope: String) throws(GraphError) -> ValueID {
    let parameters = [
      try parameter(scope + ".weight", [width(x)], .normGain), try parameter(scope + ".bias", [width(x)], .bias),
      try parameter(scope + ".alpha", [1], .normSteepness),
    ]
    return append(.dynamicTanh, [x], width: width(x), parameters: parameters, scope: scope)
  }

  /// Layer normalisation, with `scope.weight` and `scope.bias`, or what the names are.
  public mutating func layerNorm(
    _ x: ValueID, _ scope: String, epsilon: Double, names: (gain: String, bias: String) = ("weight", "bias")
  ) throws(GraphError) -> ValueID {
    let gain = try parameter("\(scope).\(names.gain)", [width(x)], .normGain)
    let bias = try parameter("\(scope).\(names.bias)", [width(x)], .bias)
    return append(.layerNorm(epsilon: Float(epsilon)), [x], width: width(x), parameters: [gain, bias], scope: scope)
  }

  /// A row of the table `scope.weight` added to every row.
  public mutating func addRow(
    _ x: ValueID, _ scope: String, rows: Int, _ choice: RowChoice, role: ParameterRole
  ) throws(GraphError) -> ValueID {
    let table = try parameter(scope + ".weight", [rows, width(x)], role)
    return append(.addRow(choice), [x], width: width(x), parameters: [table], scope: scope)
  }

  public mutating func activation(_ x: ValueID, _ activation: Activation, scope: String) -> ValueID {
    append(.activation(activation), [x], width: width(x), scope: scope)
  }

  public mutating func rotary(_ x: ValueID, _ rotary: RotaryEmbedding, scope: String) -> ValueID {
    append(.rotary(rotary), [x], width: width(x), scope: scope)
  }

  public mutating func attention(
    queries: ValueID, keys: ValueID, values: ValueID, _ attention: Attention, scope: String
  ) -> ValueID {
    append(
      .attention(attention), [queries, keys, values], width: attention.queryHeads * attention.valueDimension, scope: scope)
  }

  public mutating func gatedActivation(gate: ValueID, up: ValueID, _ activation: Activation, scope: String) -> ValueID {
    append(.gatedActivation(activation), [gate, up], width: width(gate), scope: scope)
  }

  public mutating func add(_ left: ValueID, _ right: ValueID, scope: String) -> ValueID {
    append(.add, [left, right], width: width(left), scope: scope)
  }

  /// Some features of every head.
  public mutating func slice(_ x: ValueID, _ slice: HeadSlice, scope: String) -> ValueID {
    append(.slice(slice), [x], width: slice.heads * slice.count, scope: scope)
  }

  /// The features of both, head by head.
  public mutating func joinHeads(_ left: ValueID, _ right: ValueID, _ join: HeadJoin, scope: String) -> ValueID {
    append(.joinHeads(join), [left, right], width: join.heads * (join.left + join.right), scope: scope)
  }

  /// Experts behind a router: each gets the rows that are sent to it.
  /// - Parameters:
  ///   - scores: of the router, `[tokens, experts]`.
  ///   - correction: the name of what choosing adds to the scores; nil for nothing.
  ///   - expert: builds one of them over its rows, which it gives back as wide as they were.
  public mutating func experts(
    _ x: ValueID, scores: ValueID, _ routing: Routing, correction: String?, scope: String,
    _ expert: (_ index: Int, _ rows: ValueID, _ builder: inout GraphBuilder) throws(GraphError) -> ValueID
  ) throws(GraphError) -> ValueID {
    var parameters: [ParameterID] = []
    if let correction { parameters = [try parameter(correction, [routing.experts], .routerCorrection)] }
    let route = append(.route(routing), [scores], .routing, parameters: parameters, scope: scope)
    var outputs: [ValueID] = []
    for index in 0..<routing.experts {
      let rows = append(
        .dispatch(expert: index), [x, route], .routed(width: width(x), by: route, expert: index), scope: "\(scope).\(index)")
      outputs.append(try expert(index, rows, &self))
    }
    return append(.combine, [route] + outputs, .features(width: width(x)), scope: scope)
  }

  /// Closes a block: the nodes appended since the last one.
  public mutating func endBlock(_ kind: Block.Kind, _ name: String) {
    graph.blocks.append(Block(kind: kind, name: name, nodes: blockStart..<graph.nodes.count))
    blockStart = graph.nodes.count
  }

  /// The finished graph, verified.
  public consuming func finish(output: ValueID) throws(GraphError) -> ModelGraph {
    graph.output = output
    try graph.verify()
    return graph
  }
}
