import Tensors

/// A value that flows between nodes.
public struct ValueID: Sendable, Hashable { public let index: Int }
/// A parameter of the graph.
public struct ParameterID: Sendable, Hashable { public let index: Int }

/// What a value is.
public enum ValueType: Sendable, Hashable {
  /// Token ids, one a row.
  case tokens
  /// float32 `[tokens, width]`.
  case features(width: Int)
  /// Which experts each token goes to, and with which weights.
  case routing
  /// float32 `[rows, width]` with a row for every token that a routing sends to this expert, in the order of tokens; there may be none.
  case routed(width: Int, by: ValueID, expert: Int)

  public var width: Int? {
    switch self {
    case .tokens, .routing: nil
    case .features(let width), .routed(let width, _, _): width
    }
  }

  /// The same rows with another number of features.
  func resized(_ width: Int) -> ValueType {
    if case .routed(_, let routing, let expert) = self {
      .routed(width: width, by: routing, expert: expert)
    } else {
      .features(width: width)
    }
  }

  /// Which rows it has: nil for one a token.
  public var route: (routing: ValueID, expert: Int)? {
    if case .routed(_, let routing, let expert) = self { (routing, expert) } else { nil }
  }
}

/// One operation, its inputs, its parameters and where it stands in the model.
public struct Node: Sendable {
  public let operation: Operation
  public let inputs: [ValueID]
  public let output: ValueID
  public let parameters: [ParameterID]
  /// The module path: `model.layers.3.self_attn.q_proj`.
  public let scope: String
}

/// Consecutive nodes that are loaded, worked on and released together.
public struct Block: Sendable, Hashable {
  public enum Kind: Sendable, Hashable {
    case embedding
    case layer(Int)
    case head
  }
  public let kind: Kind
  /// The module path: `model.layers.3`.
  public let name: String
  public let nodes: Range<Int>

  package init(kind: Kind, name: String, nodes: Range<Int>) { (self.kind, self.name, self.nodes) = (kind, name, nodes) }
}

/// A model as a value: nodes in topological order, each with a typed operation; parameters with roles and lazy storage; blocks.
///
/// Copying is cheap, weights are not copied. `verify()` holds after building and after the passes of a run.
public struct ModelGraph: Sendable {
  /// What a model is for.
  public enum Purpose: Sendable, Hashable {
    /// Every token predicts the next one. The last block is the head.
    case languageModel
    /// Every token sees its whole sequence; there is no head.
    case encoder
  }

  /// The family's name, as in config.json's `model_type`.
  public let family: String
  public let vocabularySize: Int
  /// The longest context the model was made for.
  public let maximumPositions: Int
  /// What comes out.
  public let purpose: Purpose
  public internal(set) var nodes: [Node]
  public internal(set) var parameters: [Parameter]
  public internal(set) var valueTypes: [ValueType]
  public internal(set) var blocks: [Block]
  /// The token ids that go in.
  public let input: ValueID
  /// The logits that come out, `[tokens, vocabularySize]`, or an encoder's last state of every token.
  public internal(set) var output: ValueID
  /// Activation quantization of the inputs of linear nodes, by weight parameter; absent means none.
  public internal(set) var inputQuantization: [ParameterID: ActivationQuantization] = [:]
  /// Whether a pass has changed what parameters are read as: the weights of a layer are then not the checkpoint's.
  public internal(set) var isRewritten = false

  /// The blocks that texts run through one after the other: all but a head.
  public var body: ArraySlice<Block> { purpose == .languageModel ? blocks.dropLast() : blocks[...] }

  public subscript(id: ParameterID) -> Parameter { parameters[id.index] }
  public subscript(id: ValueID) -> ValueType { valueTypes[id.index] }

  /// All parameter ids in order of first use.
  public var parameterIDs: [ParameterID] { parameters.indices.map(ParameterID.init(index:)) }

  /// Number of weights in all parameters; a tied one counts once.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.shape.elementCount } }

  /// The parameters first used in this block: a tied head belongs to the embedding's block.
  public func parameters(of block: Block) -> [ParameterID] {
    var isSeen = [Bool](repeating: false, count: parameters.count)
    for index in 0..<block.nodes.lowerBound { for id in nodes[index].parameters { isSeen[id.index] = true } }
    return firstUses(in: block, isSeen: &isSeen)
  }

  /// The same for every block, in one walk over the nodes.
  public var parametersByBlock: [[ParameterID]] {
    var isSeen = [Bool](repeating: false, count: parameters.count)
    return blocks.map { firstUses(in: $0, isSeen: &isSeen) }
  }

  private func firstUses(in block: Block, isSeen: inout [Bool]) -> [ParameterID] {
    var found: [ParameterID] = []
    for index in block.nodes {
      for id in nodes[index].parameters where !isSeen[id.index] {
        isSeen[id.index] = true
        found.append(id)
      }
    }
    return found
  }

  /// The value a block starts from and the one it ends in (`verify` holds it to one each).
  public func boundary(of block: Block) -> (input: ValueID, output: ValueID) {
    let first = block.nodes.lowerBound
    return (first == 0 ? input : nodes[first - 1].output, nodes[block.nodes.upperBound - 1].output)
  }

  /// The linear nodes of a block, with their weights; those of adapters aside.
  public func linears(of block: Block) -> [(node: Node, weight: ParameterID)] {
    nodes[block.nodes].compactMap { node in
      guard case .linear = node.operation, let weight = node.parameters.first, !self[weight].role.isAdapter else { return nil }
      return (node, weight)
    }
  }

  /// The parameters that several nodes use: a tied embedding.
  public var sharedParameters: Set<ParameterID> {
    var isSeen = [Bool](repeating: false, count: parameters.count)
    var shared = Set<ParameterID>()
    for index in nodes.indices {
      for id in nodes[index].parameters {
        if isSeen[id.index] { shared.insert(id) }
        isSeen[id.index] = true
      }
    }
    return shared
  }
}

extension ModelGraph {
  /// Puts other values in place of a parameter's. The shape must stay; width and rank changes belong to pruning.
  public mutating func replace(_ id: ParameterID, with weight: Weight) throws(GraphError) {
    let parameter = parameters[id.index]
    guard weight.shape == parameter.shape else {
      throw GraphError(tensor: parameter.name, "cannot become \(weight.shape), the model needs \(parameter.shape)")
    }
    parameters[id.index].replacedType = parameter.nativeType
    parameters[id.index].storage = .memory(weight)
    if case .quantized(let tensor) = weight { setInputQuantization(tensor.scheme.activations, for: id) }
  }

  /// The same model as a format of outputs wants it.
  /// - Parameters:
  ///   - scaleType: what scales are to be stored as; nil for the type of each weight.
  ///   - denseRoles: parameters that the format has no codes of.
  public func requiring(scalesOf scaleType: DataType?, dense denseRoles: Set<ParameterRole>) -> ModelGraph {
    var graph = self
    for index in graph.parameters.indices {
      graph.parameters[index].requiredScaleType = scaleType
      graph.parameters[index].staysDense = denseRoles.contains(parameters[index].role)
    }
    return graph
  }

  /// Lets a parameter's values go after they were written.
  public mutating func release(_ id: ParameterID) {
    guard let storage = parameters[id.index].weightStorage else { return }
    parameters[id.index].storage = .released(storage)
  }

  /// The same model with another kind of input quantization in every layer that quantizes its inputs now, to see what that costs.
  public func quantizingInputs(as quantization: ActivationQuantization) -> ModelGraph {
    var copy = self
    copy.inputQuantization = quantization == .none ? [:] : inputQuantization.mapValues { _ in quantization }
    return copy
  }

  mutating func setInputQuantization(_ quantization: ActivationQuantization, for id: ParameterID) {
    inputQuantization[id] = quantization == .none ? nil : quantization
  }
}
