import Architectures
import Execution
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors
import Testing

/// Encoders against transformers: the states of two texts at once, and the gradients of a function of them (make-encoder-goldens.py).
@Suite struct EncoderGoldenTests {
  private struct Case {
    let graph: ModelGraph
    let golden: SafeTensorsFile

    init(_ name: String) throws {
      let root = try #require(Bundle.module.resourceURL).appendingPathComponent("EncoderFixtures/\(name)")
      let configuration = try JSONValue(parsing: String(contentsOf: root.appendingPathComponent("config.json"), encoding: .utf8))
      graph = try ArchitectureCatalog.graph(
        configuration: configuration,
        weights: PlainSource(checkpoint: SafeTensorsCheckpoint(root.appendingPathComponent("model.safetensors")))
      ).graph
      golden = try SafeTensorsFile(root.appendingPathComponent("golden.safetensors"))
    }

    var windows: [[Int32]] {
      get throws {
        try ["a", "b"].map { name in
          let tensor = try golden.tensor("\(name).input_ids")
          return tensor.withUnsafeBytes { bytes in
            (0..<tensor.shape[0]).map { Int32(truncatingIfNeeded: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) }
          }
        }
      }
    }

    func values(_ name: String) throws -> [Float] { try golden.tensor(name).float32Values() ?? [] }
  }

  @Test(arguments: ["plain", "masked-lm"])
  func statesAreThoseOfTransformers(_ name: String) throws {
    let model = try Case(name)
    #expect(model.graph.purpose == .encoder)
    for threads in [1, 3] {
      let states = try ForwardStream(interpreter: Interpreter(pool: ThreadPool(threads: threads))).hidden(
        of: model.graph, windows: model.windows)
      let expected = try model.values("a.states") + model.values("b.states")
      let found = states[0].matrix
      try #require(found.rows * found.columns == expected.count)
      let difference = expected.enumerated().map { abs($1 - found.pointer[$0]) }.max() ?? .infinity
      #expect(difference <= 2e-5, "\(difference)")
    }
  }

  @Test func gradientsAreThoseOfPyTorch() throws {
    let model = try Case("plain")
    let (graph, windows) = (model.graph, try model.windows)
    let interpreter = Interpreter(pool: ThreadPool(threads: 2))
    let layout = SequenceLayout(lengths: windows.map(\.count))
    let loaded = try LoadedModel(graph)
    var tapes: [BlockTape] = []
    for (block, weights) in zip(graph.blocks, loaded.blocks) {
      if let last = tapes.last {
        tapes.append(try interpreter.runRecording(block, of: graph, weights: weights, input: last.output, sequences: layout))
      } else {
        tapes.append(try interpreter.runRecording(block, of: graph, weights: weights, tokens: windows.flatMap { $0 }, sequences: layout))
      }
    }
    let slope = try model.values("a.slope") + model.values("b.slope")
    var gradient = Matrix(rows: layout.rows, columns: slope.count / layout.rows)
    for (index, value) in slope.enumerated() { gradient.pointer[index] = value }
    var sums: [ParameterID: Matrix] = [:]
    for tape in tapes.reversed() {
      let result = try interpreter.backward(
        tape, outputGradient: gradient, wanting: Set(graph.parameterIDs), inputGradient: true, addingTo: sums)
      sums = result.parameters
      if let input = result.input { gradient = input }
    }
    #expect(sums.count == graph.parameters.count)
    for (id, found) in sums {
      let expected = try model.values("gradient/\(graph[id].name)")
      try #require(expected.count == found.rows * found.columns)
      var (difference, size) = (0.0, 0.0)
      for (index, value) in expected.enumerated() {
        difference += pow(Double(found.pointer[index]) - Double(value), 2)
        size += pow(Double(value), 2)
      }
      // What all keys of a head have in common changes no weight of theirs: that bias has no gradient but rounding.
      #expect((difference / max(size, 1e-2)).squareRoot() <= 1e-4, "\(graph[id].name)")
    }
  }
}
