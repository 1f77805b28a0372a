import Execution
import Formats
import Foundation
import ModelGraph
import Tensors
import Testing

/// Gradients of whole models against PyTorch in float64 (make-gradient-goldens.py).
@Suite struct GradientGoldenTests {
  static let cases = ["llama-gqa", "qwen2", "qwen3", "mistral-window", "llama-tied", "llama-rope-yarn"]

  /// The mean cross-entropy of the golden windows and its gradient with respect to every parameter, one block's tape at a time.
  static func gradients(
    of model: GoldenModel, threads: Int, tileRows: Int = 20
  ) throws -> (loss: Double, parameters: [ParameterID: Matrix]) {
    let graph = model.graph
    let interpreter = Interpreter(pool: ThreadPool(threads: threads))
    let windows = try model.integers("input_ids")
    let layout = SequenceLayout(lengths: windows.map(\.count))
    let scored = windows.reduce(0) { $0 + $1.count - 1 }
    let loaded = try graph.blocks.map { try LoadedBlock($0, of: graph) }
    let wanted = Set(graph.parameterIDs)

    var states = [try interpreter.run(graph.blocks[0], of: graph, weights: loaded[0], tokens: windows.flatMap { $0 }, sequences: layout)]
    for index in 1..<graph.blocks.count - 1 {
      states.append(
        try interpreter.run(graph.blocks[index], of: graph, weights: loaded[index], input: states[index - 1], sequences: layout))
    }
    let head = graph.blocks.count - 1
    let result = try interpreter.headLoss(
      graph.blocks[head], of: graph, weights: loaded[head], input: states[head - 1],
      target: .tokens(windows.flatMap { $0.dropFirst() + [0] }),
      rowWeights: windows.flatMap { Array(repeating: 1 / Float(scored), count: $0.count - 1) + [0] }, wanting: wanted,
      inputGradient: true, tileRows: tileRows)
    var gradients = result.gradients
    for index in (1..<head).reversed() {
      let tape = try interpreter.runRecording(
        graph.blocks[index], of: graph, weights: loaded[index], input: states[index - 1], sequences: layout)
      #expect(bitsAreEqual(tape.output, states[index]))
      gradients = try interpreter.backward(
        tape, outputGradient: #require(gradients.input), wanting: wanted, inputGradient: true, addingTo: gradients.parameters)
    }
    let tape = try interpreter.runRecording(
      graph.blocks[0], of: graph, weights: loaded[0], tokens: windows.flatMap { $0 }, sequences: layout)
    gradients = try interpreter.backward(
      tape, outputGradient: #require(gradients.input), wanting: wanted, inputGradient: true, addingTo: gradients.parameters)
    #expect(gradients.input == nil)
    return (result.loss, gradients.parameters)
  }

  @Test(arguments: cases)
  func wholeModelsAgreeWithPyTorch(_ name: String) throws {
    let model = try GoldenModel(name)
    let golden = try SafeTensorsFile(GoldenModel.fixtures.appendingPathComponent("gradients.safetensors"))
    let (loss, gradients) = try Self.gradients(of: model, threads: 2)
    let expectedLoss = try golden.tensor("\(name)/loss").float32Values()?.first ?? .nan
    #expect(abs(loss - Double(expectedLoss)) < 1e-5 * Double(expectedLoss), "\(loss) instead of \(expectedLoss)")
    #expect(gradients.count == model.graph.parameters.count)
    for id in model.graph.parameterIDs {
      let gradient = try #require(gradients[id])
      let expected = try golden.tensor("\(name)/\(model.graph[id].name)").float32Values() ?? []
      try #require(expected.count == gradient.rows * gradient.columns)
      var (difference, size) = (0.0, 0.0)
      for (index, value) in expected.enumerated() {
        difference += pow(Double(gradient.pointer[index]) - Double(value), 2)
        size += pow(Double(value), 2)
      }
      let relative = (difference / size).squareRoot()
      #expect(relative <= 1e-4, "\(name) \(model.graph[id].name): \(relative)")
    }
  }

  @Test(arguments: ["llama-gqa", "qwen3"])
  func threadsDoNotChangeABit(_ name: String) throws {
    let model = try GoldenModel(name)
    let one = try Self.gradients(of: model, threads: 1)
    for threads in [2, 3] {
      let many = try Self.gradients(of: model, threads: threads)
      #expect(many.loss == one.loss)
      for (id, gradient) in one.parameters {
        #expect(bitsAreEqual(gradient, try #require(many.parameters[id])), "\(model.graph[id].name), \(threads) threads")
      }
    }
  }
}

func bitsAreEqual(_ a: Matrix, _ b: Matrix) -> Bool {
  a.rows == b.rows && a.columns == b.columns
    && (0..<a.rows * a.columns).allSatisfy { a.pointer[$0].bitPattern == b.pointer[$0].bitPattern }
}
