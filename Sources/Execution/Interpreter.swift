import CKernels
import ModelGraph
import Tensors

/// Sees every linear layer as it runs: the weight, its input and its output.
public typealias LinearObserver = (_ node: Node, _ input: Matrix, _ output: Matrix) throws -> Void

/// What a product's operands are rounded to; sums are float32 in any case.
public enum ProductPrecision: String, Sendable, Hashable, Codable, CaseIterable {
  case float32
  /// Nearly twice as fast where the processor multiplies it (AVX-512 BF16). For training: a run that measures uses float32.
  case bfloat16
  /// Finer than bfloat16 within a small range, which training keeps to by scaling its loss (Micikevicius et al. 2018). No faster than float32 here.
  case float16
}

/// The one interpreter of model graphs: calibration, evaluation and generation run blocks through it.
///
/// It is stateless but for cached rotary tables, so one may serve several graphs of the same process in turn.
public struct Interpreter: Sendable {
  public let pool: ThreadPool
  /// The form that keys and values are rounded through where there is no cache; a cache has its own.
  public var keyValues = KeyValueQuantization.none
  /// What the products of linear layers and their gradients are computed in.
  public var products = ProductPrecision.float32
  let rotaryTables = RotaryTables()

  public init(pool: ThreadPool) { self.pool = pool }

  /// Looks tokens up: the block that starts a model.
  public func run(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, tokens: [Int32], sequences: SequenceLayout
  ) throws -> Matrix {
    try check(tokens, of: graph)
    return try result(
      of: block, in: graph, execute(block, of: graph, weights: weights, tokens: tokens, input: nil, sequences: sequences))
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
        block, of: graph, weights: weights, tokens: [], input: input, sequences: sequences, cache: cache, observer: observer))
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

  /// Runs the nodes in order and returns the last value and those to be kept, which are neither let go nor overwritten.
  func execute(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, tokens: [Int32], input: Matrix?, sequences: SequenceLayout,
    cache: KeyValueCache? = nil, observer: LinearObserver? = nil, keeping kept: Set<ValueID> = []
  ) throws -> [ValueID: Matrix] {
    let boundary = graph.boundary(of: block)
    var lastUse: [ValueID: Int] = [:]
    for index in block.nodes { for value in graph.nodes[index].inputs { lastUse[value] = index } }
    var values: [ValueID: Matrix] = [:]
    if let input { values[boundary.input] = input }
    for index in block.nodes {
      let node = graph.nodes[index]
      let inputs = node.inputs.compactMap { values[$0] }
      // What no later node reads may be overwritten, except the caller's own input.
      let spent = node.inputs.map { lastUse[$0] == index && $0 != boundary.input && !kept.contains($0) }
      let parameters = node.parameters.compactMap { weights.parameters[$0] }
      let output: Matrix
      switch node.operation {
      case .embedding: output = embed(tokens, parameters[0], width: graph[node.output].width ?? 0)
      case .linear:
        output = linear(
          inputs[0], parameters[0], bias: parameters.count > 1 ? parameters[1].vector : nil,
          quantization: graph.inputQuantization[node.parameters[0]] ?? .none)
        try observer?(node, inputs[0], output)
      case .rmsNorm(let epsilon, let width): output = rmsNorm(inputs[0], parameters[0], epsilon: epsilon, width: width)
      case .rotary(let rotary): output = rotate(inputs[0], rotary, sequences, inPlace: spent[0])
      case .attention(let attention):
        output = attend(inputs[0], inputs[1], inputs[2], attention, sequences, cache: cache, node: node)
      case .gatedActivation(let activation): output = gate(inputs[0], inputs[1], activation, inPlace: spent[0])
      case .add: output = add(inputs[0], inputs[1], leftSpent: spent[0], rightSpent: spent[1])
      case .scale(let factor): output = scale(inputs[0], by: factor, inPlace: spent[0])
      case .magnitude: output = setMagnitude(inputs[0], parameters, inPlace: spent[0])
      }
      for value in node.inputs where lastUse[value] == index && !kept.contains(value) { values[value] = nil }
      values[node.output] = output
    }
    return values
  }
}
