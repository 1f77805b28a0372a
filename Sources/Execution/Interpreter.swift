import CKernels
import Diagnostics
import Distribution
import ModelGraph
import Tensors

/// A linear layer as it runs.
public struct LinearRun {
  public let node: Node
  public let input: Matrix
  public let output: Matrix
  /// What its router chose, for a layer of an expert.
  public let routed: RoutedRows?
  /// Which rows of the batch the input has; nil for all of them.
  public let rows: [Int32]?
  /// Whether another process runs it: what comes in and out is not here.
  package let isElsewhere: Bool

  init(node: Node, input: Matrix, output: Matrix, routed: RoutedRows?, rows: [Int32]?, isElsewhere: Bool = false) {
    (self.node, self.input, self.output, self.routed, self.rows) = (node, input, output, routed, rows)
    self.isElsewhere = isElsewhere
  }
}

/// Sees every linear layer as it runs; those of experts that no token was sent to with no rows.
public typealias LinearObserver = (LinearRun) throws -> Void

/// What a product's operands are rounded to; sums are float32 in any case.
public enum ProductPrecision: String, Sendable, Hashable, Codable, CaseIterable {
  case float32
  /// Nearly twice as fast where the processor multiplies it (AVX-512 BF16). For training: a run that measures uses float32.
  case bfloat16
  /// Finer than bfloat16 within a small range, which training keeps to by scaling its loss (Micikevicius et al. 2018). No faster than float32 here.
  case float16
}

/// What inference computes the products of linear layers in.
public enum Arithmetic: String, Sendable, Hashable, Codable, CaseIterable {
  /// Operands as they are: what accuracy is measured with.
  case float32
  /// Operands of 16 bits, sums in float32 or exact: for many rows bfloat16 of weights that are no codes, and for codes of any width activations
  /// as 16-bit integers with a scale per token, whose error is some thousandth of what bfloat16's would be. For few rows weights are streamed,
  /// and those that are no codes enter as they are. About twice as fast as float32 with AVX-512.
  case sixteenBit = "16bit"
}

/// The one interpreter of model graphs: calibration, evaluation and generation run blocks through it.
///
/// It is stateless but for cached rotary tables, so one may serve several graphs of the same process in turn.
public struct Interpreter: Sendable {
  public let pool: ThreadPool
  /// The form that keys and values are rounded through where there is no cache; a cache has its own.
  public var keyValues = KeyValueQuantization.none
  /// What the products of linear layers are computed in where nothing is trained.
  public var arithmetic = Arithmetic.float32
  /// What the products of linear layers and their gradients are computed in while training.
  public var products = ProductPrecision.float32
  let rotaryTables = RotaryTables()

  /// The processes that this one shares its work with.
  public let group: ProcessGroup
  /// Whether text runs through a block at all processes together, each of which has a part of every layer's outputs, or whole experts; else each
  /// runs text of its own.
  public let isTensorParallel: Bool
  /// The processes that run the same rows as this one, now.
  private(set) var peers = ProcessGroup.alone
  /// Whether the peers run whole experts each, else a part of every expert's outputs.
  private(set) var isExpertParallel = false

  public init(pool: ThreadPool, group: ProcessGroup = .alone, tensorParallel: Bool = false) {
    (self.pool, self.group, isTensorParallel) = (pool, group, tensorParallel && !group.isAlone)
  }

  /// The same for rows that all processes run together, where they do: all of them must make the same calls.
  /// - Parameter wholeExperts: whether each process runs whole experts, every one of them at one process, where there are enough. Observers see
  ///   what the others run as `isElsewhere`.
  package func forSharedRows(wholeExperts: Bool) -> Interpreter {
    var copy = self
    if isTensorParallel { (copy.peers, copy.isExpertParallel) = (group, wholeExperts) }
    return copy
  }

  /// The same with another arithmetic of its products.
  public func computing(in arithmetic: Arithmetic) -> Interpreter {
    var copy = self
    copy.arithmetic = arithmetic
    return copy
  }

  /// Looks tokens up: the block that starts a model.
  public func run(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, tokens: [Int32], sequences: SequenceLayout
  ) throws -> Matrix {
    try check(tokens, of: graph)
    return try result(
      of: block, in: graph, execute(block, of: graph, weights: weights, tokens: tokens, input: nil, sequences: sequences).values)
  }

  /// Runs a block on the activations that the one before it left.
  /// - Parameters:
  ///   - input: `[rows, width]`; it is not changed.
  ///   - cache: where keys and values of earlier tokens are and new ones go; one sequence only.
  ///   - observer: called for every linear layer.
  public func run(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, input: Matrix, sequences: SequenceLayout,
    cache: KeyValueCache? = nil, observer: LinearObserver? = nil
  ) throws -> Matrix {
    try result(
      of: block, in: graph,
      execute(
        block, of: graph, weights: weights, tokens: [], input: input, sequences: sequences, cache: cache, observer: observer
      ).values)
  }

  func check(_ tokens: [Int32], of graph: ModelGraph) throws {
    for token in tokens where token < 0 || Int(token) >= graph.vocabularySize {
      throw ExecutionError(
        "token \(token)", "is outside the model's vocabulary of \(graph.vocabularySize)",
        remedy: "use the tokenizer.json that belongs to the model")
    }
  }

  func result(of block: Block, in graph: ModelGraph, _ values: [ValueID: Matrix]) throws -> Matrix {
    guard let output = values[graph.boundary(of: block).output] else { throw ExecutionError(block.name, "computes nothing") }
    return output
  }

  /// What running a block leaves: values by who computes them, and what its routers chose.
  struct BlockValues {
    var values: [ValueID: Matrix] = [:]
    var routes: [ValueID: RoutedRows] = [:]
  }

  /// Runs the nodes in order and returns the last value and those to be kept, which are neither let go nor overwritten.
  func execute(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, tokens: [Int32], input: Matrix?, sequences: SequenceLayout,
    cache: KeyValueCache? = nil, observer: LinearObserver? = nil, keeping kept: Set<ValueID> = []
  ) throws -> BlockValues {
    var given: [ValueID: Matrix] = [:]
    if let input { given[graph.boundary(of: block).input] = input }
    return try execute(
      block.nodes, of: graph, weights: weights, tokens: tokens, given: given, sequences: sequences, cache: cache, observer: observer,
      keeping: kept)
  }

  /// - Parameter given: values that these nodes read and others have computed; they are not changed.
  func execute(
    _ nodes: Range<Int>, of graph: ModelGraph, weights: LoadedBlock, tokens: [Int32] = [], given: [ValueID: Matrix],
    sequences: SequenceLayout, cache: KeyValueCache? = nil, observer: LinearObserver? = nil, keeping kept: Set<ValueID> = []
  ) throws -> BlockValues {
    var lastUse: [ValueID: Int] = [:]
    for index in nodes { for value in graph.nodes[index].inputs { lastUse[value] = index } }
    var values = given
    var routes: [ValueID: RoutedRows] = [:]
    let routings = isExpertParallel ? graph.routings(of: nodes) : [:]
    for index in nodes {
      let node = graph.nodes[index]
      if isElsewhere(node, in: graph, routings) {
        try runElsewhere(node, of: graph, routes, observer: observer)
        continue
      }
      let inputs = node.inputs.compactMap { values[$0] }
      // What no later node reads may be overwritten, except the caller's own input.
      let spent = node.inputs.map { lastUse[$0] == index && given[$0] == nil && !kept.contains($0) }
      // An expert that no row came to is not even read.
      let isIdle = node.operation == .linear && inputs.first?.rows == 0
      let parameters = isIdle ? [] : try node.parameters.compactMap { try weights.parameter($0) }
      let output: Matrix
      switch node.operation {
      case .embedding: output = embed(tokens, parameters[0], width: graph[node.output].width ?? 0)
      case .linear:
        output =
          isIdle
          ? Matrix(rows: 0, columns: graph[node.output].width ?? 0)
          : try sharedLinear(
            inputs[0], parameters[0], bias: parameters.count > 1 ? parameters[1].vector : nil,
            quantization: graph.inputQuantization[node.parameters[0]] ?? .none,
            isWhole: expertOwner(of: node.output, in: graph, routings) != nil)
        WorkMeter.add(Double(inputs[0].rows) * Double(inputs[0].columns) * Double(output.columns))
        try observer?(
          LinearRun(
            node: node, input: inputs[0], output: output, routed: graph[node.output].route.flatMap { routes[$0.routing] },
            rows: graph.rows(of: node.output, in: routes)))
      case .rmsNorm(let epsilon, let width): output = rmsNorm(inputs[0], parameters[0], epsilon: epsilon, width: width)
      case .layerNorm(let epsilon): output = layerNorm(inputs[0], gain: parameters[0], bias: parameters[1], epsilon: epsilon)
      case .dynamicTanh: output = dynamicTanh(inputs[0], parameters)
      case .addRow(let choice): output = addRow(inputs[0], parameters[0], choice, sequences)
      case .activation(let activation): output = activate(inputs[0], activation, inPlace: spent[0])
      case .rotary(let rotary): output = rotate(inputs[0], rotary, sequences, inPlace: spent[0])
      case .attention(let attention):
        output = try attend(inputs[0], inputs[1], inputs[2], attention, sequences, cache: cache, node: node)
      case .latentAttention(let heads):
        output = try attend(
          inputs[0], Latents(latents: inputs[1], rotaryKeys: inputs[2]),
          LatentProjection(
            weight: parameters[0], bias: parameters.count > 1 ? parameters[1].vector : nil,
            quantization: graph.inputQuantization[node.parameters[0]] ?? .none),
          heads, sequences, cache: cache, node: node)
      case .gatedActivation(let activation): output = gate(inputs[0], inputs[1], activation, inPlace: spent[0])
      case .add: output = add(inputs[0], inputs[1], leftSpent: spent[0], rightSpent: spent[1])
      case .scale(let factor): output = scale(inputs[0], by: factor, inPlace: spent[0])
      case .magnitude: output = setMagnitude(inputs[0], parameters, inPlace: spent[0])
      case .slice(let slice): output = self.slice(inputs[0], slice)
      case .joinHeads(let join): output = joinHeads(inputs[0], inputs[1], join)
      case .route(let routing):
        routes[node.output] = route(inputs[0], correction: parameters.first?.vector, routing)
        continue
      case .dispatch(let expert): output = dispatch(inputs[0], to: expert, try routes.rows(of: node.inputs[1], node))
      case .combine: output = try combine(node, of: graph, try routes.rows(of: node.inputs[0], node), values)
      }
      for value in node.inputs where lastUse[value] == index && !kept.contains(value) { values[value] = nil }
      values[node.output] = output
    }
    return BlockValues(values: values, routes: routes)
  }
}

extension [ValueID: RoutedRows] {
  func rows(of value: ValueID, _ node: Node) throws -> RoutedRows {
    guard let routed = self[value] else { throw ExecutionError(node.scope, "runs before its router", kind: .usage) }
    return routed
  }
}

extension ModelGraph {
  /// Which rows of the batch a value has; nil for all.
  func rows(of value: ValueID, in routes: [ValueID: RoutedRows]) -> [Int32]? {
    self[value].route.flatMap { routes[$0.routing]?.rows(of: $0.expert) }
  }
}
