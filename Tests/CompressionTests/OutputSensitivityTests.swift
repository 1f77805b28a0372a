import Diagnostics
import Distribution
import Execution
import Foundation
import ModelGraph
import Synchronization
import Tensors
import Testing

@testable import Compression

/// Random weights by name and shape.
private struct RandomWeights: WeightSource {
  let shapes: [String: Shape]
  var names: [String] { shapes.keys.sorted() }
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? { shapes[name].map { ($0, .dense(.float32)) } }
  func load(_ name: String) throws -> Weight {
    let shape = shapes[name] ?? [0]
    var random = SeededRandom(seed: name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    return .dense(Tensor((0..<shape.elementCount).map { _ in Float(random.nextUnit() * 2 - 1) }, shape: shape))
  }
}

@Suite struct OutputSensitivityTests {
  private let windows: [[Int32]] = [[1, 5, 2, 9, 9, 3], [4, 0, 8], [7, 6, 5, 4, 3, 2, 1]]

  /// Two gated layers, every linear with a bias. Tokens do not see each other.
  private func model() throws -> ModelGraph {
    var shapes: [String: Shape] = ["embed.weight": [10, 8], "head.weight": [10, 8]]
    for layer in 0..<2 {
      for (name, outputs, inputs) in [("gate", 12, 8), ("up", 12, 8), ("down", 8, 12)] {
        shapes["\(layer).\(name).weight"] = [outputs, inputs]
        shapes["\(layer).\(name).bias"] = [outputs]
      }
    }
    var builder = GraphBuilder(family: "toy", vocabularySize: 10, maximumPositions: 8, weights: RandomWeights(shapes: shapes))
    var hidden = try builder.embedding(builder.input, "embed", width: 8)
    builder.endBlock(.embedding, "embed")
    for layer in 0..<2 {
      let gate = try builder.linear(hidden, "\(layer).gate", outputs: 12, role: .mlpGate, bias: true)
      let up = try builder.linear(hidden, "\(layer).up", outputs: 12, role: .mlpUp, bias: true)
      let active = builder.gatedActivation(gate: gate, up: up, .silu, scope: "\(layer)")
      let down = try builder.linear(active, "\(layer).down", outputs: 8, role: .mlpDown, bias: true)
      hidden = builder.add(hidden, down, scope: "\(layer)")
      builder.endBlock(.layer(layer), "\(layer)")
    }
    let logits = try builder.linear(hidden, "head", outputs: 10, role: .languageModelHead)
    builder.endBlock(.head, "head")
    return try builder.finish(output: logits)
  }

  private func measure(
    _ graph: ModelGraph, threads: Int, batchRows: Int = 9, waveBytes: Int = 1 << 30, group: ProcessGroup = .alone
  ) throws -> OutputSensitivity {
    let directory = FileManager.default.temporaryDirectory
    let stream = try CalibrationStream(
      windows: windows, of: graph, interpreter: Interpreter(pool: ThreadPool(threads: threads), group: group),
      needs: [.calibration, .gradients], spillingTo: directory, batchRows: batchRows)
    let reports = Mutex<[StageProgress]>([])
    let result = try OutputSensitivity.measure(stream, seed: 11, spillingTo: directory, waveBytes: waveBytes) { step in
      reports.withLock { $0.append(step) }
    }
    let shares = reports.withLock { $0.map(\.share) }
    #expect(shares.count > 2 && shares.first == 0 && shares.last == 1 && zip(shares, shares.dropFirst()).allSatisfy { $0 <= $1 })
    return result
  }

  /// The gradients of every token's layer outputs, found a token at a time: those of the biases.
  private func biasGradients(_ graph: ModelGraph) throws -> [String: [[Float]]] {
    let interpreter = Interpreter(pool: ThreadPool(threads: 1))
    let loaded = try graph.blocks.map { try LoadedBlock($0, of: graph) }
    let one = SequenceLayout(lengths: [1])
    var result: [String: [[Float]]] = [:]
    for (index, token) in windows.joined().enumerated() {
      let start = try interpreter.run(graph.blocks[0], of: graph, weights: loaded[0], tokens: [token], sequences: one)
      let first = try interpreter.runRecording(graph.blocks[1], of: graph, weights: loaded[1], input: start, sequences: one)
      let second = try interpreter.runRecording(graph.blocks[2], of: graph, weights: loaded[2], input: first.output, sequences: one)
      let loss = try interpreter.headLoss(
        graph.blocks[3], of: graph, weights: loaded[3], input: second.output, target: .drawn(seed: 11, firstRow: index), rowWeights: [1],
        wanting: [], inputGradient: true)
      let behind = try interpreter.backward(
        second, outputGradient: try #require(loss.gradients.input), wanting: Set(graph.parameterIDs), inputGradient: true)
      let before = try interpreter.backward(
        first, outputGradient: try #require(behind.input), wanting: Set(graph.parameterIDs), inputGradient: true)
      for (id, gradient) in behind.parameters.merging(before.parameters, uniquingKeysWith: { one, _ in one })
      where graph[id].name.hasSuffix(".bias") {
        result[String(graph[id].name.dropLast(5)), default: []].append((0..<gradient.columns).map { gradient.pointer[$0] })
      }
    }
    return result
  }

  @Test func factorsAreSumsOverTheTokensOfTheirGradients() throws {
    let graph = try model()
    let sensitivity = try measure(graph, threads: 2)
    let gradients = try biasGradients(graph)
    #expect(gradients.count == 6 && sensitivity.tokens == 16)
    for block in graph.blocks[1...2] {
      var squares: [ValueID: [Double]] = [:]
      for (node, weight) in graph.linears(of: block) {
        let expected = try #require(gradients[node.scope])
        #expect(expected.count == 16 && expected.joined().contains { $0 != 0 })
        let gram = try #require(try sensitivity.factor(of: weight))
        #expect(gram.tokens == 16 && gram.totalWeight == 16)
        let values = gram.symmetric(pool: ThreadPool(threads: 1))
        let largest = (0..<values.rows).map { values.row($0)[$0] }.max() ?? 0
        for i in 0..<values.rows {
          for j in 0..<values.columns {
            let sum = expected.reduce(0) { $0 + Double($1[i]) * Double($1[j]) }
            #expect(abs(Double(values.row(i)[j]) - sum) <= 1e-4 * Double(largest), "\(node.scope) \(i) \(j)")
          }
        }
        let own = expected.map { $0.reduce(0.0) { $0 + Double($1) * Double($1) } }
        let value = node.inputs[0]
        squares[value] = zip(squares[value] ?? own.map { _ in 0 }, own).map { $0 + $1 }
      }
      #expect(squares.count == 2)
      for (value, sums) in squares {
        let importance = try #require(try sensitivity.importance(readersOf: value, in: block, of: graph))
        let mean = sums.reduce(0, +) / 16
        for (actual, sum) in zip(importance, sums) { #expect(abs(Double(actual) - sum / mean) <= 1e-3 * (1 + sum / mean)) }
        #expect(abs(importance.reduce(0.0) { $0 + Double($1) } / 16 - 1) < 1e-5)
      }
    }
    // Only layers are measured: the head's weight, and values nothing linear reads, are unknown.
    let head = try #require(graph.linears(of: graph.blocks[3]).first)
    #expect(try sensitivity.factor(of: head.weight) == nil)
    #expect(try sensitivity.importance(readersOf: head.node.inputs[0], in: graph.blocks[3], of: graph) == nil)
  }

  /// The bits of all that is known of a model's layers.
  private func bits(_ sensitivity: OutputSensitivity, _ graph: ModelGraph) throws -> [String: [UInt32]] {
    var result: [String: [UInt32]] = [:]
    for block in graph.blocks[1...2] {
      for (node, weight) in graph.linears(of: block) {
        let values = try #require(try sensitivity.factor(of: weight)).symmetric(pool: ThreadPool(threads: 1))
        let importance = try #require(try sensitivity.importance(readersOf: node.inputs[0], in: block, of: graph))
        result[node.scope] = (0..<values.rows * values.columns).map { values.pointer[$0].bitPattern } + importance.map(\.bitPattern)
      }
    }
    return result
  }

  /// Nor does how many layers are measured at once.
  @Test func threadsDoNotChangeAByte() throws {
    let graph = try model()
    let alone = try bits(measure(graph, threads: 1), graph)
    #expect(alone.count == 6)
    for (threads, waveBytes) in [(2, 1 << 30), (3, 1 << 30), (1, 1), (1, 1200)] {
      #expect(try bits(measure(graph, threads: threads, waveBytes: waveBytes), graph) == alone, "\(threads) threads, \(waveBytes) bytes")
    }
  }

  /// Some of which have no text of their own.
  @Test(arguments: [2, 3, 5]) func processesDoNotChangeAByte(_ count: Int) throws {
    let graph = try model()
    let alone = try bits(measure(graph, threads: 1), graph)
    for waveBytes in [1, 1 << 30] {
      let found = try LocalTransport.run(count) { group in
        try bits(measure(graph, threads: 1, waveBytes: waveBytes, group: group), graph)
      }
      for process in found { #expect(process == alone) }
    }
  }
}
