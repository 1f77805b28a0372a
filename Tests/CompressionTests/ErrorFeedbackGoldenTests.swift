import Execution
import Foundation
import Tensors
import Testing

@testable import Compression

/// Against textbook GPTQ in float64 (make-error-feedback-golden.py).
@Suite struct ErrorFeedbackGoldenTests {
  struct Fixture: Decodable {
    struct Case: Decodable {
      var bits: Int
      var symmetric: Bool
      var groupSize: Int
      var actOrder: Bool
      var damping: Float
      var scales: Data
      var zeroPoints: Data
      var codes: Data
      var error: Double
      var uncertain: [Int]
    }
    var tokens: Int
    var inputs: Int
    var rows: Int
    var activations: Data
    var weights: Data
    var cases: [Case]
  }

  private func load() throws -> Fixture {
    let url = try #require(Bundle.module.url(forResource: "gptq", withExtension: "json", subdirectory: "ErrorFeedbackFixtures"))
    return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url))
  }

  private func floats(_ data: Data) -> [Float] {
    data.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) }
    }
  }

  @Test func codesAreThoseOfTextbookGPTQ() throws {
    let fixture = try load()
    let pool = ThreadPool(threads: 2)
    let activations = Matrix(rows: fixture.tokens, columns: fixture.inputs)
    for (index, byte) in fixture.activations.enumerated() { activations.pointer[index] = Float(Int8(bitPattern: byte)) }
    let weight = Tensor(floats(fixture.weights), shape: [fixture.rows, fixture.inputs])
    let gram = GramMatrix(inputs: fixture.inputs)
    try gram.accumulate(activations, pool: pool)
    #expect(!fixture.cases.isEmpty)
    for expected in fixture.cases {
      let scheme = QuantizationScheme(bits: expected.bits, symmetric: expected.symmetric, granularity: .group(expected.groupSize))
      var grids = try GridTable(rule: .signedAbsmax, weight: .tensor(weight), named: "w", scheme: scheme, pool: pool)
      grids.scales = floats(expected.scales)
      grids.zeroPoints = expected.zeroPoints.map { Int8(bitPattern: $0) }
      for blockSize in [128, 37, 1] {
        let result = try ErrorFeedback(blockSize: blockSize).quantize(
          .tensor(weight), named: "w", grids: grids, gram: gram,
          options: .init(actOrder: expected.actOrder, damping: expected.damping), pool: pool)
        #expect(result.fallback == nil)
        #expect(result.dampingUsed == expected.damping)
        var compared = 0
        for row in 0..<fixture.rows where !expected.uncertain.contains(row) {
          let range = row * fixture.inputs..<(row + 1) * fixture.inputs
          #expect(Array(result.codes[range]) == Array(expected.codes[range]), "\(scheme.name) row \(row) block \(blockSize)")
          compared += 1
        }
        #expect(compared > fixture.rows / 2)
        let ratio = result.error / expected.error
        #expect(abs(ratio - 1) < (expected.uncertain.isEmpty ? 2e-3 : 2e-2), "\(scheme.name): \(result.error), not \(expected.error)")
      }
    }
  }
}
