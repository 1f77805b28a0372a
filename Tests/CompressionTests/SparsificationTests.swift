import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// Weights set to zero: which, and what becomes of the others.
@Suite struct SparsificationTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  private func compressed(_ pass: Sparsification, _ fixture: DecoderFixture, threads: Int = 2) throws -> (
    before: ModelGraph, after: ModelGraph
  ) {
    let graph = try fixture.graph(), interpreter = Interpreter(pool: ThreadPool(threads: threads))
    let context = PassContext(interpreter: interpreter)
    var workers = try ([pass] as [any CompressionPass]).begin(on: graph, in: context).workers
    let stream = try CalibrationStream(
      windows: fixture.windows, of: graph, interpreter: interpreter, needs: [.calibration], memoryLimit: 1 << 20,
      spillingTo: FileManager.default.temporaryDirectory)
    var result = graph
    for (index, block) in graph.blocks.enumerated() {
      let seen = context.with(stream.calibration(for: block, at: index, sensitivity: nil))
      for pass in workers.indices { try workers[pass].apply(to: block, of: &result, in: seen) }
      try stream.advance(past: block, in: result)
    }
    return (graph, result)
  }

  static let methods = Sparsification.Method.allCases

  @Test(arguments: methods, Sparsification.Pattern.allCases) func everyRowHasItsShare(
    _ method: Sparsification.Method, _ pattern: Sparsification.Pattern
  ) throws {
    let fixture = DecoderFixture()
    let pass = Sparsification(method: method, pattern: pattern, sparsity: 0.25)
    let (before, after) = try compressed(pass, fixture)
    let one = try compressed(pass, fixture, threads: 1).after
    for block in before.blocks {
      for (_, id) in before.linears(of: block) {
        let (old, new) = (try Matrix(before[id]), try Matrix(after[id]))
        let same = try Matrix(one[id])
        #expect((0..<new.rows).allSatisfy { new.values(ofRow: $0) == same.values(ofRow: $0) })
        for row in 0..<new.rows {
          let values = new.values(ofRow: row)
          guard block.kind != .head else {
            #expect(values == old.values(ofRow: row))
            continue
          }
          if let (size, kept) = pattern.group {
            for start in stride(from: 0, to: values.count, by: size) {
              #expect(values[start..<min(start + size, values.count)].count { $0 != 0 } == kept, "\(before[id].name), row \(row)")
            }
          } else {
            // Feedback chooses block by block, which is all of a row here.
            #expect(values.count { $0 == 0 } == Int((Double(values.count) * 0.25).rounded()), "\(before[id].name), row \(row)")
          }
          // Only feedback moves what stays.
          guard method != .sparsegpt else { continue }
          #expect(zip(values, old.values(ofRow: row)).allSatisfy { $0 == 0 || $0 == $1 })
        }
      }
    }
  }

  private func gram(_ x: Matrix) throws -> GramMatrix {
    let gram = GramMatrix(inputs: x.columns)
    try gram.accumulate(x, weights: nil, pool: interpreter.pool)
    return gram
  }

  /// With two inputs what the first loses goes to the second: w₁ + w₀ · H₀₁ / H₁₁.
  @Test func whatIsLostIsPassedOn() throws {
    let x = Matrix(rows: 3, columns: 2)
    for (index, value) in ([1, 2, -1, 3, 0.5, 1] as [Float]).enumerated() { x.pointer[index] = value }
    let factor = try FeedbackFactor(of: gram(x), named: "layer", options: .init(actOrder: false, damping: 0), pool: interpreter.pool)
    let weight = Matrix(rows: 1, columns: 2)
    (weight.pointer[0], weight.pointer[1]) = (0.1, 2)
    MaskedFeedback(pass: Sparsification(method: .sparsegpt), factor: factor).run(weight, pool: interpreter.pool)
    // H₀₁ = 1·2 − 1·3 + 0.5·1, H₁₁ = 4 + 9 + 1.
    #expect(weight.pointer[0] == 0 && abs(weight.pointer[1] - (2 + 0.1 * -0.5 / 14)) < 1e-6, "\(weight.pointer[1])")
  }

  /// Over several blocks of columns: the outputs' error is below that of the same pattern by magnitude, and by activations.
  @Test(arguments: [Sparsification.Pattern.unstructured, .twoOfFour]) func feedbackLowersTheError(_ pattern: Sparsification.Pattern) throws
  {
    var random = SeededRandom(seed: 12)
    let (tokens, inputs, outputs) = (600, 300, 40)
    let x = Matrix(rows: tokens, columns: inputs), weight = Matrix(rows: outputs, columns: inputs)
    for row in 0..<tokens {
      // Neighbours are alike, and some are larger.
      var last = 0.0
      for column in 0..<inputs {
        last = 0.8 * last + random.nextUnit() - 0.5
        x.row(row)[column] = Float(last * (column % 7 == 0 ? 4 : 1))
      }
    }
    for index in 0..<outputs * inputs { weight.pointer[index] = Float(random.nextUnit() - 0.5) }
    func error(_ masked: Matrix) -> Double {
      let gap = Matrix(rows: outputs, columns: inputs)
      for index in 0..<outputs * inputs { gap.pointer[index] = masked.pointer[index] - weight.pointer[index] }
      return x.timesTransposed(gap, pool: interpreter.pool).squaredNorm
    }
    func masked(_ square: [Float]?) -> Matrix {
      let result = weight.copy(rows: 0..<outputs), pass = Sparsification(method: .wanda, pattern: pattern)
      for row in 0..<outputs {
        let scores = (0..<inputs).map { weight.row(row)[$0] * weight.row(row)[$0] * (square?[$0] ?? 1) }
        for column in pass.zeros(scores) { result.row(row)[column] = 0 }
      }
      return result
    }
    let squares = (0..<inputs).map { column in (0..<tokens).reduce(Float(0)) { $0 + x.row($1)[column] * x.row($1)[column] } }
    let factor = try FeedbackFactor(of: gram(x), named: "layer", options: .init(actOrder: false), pool: interpreter.pool)
    let fed = weight.copy(rows: 0..<outputs)
    MaskedFeedback(pass: Sparsification(method: .sparsegpt, pattern: pattern), factor: factor).run(fed, pool: interpreter.pool)
    let (magnitude, activations, feedback) = (error(masked(nil)), error(masked(squares)), error(fed))
    #expect(activations < magnitude && feedback < 0.6 * activations, "\(magnitude), \(activations), \(feedback)")
  }

  @Test func whatCannotBeIsRefused() throws {
    let graph = try DecoderFixture().graph()
    #expect(throws: CompressionError.self) { try Sparsification(method: .magnitude, sparsity: 1).validate(for: graph) }
    var all = Sparsification()
    all.ignore = ["re:.*"]
    #expect(throws: CompressionError.self) { try all.validate(for: graph) }
    var poisoned = DecoderFixture()
    poisoned.poisoned = "layers.1.up.weight"
    #expect(throws: CompressionError.self) { try compressed(Sparsification(method: .magnitude), poisoned) }
  }
}
