import Execution
import Foundation
import ModelGraph
import Tensors

/// A run of nodes in float64, each operation written from its definition: slow and plain, and without any kernel of the project.
struct DoubleReference {
  let graph: ModelGraph
  let nodes: Range<Int>
  let sequences: SequenceLayout
  let tokens: [Int32]
  /// Vectors are one row.
  private(set) var parameters: [ParameterID: Grid] = [:]
  /// Every value, as computed before anything was moved.
  private(set) var values: [ValueID: Grid] = [:]
  /// What rounding to int8 added to the inputs of linear nodes, by their output. It is held while elements move, since gradients pass
  /// straight through the rounding.
  private var roundings: [ValueID: Grid] = [:]

  /// - Parameter input: what enters the first node; nil when that looks tokens up.
  init(_ graph: ModelGraph, nodes: Range<Int>, sequences: SequenceLayout, tokens: [Int32] = [], input: Grid? = nil) throws {
    (self.graph, self.nodes, self.sequences, self.tokens) = (graph, nodes, sequences, tokens)
    for id in Set(graph.nodes[nodes].flatMap(\.parameters)) { parameters[id] = try StoredForm.values(of: graph[id].load()) }
    if let input { values[graph.nodes[nodes.lowerBound].inputs[0]] = input }
    for node in graph.nodes[nodes] {
      if case .linear = node.operation, let kind = graph.inputQuantization[node.parameters[0]], let x = values[node.inputs[0]] {
        let scale = try kind == .int8Static ? StoredForm.inputScale(of: graph[node.parameters[0]].load()) : nil
        roundings[node.output] = Self.int8Rounding(of: x, scale: scale)
      }
      values[node.output] = compute(node, node.inputs.compactMap { values[$0] })
    }
  }

  var output: Grid { values[graph.nodes[nodes.upperBound - 1].output] ?? Grid(rows: 0, columns: 0) }

  /// What one element can belong to.
  enum Place: Hashable {
    case value(ValueID)
    case parameter(ParameterID)
  }

  /// Central differences of a function of the output by every `every`-th element of a value or a parameter, each element alone being moved.
  mutating func slopes(of place: Place, step: Double, every: Int = 1, _ loss: (Grid) -> Double) -> [Int: Double] {
    var slopes: [Int: Double] = [:]
    switch place {
    case .value(let id):
      guard let start = values[id] else { return [:] }
      let next = (nodes.first { graph.nodes[$0].output == id }).map { $0 + 1 } ?? nodes.lowerBound
      for index in stride(from: 0, to: start.values.count, by: every) {
        slopes[index] = centralDifference(step) { move in
          var moved = start
          moved.values[index] += move
          return loss(rerun(from: next, with: [id: moved]))
        }
      }
    case .parameter(let id):
      guard let start = parameters[id], let first = nodes.first(where: { graph.nodes[$0].parameters.contains(id) }) else { return [:] }
      for index in stride(from: 0, to: start.values.count, by: every) {
        slopes[index] = centralDifference(step) { move in
          parameters[id]?.values[index] = start.values[index] + move
          return loss(rerun(from: first, with: [:]))
        }
        parameters[id]?.values[index] = start.values[index]
      }
    }
    return slopes
  }

  private func centralDifference(_ step: Double, _ loss: (Double) -> Double) -> Double { (loss(step) - loss(-step)) / (2 * step) }

  private func rerun(from first: Int, with moved: [ValueID: Grid]) -> Grid {
    var now = moved
    for node in graph.nodes[first..<nodes.upperBound] {
      now[node.output] = compute(node, node.inputs.compactMap { now[$0] ?? values[$0] })
    }
    return now[graph.nodes[nodes.upperBound - 1].output] ?? output
  }

  /// No default: a new operation has no reference until it is written here.
  private func compute(_ node: Node, _ x: [Grid]) -> Grid {
    let parameters = node.parameters.compactMap { self.parameters[$0] }
    switch node.operation {
    case .embedding:
      return Grid(rows: tokens.count, columns: parameters[0].columns, values: tokens.flatMap { parameters[0].row(Int($0)) })
    case .linear:
      let input = roundings[node.output].map { x[0].combined(with: $0, +) } ?? x[0]
      let product = Self.product(input, parameters[0])
      return parameters.count > 1 ? product.combinedByColumn(with: parameters[1], +) : product
    case .rmsNorm(let epsilon, let width): return Self.rmsNorm(x[0], parameters[0], epsilon: Double(epsilon), width: width)
    case .rotary(let rotary): return rotate(x[0], rotary)
    case .attention(let attention): return attend(x[0], x[1], x[2], attention)
    case .gatedActivation(let activation): return x[0].combined(with: x[1]) { Self.activation(activation, $0) * $1 }
    case .add: return x[0].combined(with: x[1], +)
    case .scale(let factor): return x[0].map { $0 * Double(factor) }
    case .magnitude:
      // A row of the weight that is all zeros has no direction: it stays zero.
      let factors = parameters[0].combined(with: parameters[1]) { $1 > 0 ? $0 / $1 : 0 }
      let scaled = x[0].combinedByColumn(with: factors, *)
      return parameters.count > 2 ? scaled.combinedByColumn(with: parameters[2], +) : scaled
    case .layerNorm(let epsilon): return Self.layerNorm(x[0], gain: parameters[0], bias: parameters[1], epsilon: Double(epsilon))
    case .dynamicTanh:
      let turned = x[0].map { tanh($0 * parameters[2].values[0]) }
      return turned.combinedByColumn(with: parameters[0], *).combinedByColumn(with: parameters[1], +)
    case .addRow(let choice): return addRow(x[0], parameters[0], choice)
    case .activation(let activation): return x[0].map { Self.activation(activation, $0) }
    case .latentAttention: return Grid(rows: 0, columns: 0)  // Only decoding has it.
    case .slice(let slice): return Self.slice(x[0], slice)
    case .joinHeads(let join): return Self.join(x[0], x[1], join)
    case .route(let routing): return Self.route(x[0], correction: parameters.first, routing)
    case .dispatch(let expert):
      let rows = (0..<x[0].rows).filter { x[1][$0, expert] != 0 }
      return Grid(rows: rows.count, columns: x[0].columns, values: rows.flatMap { x[0].row($0) })
    case .combine: return Self.combine(x[0], Array(x.dropFirst()), width: graph[node.output].width ?? 0)
    }
  }
}
