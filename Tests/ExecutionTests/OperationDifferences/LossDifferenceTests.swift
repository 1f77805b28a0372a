import Execution
import ModelGraph
import Tensors
import Testing

/// Heads with each of the losses: the loss against float64, and its gradients against central differences.
@Suite struct LossDifferenceTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let kind: LossKind
    var vocabulary = 17
    var temperature: Float = 1
    var rows = 11
    var tileRows = 256
    /// Logits are about as large as the inputs.
    var size = 1.0
    var hasNorm = true

    var testDescription: String { "\(kind.rawValue) of \(vocabulary), \(rows) rows by \(tileRows), T \(temperature), ±\(size)" }
  }

  static let all: [Case] =
    LossKind.allCases.flatMap { kind in
      [
        Case(kind: kind), Case(kind: kind, vocabulary: 5, rows: 3), Case(kind: kind, vocabulary: 33, tileRows: 4),
        Case(kind: kind, vocabulary: 131, rows: 6, tileRows: 1), Case(kind: kind, size: 12, hasNorm: false),
      ]
    }
    + [0.7, 2, 5].flatMap { temperature in
      [LossKind.teacher, .partial].flatMap { kind in
        [Case(kind: kind, temperature: temperature), Case(kind: kind, vocabulary: 33, temperature: temperature, tileRows: 5)]
      }
    }

  private static let width = 7

  private static func graph(_ example: Case) throws -> ModelGraph {
    var tiny = TinyGraph(vocabulary: example.vocabulary)
    let embedded = try tiny.embedding(width: width)
    var x = try tiny.linear(embedded, "layer", outputs: width)
    tiny.endLayer()
    if example.hasNorm { x = try tiny.rmsNorm(x, "norm", epsilon: 1e-5) }
    let logits = try tiny.head(x, bias: true)
    return try tiny.finish(logits)
  }

  private static func partial(_ example: Case) -> LossTarget.PartialDistributions {
    var result = LossTarget.PartialDistributions(kept: 3, ids: [], probabilities: [], temperature: example.temperature)
    for row in 0..<example.rows {
      result.ids += [UInt32(row % 2), 2, UInt32(example.vocabulary - 1)]
      result.probabilities += [0.3, 0.1 + 0.02 * Float(row), row % 3 == 0 ? 0.25 : 0.05]
    }
    return result
  }

  /// Some beyond the clip on either side, most within.
  private static func policy(_ example: Case) -> LossTarget.Policy {
    var result = LossTarget.Policy(tokens: [], advantages: [], logProbabilities: [], clip: 3)
    for row in 0..<example.rows {
      result.tokens.append(Int32((row * 7 + 3) % example.vocabulary))
      result.advantages.append(row % 3 == 0 ? -1.5 : 0.5 + 0.3 * Float(row))
      result.logProbabilities.append(row % 4 == 1 ? -1 : -4)
    }
    return result
  }

  private static func target(_ example: Case, _ head: Block, _ graph: ModelGraph, _ weights: LoadedBlock) -> LossTarget {
    switch example.kind {
    // A row that is not scored need not have a token.
    case .tokens: .tokens((0..<example.rows).map { $0 % 4 == 2 ? -1 : Int32(($0 * 7 + 3) % example.vocabulary) })
    case .drawn: .drawn(seed: 5, firstRow: 40)
    case .partial: .partial(partial(example))
    case .policy: .policy(policy(example))
    case .teacher:
      .teacher(
        .init(
          block: head, graph: graph, weights: weights,
          input: sampleMatrix(rows: example.rows, columns: width, seed: 22, size: example.size), temperature: example.temperature))
    }
  }

  @Test(arguments: all)
  func gradientsAreThoseOfDifferences(_ example: Case) throws {
    let interpreter = Interpreter(pool: ThreadPool(threads: 2))
    let graph = try Self.graph(example)
    let head = graph.blocks[graph.blocks.count - 1], weights = try LoadedBlock(head, of: graph)
    let input = sampleMatrix(rows: example.rows, columns: Self.width, seed: 21, size: example.size)
    let rowWeights = (0..<example.rows).map { $0 % 4 == 2 ? 0 : Float(0.2 + 0.1 * Double($0)) }
    let target = Self.target(example, head, graph, weights)
    let ids = graph.parameters(of: head)
    // What is added to others: the sums come back larger by the gradients.
    let others = Dictionary(
      uniqueKeysWithValues: ids.map { id in
        let shape = graph[id].shape.dimensions
        return (id, sampleMatrix(rows: shape.count == 2 ? shape[0] : 1, columns: shape.last ?? 0, seed: 23))
      })
    let before = others.mapValues(Grid.init)
    let found = try interpreter.headLoss(
      head, of: graph, weights: weights, input: input, target: target, rowWeights: rowWeights, wanting: Set(ids), inputGradient: true,
      tileRows: example.tileRows, addingTo: others)

    var reference = try DoubleReference(
      graph, nodes: head.nodes, sequences: SequenceLayout(lengths: [example.rows]), input: Grid(input))
    let loss = try DoubleLoss(target, logits: reference.output, rowWeights: rowWeights)
    let expectedLoss = loss(reference.output)
    #expect(abs(found.loss - expectedLoss) <= 1e-6 * abs(expectedLoss), "\(found.loss) instead of \(expectedLoss)")
    #expect(abs(expectedLoss) > 0.01)
    let inputSlopes = reference.slopes(of: .value(graph.boundary(of: head).input), step: 1e-5) { loss($0) }
    let inputError = relativeError(try #require(found.gradients.input), inputSlopes)
    #expect(inputError <= 2e-6, "gradient of the input: \(inputError)")
    #expect(Set(found.gradients.parameters.keys) == Set(ids))
    for id in ids {
      let slopes = reference.slopes(of: .parameter(id), step: 1e-5) { loss($0) }
      let sum = try #require(found.gradients.parameters[id]), start = try #require(before[id])
      #expect(slopes.count == start.values.count && largestMagnitude(slopes) > 0.01)
      let error = relativeError(sum, slopes.reduce(into: [:]) { $0[$1.key] = $1.value + start.values[$1.key] })
      #expect(error <= 2e-6, "gradient of \(graph[id].name): \(error)")
    }
  }

  @Test func everyLossHasACheck() throws {
    for kind in LossKind.allCases {
      let example = try #require(Self.all.first { $0.kind == kind })
      let graph = try Self.graph(example), head = graph.blocks[2]
      #expect(LossKind(Self.target(example, head, graph, try LoadedBlock(head, of: graph))) == kind)
    }
  }
}
