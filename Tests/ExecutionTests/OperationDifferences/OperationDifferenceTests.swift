import Execution
import ModelGraph
import Tensors
import Testing

/// Every operation alone: its output against a float64 reference, and its gradients against central differences of that reference.
@Suite struct OperationDifferenceTests {
  static let all: [DifferenceCase] =
    DifferenceCase.products + DifferenceCase.storages + DifferenceCase.rows + DifferenceCase.mixing
    + DifferenceCase.experts + DifferenceCase.encoders

  /// What a layer's gradients are compared with.
  private struct Subject {
    let graph: ModelGraph
    let block: Block
    let weights: LoadedBlock
    let input: Matrix?
    let tokens: [Int32]
    let layout: SequenceLayout

    init(_ example: DifferenceCase) throws {
      graph = try example.graph()
      block = graph.blocks[example.checks == .embedding ? 0 : 1]
      let stored = try LoadedBlock(block, of: graph)
      var values: [ParameterID: Matrix] = [:]
      if example.isOverridden { for id in graph.parameters(of: block) { values[id] = try Matrix(graph[id]) } }
      weights = try stored.overriding(values, of: graph)
      layout = SequenceLayout(lengths: example.lengths, positions: example.positions)
      let rows = layout.rows
      // Some tokens come more than once, and two of the vocabulary never.
      tokens = (0..<rows).map { Int32($0 * $0 % 7) }
      input =
        example.checks == .embedding ? nil : sampleMatrix(rows: rows, columns: example.width, seed: 11, size: example.size)
    }

    func record(with interpreter: Interpreter) throws -> BlockTape {
      guard let input else { return try interpreter.runRecording(block, of: graph, weights: weights, tokens: tokens, sequences: layout) }
      return try interpreter.runRecording(block, of: graph, weights: weights, input: input, sequences: layout)
    }

    func run(with interpreter: Interpreter) throws -> Matrix {
      guard let input else { return try interpreter.run(block, of: graph, weights: weights, tokens: tokens, sequences: layout) }
      return try interpreter.run(block, of: graph, weights: weights, input: input, sequences: layout)
    }
  }

  @Test(arguments: all)
  func gradientsAreThoseOfDifferences(_ example: DifferenceCase) throws {
    var interpreter = Interpreter(pool: ThreadPool(threads: 2))
    interpreter.products = example.products
    let subject = try Subject(example)
    let (graph, block) = (subject.graph, subject.block)
    try #require(graph.nodes[block.nodes].contains { OperationKind($0.operation) == example.checks })
    var reference = try DoubleReference(
      graph, nodes: block.nodes, sequences: subject.layout, tokens: subject.tokens, input: subject.input.map(Grid.init))
    let tape = try subject.record(with: interpreter)
    #expect(relativeError(tape.output, reference.output) <= example.tolerance, "recorded output")
    #expect(relativeError(try subject.run(with: interpreter), reference.output) <= example.tolerance, "output")

    let slope = sampleMatrix(rows: tape.output.rows, columns: tape.output.columns, seed: 12)
    let weighting = Grid(slope)
    let wanted = Set(graph.nodes[block.nodes].flatMap(\.parameters))
    // Gradients of values within the layer: what each linear node's output gets from the nodes behind it.
    var inner: [ValueID: Matrix] = [:]
    let gradients = try interpreter.backward(
      tape, outputGradient: slope, wanting: wanted, inputGradient: subject.input != nil,
      observer: { node, gradient, _ in inner[node.output] = gradient.copy(rows: 0..<gradient.rows) })
    // What the caller handed in is as it was; compared outside of the expectations, which would list what differs.
    let isSlopeKept = Grid(slope).values == weighting.values
    #expect(isSlopeKept)
    let isInputKept = subject.input.map { Grid($0).values == reference.values[graph.boundary(of: block).input]?.values } ?? true
    #expect(isInputKept)
    // Lengths of rows count as constants, as does what is added to scores for choosing.
    let trained = wanted.filter { graph[$0].role != .adapterNorm && graph[$0].role != .routerCorrection }
    #expect(Set(gradients.parameters.keys) == trained)
    #expect(inner.count == graph.nodes[block.nodes].count { OperationKind($0.operation) == .linear })

    var found: [(place: DoubleReference.Place, gradient: Matrix, name: String)] = []
    if subject.input != nil {
      found.append((.value(graph.boundary(of: block).input), try #require(gradients.input), "input"))
    }
    for id in trained { found.append((.parameter(id), try #require(gradients.parameters[id]), graph[id].name)) }
    for (id, gradient) in inner { found.append((.value(id), gradient, "%\(id.index)")) }
    for (place, gradient, name) in found {
      let count = gradient.rows * gradient.columns, every = count <= 200 ? 1 : example.every
      let expected = reference.slopes(of: place, step: example.step, every: every) { $0.dot(weighting) }
      try #require(expected.count == (count + every - 1) / every, "\(name)")
      #expect(example.vanishes || largestMagnitude(expected) > 1e-3, "\(name) does not matter")
      let error = relativeError(gradient, expected, floor: example.vanishes ? 0.1 : 0)
      #expect(error <= example.tolerance, "gradient of \(name): \(error)")
    }

    let starts = gradients.parameters.mapValues { sampleMatrix(rows: $0.rows, columns: $0.columns, seed: 13) }
    let sums = starts.mapValues(Grid.init)
    let added = try interpreter.backward(tape, outputGradient: slope, wanting: wanted, inputGradient: false, addingTo: starts)
    for id in trained {
      let (alone, sum) = (Grid(try #require(gradients.parameters[id])), try #require(sums[id]))
      let error = relativeError(try #require(added.parameters[id]), sum.combined(with: alone, +))
      #expect(error <= example.tolerance, "\(graph[id].name) added to others: \(error)")
    }
  }

  /// A new operation fails here until it has a case, as does an activation.
  @Test func everyOperationHasACheck() {
    for kind in OperationKind.allCases { #expect(Self.all.contains { $0.checks == kind }, "\(kind.rawValue) is not checked") }
    for activation in Activation.allCases {
      #expect(Self.all.contains { $0.checks == .gatedActivation && $0.name.hasPrefix(activation.rawValue) }, "\(activation.rawValue)")
    }
  }
}
