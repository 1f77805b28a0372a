import Execution
import Formats
import Foundation
import ModelGraph
import Tensors
import Testing

/// Gradients of whole models against PyTorch in float64 (make-gradient-goldens.py).
@Suite struct GradientGoldenTests {
  static let cases = [
    "llama-gqa", "qwen2", "qwen3", "mistral-window", "llama-tied", "llama-rope-yarn", "deepseek-v2-groups", "deepseek-v3", "qwen3-moe",
  ]

  /// The mean cross-entropy of the golden windows and its gradient with respect to every parameter.
  static func gradients(
    of model: GoldenModel, threads: Int, retention: ActivationRetention = .recompute, wanting: Set<ParameterID>? = nil
  ) throws -> (loss: Double, parameters: [ParameterID: Matrix]) {
    let windows = try model.integers("input_ids")
    let scored = windows.reduce(0) { $0 + $1.count - 1 }
    return try Interpreter(pool: ThreadPool(threads: threads)).gradients(
      of: LoadedModel(model.graph), tokens: windows.flatMap { $0 }, sequences: SequenceLayout(lengths: windows.map(\.count)),
      target: .tokens(windows.flatMap { $0.dropFirst() + [0] }),
      rowWeights: windows.flatMap { Array(repeating: 1 / Float(scored), count: $0.count - 1) + [0] },
      wanting: wanting ?? Set(model.graph.parameterIDs), retention: retention)
  }

  @Test(arguments: cases)
  func wholeModelsAgreeWithPyTorch(_ name: String) throws {
    let model = try GoldenModel(name)
    let golden = try SafeTensorsFile(GoldenModel.fixtures.appendingPathComponent("gradients.safetensors"))
    let (loss, gradients) = try Self.gradients(of: model, threads: 2)
    let expectedLoss = try golden.tensor("\(name)/loss").float32Values()?.first ?? .nan
    #expect(abs(loss - Double(expectedLoss)) < 1e-5 * Double(expectedLoss), "\(loss) instead of \(expectedLoss)")
    // What is added to scores when experts are chosen has no gradient: it is set by their load.
    let wanted = model.graph.parameterIDs.filter { model.graph[$0].role != .routerCorrection }
    #expect(gradients.count == wanted.count)
    for id in wanted {
      let gradient = try #require(gradients[id])
      let expected = try golden.tensor("\(name)/\(model.graph[id].name)").float32Values() ?? []
      try #require(expected.count == gradient.rows * gradient.columns)
      var (difference, size) = (0.0, 0.0)
      for (index, value) in expected.enumerated() {
        difference += pow(Double(gradient.pointer[index]) - Double(value), 2)
        size += pow(Double(value), 2)
      }
      // Of an expert that nothing was sent to both are zero.
      let relative = difference == 0 ? 0 : (difference / size).squareRoot()
      #expect(relative <= 1e-4, "\(name) \(model.graph[id].name): \(relative)")
    }
  }

  /// Keeping what is recomputed otherwise changes no bit, nor does leaving out what is frozen.
  @Test(arguments: ["llama-gqa", "llama-tied", "qwen3-moe"])
  func neitherMemoryNorFreezingChangesABit(_ name: String) throws {
    let model = try GoldenModel(name)
    let all = try Self.gradients(of: model, threads: 2)
    let kept = try Self.gradients(of: model, threads: 2, retention: .keep)
    #expect(kept.loss == all.loss)
    for (id, gradient) in all.parameters {
      #expect(bitsAreEqual(gradient, try #require(kept.parameters[id])), "\(model.graph[id].name)")
      let one = try Self.gradients(of: model, threads: 2, wanting: [id])
      #expect(one.loss == all.loss && one.parameters.count == 1)
      // A table that is also the head gets its two parts in the same order either way.
      #expect(bitsAreEqual(gradient, try #require(one.parameters[id])), "\(model.graph[id].name)")
    }
  }

  @Test(arguments: ["llama-gqa", "qwen3", "deepseek-v3"])
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

func relativeDifference(_ a: Matrix, _ b: Matrix) -> Double {
  var (difference, size) = (0.0, 0.0)
  for index in 0..<a.rows * a.columns {
    difference += pow(Double(a.pointer[index]) - Double(b.pointer[index]), 2)
    size += pow(Double(b.pointer[index]), 2)
  }
  return (difference / size).squareRoot()
}
