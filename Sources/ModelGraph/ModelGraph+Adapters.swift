import Tensors

/// A low-rank addition to one linear layer: `y = W·x + γ·B·A·x (+ b)`, and with a magnitude `y = m / ‖W + γ·B·A‖ · (W + γ·B·A)·x (+ b)`,
/// the norm taken row by row (LoRA, Hu et al. 2021; DoRA, Liu et al. 2024).
public struct LowRankAdapter: Sendable {
  /// A `[rank, inputs]`.
  public var down: Tensor
  /// B `[outputs, rank]`.
  public var up: Tensor
  /// γ: alpha / rank, or alpha / √rank.
  public var scaling: Float
  /// m `[outputs]`; nil without.
  public var magnitude: Tensor?

  public init(down: Tensor, up: Tensor, scaling: Float, magnitude: Tensor? = nil) {
    self.down = down
    self.up = up
    self.scaling = scaling
    self.magnitude = magnitude
  }
}

/// Where an adapter's parts are in a graph that it was attached to.
public struct AttachedAdapter: Sendable {
  /// The scope of the layer: `model.layers.3.self_attn.q_proj`.
  public let module: String
  public let weight: ParameterID
  public let down: ParameterID
  public let up: ParameterID
  public let scaling: Float
  public let magnitude: ParameterID?
  /// The lengths of the rows of `W + γ·B·A`, which whoever changes A or B has to renew; beside a magnitude only.
  public let norm: ParameterID?
}

extension ModelGraph {
  /// Adds an adapter to each of these layers, as nodes of their own behind the layer, which stays as it is.
  /// - Parameter adapters: by the scope of a linear layer.
  /// - Returns: where their parts are, in the order of nodes. Norms are zero until they are first renewed.
  public mutating func attach(_ adapters: [String: LowRankAdapter]) throws(GraphError) -> [AttachedAdapter] {
    var waiting = adapters
    var attached: [AttachedAdapter] = []
    var expanded: [Node] = []
    var starts: [Int] = []
    for node in nodes {
      starts.append(expanded.count)
      guard case .linear = node.operation, let adapter = waiting.removeValue(forKey: node.scope), let weight = node.parameters.first else {
        expanded.append(node)
        continue
      }
      let (description, replacement) = try attach(adapter, to: node, weight: weight)
      attached.append(description)
      expanded += replacement
    }
    if let module = waiting.keys.sorted().first {
      throw GraphError(tensor: module, "is not a linear layer of this model", remedy: "attach the adapter to the model it was made for")
    }
    starts.append(expanded.count)
    nodes = expanded
    blocks = blocks.map { Block(kind: $0.kind, name: $0.name, nodes: starts[$0.nodes.lowerBound]..<starts[$0.nodes.upperBound]) }
    try verify()
    return attached
  }

  private mutating func attach(
    _ adapter: LowRankAdapter, to node: Node, weight: ParameterID
  ) throws(GraphError) -> (AttachedAdapter, [Node]) {
    let shape = self[weight].shape
    let (outputs, inputs) = (shape[0], shape[1])
    guard adapter.down.shape.rank == 2, adapter.up.shape.rank == 2, adapter.down.shape[1] == inputs, adapter.up.shape[0] == outputs,
      adapter.down.shape[0] == adapter.up.shape[1], adapter.down.shape[0] > 0,
      adapter.magnitude.map({ $0.shape.dimensions == [outputs] }) ?? true
    else {
      throw GraphError(
        tensor: node.scope, "of \(shape) does not fit an adapter of \(adapter.down.shape) and \(adapter.up.shape)",
        remedy: "attach the adapter to the model it was made for")
    }
    func part(_ name: String, _ role: ParameterRole, _ tensor: Tensor) -> ParameterID {
      let id = ParameterID(index: parameters.count)
      parameters.append(Parameter(name: "\(node.scope).\(name)", role: role, shape: tensor.shape, storage: .memory(.dense(tensor))))
      return id
    }
    func value(_ width: Int) -> ValueID {
      let id = ValueID(index: valueTypes.count)
      valueTypes.append(self[node.output].resized(width))
      return id
    }
    let down = part("lora_A.weight", .adapterDown, adapter.down)
    let up = part("lora_B.weight", .adapterUp, adapter.up)
    let magnitude = adapter.magnitude.map { part("lora_magnitude_vector", .adapterMagnitude, $0) }
    let norm = magnitude == nil ? nil : part("lora_norm", .adapterNorm, Tensor([Float](repeating: 0, count: outputs), shape: [outputs]))
    func make(_ operation: Operation, _ inputs: [ValueID], _ output: ValueID, _ parameters: [ParameterID] = [], _ name: String) -> Node {
      let scope = name.isEmpty ? node.scope : "\(node.scope).\(name)"
      return Node(operation: operation, inputs: inputs, output: output, parameters: parameters, scope: scope)
    }
    // A bias is added behind a magnitude, which must not scale it.
    let bias = Array(node.parameters.dropFirst())
    let (base, narrow, scaled, added) = (value(outputs), value(adapter.down.shape[0]), value(adapter.down.shape[0]), value(outputs))
    var result = [
      make(.linear, node.inputs, base, magnitude == nil ? node.parameters : [weight], ""),
      make(.linear, node.inputs, narrow, [down], "lora_A"),
      make(.scale(adapter.scaling), [narrow], scaled, [], "lora_A"),
      make(.linear, [scaled], added, [up], "lora_B"),
    ]
    if let magnitude, let norm {
      let sum = value(outputs)
      result.append(make(.add, [base, added], sum, [], "lora_B"))
      result.append(make(.magnitude, [sum], node.output, [magnitude, norm] + bias, "lora_magnitude_vector"))
    } else {
      result.append(make(.add, [base, added], node.output, [], "lora_B"))
    }
    return (
      AttachedAdapter(
        module: node.scope, weight: weight, down: down, up: up, scaling: adapter.scaling, magnitude: magnitude, norm: norm), result
    )
  }
}
