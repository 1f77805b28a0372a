import Diagnostics
import ModelGraph

/// One walk from a block's output back to what is wanted.
final class BackwardPass {
  let interpreter: Interpreter
  let tape: BlockTape
  let wanted: Set<ParameterID>
  /// Values whose gradients lead to something wanted.
  private let needed: Set<ValueID>
  /// Gradients of values whose consumers were all, or in part, walked over.
  private var gradients: [ValueID: Matrix] = [:]
  private var parameters: [ParameterID: Matrix]
  /// Sees the gradient of every linear layer's output.
  let observer: ((_ node: Node, _ outputGradient: Matrix, _ rows: [Int32]?) throws -> Void)?

  var pool: ThreadPool { interpreter.pool }

  init(
    _ interpreter: Interpreter, _ tape: BlockTape, wanting wanted: Set<ParameterID>, inputGradient: Bool,
    addingTo sums: [ParameterID: Matrix],
    observer: ((_ node: Node, _ outputGradient: Matrix, _ rows: [Int32]?) throws -> Void)? = nil
  ) {
    self.interpreter = interpreter
    self.tape = tape
    self.wanted = wanted
    parameters = sums
    self.observer = observer
    let graph = tape.graph
    var needed: Set<ValueID> = inputGradient ? [graph.boundary(of: tape.block).input] : []
    for node in graph.nodes[tape.block.nodes] {
      if node.inputs.contains(where: needed.contains) || node.parameters.contains(where: wanted.contains) {
        needed.insert(node.output)
      }
    }
    self.needed = needed
  }

  func run(_ outputGradient: Matrix) throws -> BlockGradients {
    let boundary = tape.graph.boundary(of: tape.block)
    if needed.contains(boundary.output) { gradients[boundary.output] = outputGradient }
    for index in tape.block.nodes.reversed() {
      let node = tape.graph.nodes[index]
      guard var gradient = gradients.removeValue(forKey: node.output) else { continue }
      switch node.operation {
      case .embedding: try embedding(node, gradient)
      case .linear: try linear(node, gradient)
      case .rmsNorm(let epsilon, let width): try rmsNorm(node, gradient, epsilon: epsilon, width: width)
      case .layerNorm(let epsilon): try layerNorm(node, gradient, epsilon: epsilon)
      case .dynamicTanh: try dynamicTanh(node, gradient)
      case .addRow(let choice): try addRow(node, gradient, choice)
      case .activation(let activation): try self.activation(node, gradient, activation)
      case .rotary(let rotary): try rotate(node, &gradient, rotary)
      case .attention(let attention): try self.attention(node, gradient, attention)
      case .latentAttention: throw ExecutionError(node.scope, "is a form that only decoding has: it has no gradient", kind: .usage)
      case .gatedActivation(let activation): try gatedActivation(node, gradient, activation)
      case .add: for input in node.inputs { contribute(gradient, to: input) }
      case .scale(let factor):
        let own = isKnownUniquelyReferenced(&gradient)
        contribute(interpreter.scale(gradient, by: factor, inPlace: own), to: node.inputs[0])
      case .magnitude: try magnitude(node, gradient)
      case .slice(let slice): self.slice(node, gradient, slice)
      case .joinHeads(let join): joinHeads(node, gradient, join)
      case .route(let routing): try route(node, gradient, routing)
      case .dispatch(let expert): try dispatch(node, gradient, expert)
      case .combine: try combine(node, gradient)
      }
    }
    return BlockGradients(
      parameters: parameters, input: boundary.input == tape.graph.input ? nil : gradients[boundary.input])
  }

  func isNeeded(_ value: ValueID) -> Bool { needed.contains(value) }

  /// Where the gradient of a value goes: a matrix to write, or to add to when another consumer was there first; nil when nobody needs it.
  func target(for value: ValueID, rows: Int, columns: Int) -> (matrix: Matrix, accumulate: Bool)? {
    guard needed.contains(value) else { return nil }
    guard var sum = gradients.removeValue(forKey: value) else {
      let matrix = Matrix(uninitializedRows: rows, columns: columns)
      gradients[value] = matrix
      return (matrix, false)
    }
    // Both inputs of a sum have the same gradient, and the first one is the caller's.
    if !isKnownUniquelyReferenced(&sum) { sum = interpreter.copy(sum) }
    gradients[value] = sum
    return (sum, true)
  }

  /// Adds a finished gradient to that of a value. The matrix must not be changed afterwards.
  func contribute(_ gradient: Matrix, to value: ValueID) {
    guard needed.contains(value) else { return }
    guard gradients[value] != nil, let sum = target(for: value, rows: gradient.rows, columns: gradient.columns) else {
      gradients[value] = gradient
      return
    }
    sum.matrix.adds(gradient, pool: pool)
  }

  /// Where the gradient of a parameter goes; nil when it is not wanted.
  func target(for id: ParameterID, rows: Int, columns: Int) throws -> (matrix: Matrix, accumulate: Bool)? {
    guard wanted.contains(id) else { return nil }
    guard let sum = parameters[id] else {
      let matrix = Matrix(uninitializedRows: rows, columns: columns)
      parameters[id] = matrix
      return (matrix, false)
    }
    guard sum.rows == rows, sum.columns == columns else {
      throw ExecutionError(
        tape.graph[id].name, "has a gradient of \(rows) × \(columns) values, the sum has \(sum.rows) × \(sum.columns)", kind: .usage)
    }
    return (sum, true)
  }

  /// The same for kernels that can only add.
  func sum(for id: ParameterID, rows: Int, columns: Int) throws -> Matrix? {
    guard let target = try target(for: id, rows: rows, columns: columns) else { return nil }
    if !target.accumulate { target.matrix.pointer.initialize(repeating: 0, count: target.matrix.values) }
    return target.matrix
  }
}
