import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// Where adapters start, layer by layer and over a whole model.
@Suite struct LowRankStartTests {
  @Test func theZeroStartLeavesTheModelAlone() throws {
    let fixture = LowRankFixture(type: .bfloat16)
    let base = try fixture.decoder.graph()
    var graph = base
    let adapters = try LowRankFixture.adaptation(.zero).attach(to: &graph, seed: 3, pool: fixture.pool)
    #expect(adapters.count == 14)
    for adapter in adapters {
      guard case .stored = graph[adapter.weight].storage else {
        Issue.record("\(adapter.module) was replaced")
        continue
      }
      #expect(try Matrix(graph[adapter.up]).squaredNorm == 0)
      let down = try Matrix(graph[adapter.down])
      let bound = 1 / Float(down.columns).squareRoot()
      #expect((0..<down.rows * down.columns).allSatisfy { abs(down.pointer[$0]) <= bound })
      #expect(LowRankFixture.norm(down) > 0.4 * Double(down.rows).squareRoot())
    }
    #expect(try fixture.logits(graph) == fixture.logits(base))
  }

  @Test(arguments: [DataType.float32, .bfloat16, .float16], [false, true])
  func thePrincipalStartLeavesTheOutputsAlone(_ type: DataType, _ magnitude: Bool) throws {
    let fixture = LowRankFixture(type: type)
    let base = try fixture.decoder.graph()
    var graph = base
    let adaptation = LowRankFixture.adaptation(.principal, magnitude: magnitude)
    let adapters = try adaptation.attach(to: &graph, seed: 3, pool: fixture.pool)
    for adapter in adapters {
      #expect(adapter.scaling == 1.5 && graph[adapter.weight].weightStorage == .dense(.float32))
      let (weight, residual) = (try Matrix(base[adapter.weight]), try Matrix(graph[adapter.weight]))
      #expect(LowRankMatrices.distance(try fixture.whole(adapter, in: graph), weight) < 1e-6 * LowRankFixture.norm(weight))
      // What was taken off is the leading part: it has the energy of the leading values, and the rest has that of the others.
      let found = try TruncatedSVD(weight, named: "w", rank: 6, seed: 99, pool: fixture.pool)
      let energy = found.singularValues.reduce(0) { $0 + $1 * $1 }
      #expect(energy > 0.3 * weight.squaredNorm)
      #expect(abs(LowRankFixture.norm(residual) / (weight.squaredNorm - energy).squareRoot() - 1) < 2e-3)
      let (down, up) = (try Matrix(graph[adapter.down]), try Matrix(graph[adapter.up]))
      for part in 0..<6 {
        // Shared evenly: row of A and column of B are as long as each other, and γ times their product is the singular value.
        let row = Matrix(rows: 1, columns: down.columns)
        row.pointer.update(from: down.row(part), count: down.columns)
        let column = (0..<up.rows).reduce(0.0) { $0 + Double(up.row($1)[part]) * Double(up.row($1)[part]) }
        #expect(abs(row.squaredNorm / column - 1) < 1e-4)
        #expect(abs(1.5 * column / found.singularValues[part] - 1) < 1e-2)
      }
    }
    let logits = try fixture.logits(graph, adapters)
    #expect(LowRankFixture.difference(logits, try fixture.logits(base)) < 2e-5)
    // The adapters are not idle: without them it is another model.
    let idle = Dictionary(uniqueKeysWithValues: try adapters.map { ($0.up, try Matrix(graph[$0.up]).scaled(by: 0)) })
    #expect(LowRankFixture.difference(try fixture.logits(graph, adapters, idle), logits) > 1e-2)
  }

  /// Codes are read back, and the model goes on computing what the codes did.
  @Test func aQuantizedWeightHasAPrincipalPart() throws {
    let fixture = LowRankFixture(type: .bfloat16)
    let base = try fixture.decoder.compressed([MinimumSquaredError(bits: 4, groupSize: 8)], fixture.interpreter).graph
    var graph = base
    let adapters = try LowRankFixture.adaptation(.principal).attach(to: &graph, seed: 3, pool: fixture.pool)
    #expect(adapters.allSatisfy { base[$0.weight].isQuantized && graph[$0.weight].weightStorage == .dense(.float32) })
    #expect(LowRankFixture.difference(try fixture.logits(graph), try fixture.logits(base)) < 2e-5)
  }

  @Test(arguments: [LowRankAdaptation.Start.principal, .quantizationResidual])
  func lengthsAreThoseOfWhatTheLayerHasBecome(_ start: LowRankAdaptation.Start) throws {
    let fixture = LowRankFixture()
    let base = try fixture.decoder.graph()
    var graph = base
    let adapters = try LowRankFixture.adaptation(start, magnitude: true).attach(
      to: &graph, seed: 3, pool: fixture.pool,
      quantizer: start == .principal ? nil : fixture.quantizer(MinimumSquaredError(bits: 3, groupSize: 8), of: base))
    for adapter in adapters {
      let lengths = try Matrix(graph[try #require(adapter.magnitude)])
      let whole = try fixture.whole(adapter, in: graph)
      for row in 0..<whole.rows {
        let norm = whole.copy(rows: row..<row + 1).squaredNorm.squareRoot()
        #expect(abs(Double(lengths.pointer[row]) / norm - 1) < 1e-5)
      }
    }
  }

  @Test(arguments: [LowRankAdaptation.Start.zero, .principal, .quantizationResidual])
  func threadsDoNotChangeABit(_ start: LowRankAdaptation.Start) throws {
    var found: [[UInt32]] = []
    for threads in [1, 2, 3] {
      let fixture = LowRankFixture(threads: threads)
      var graph = try fixture.decoder.graph()
      let adapters = try LowRankFixture.adaptation(start, magnitude: true).attach(
        to: &graph, seed: 3, pool: fixture.pool,
        quantizer: start == .quantizationResidual ? fixture.quantizer(MinimumSquaredError(bits: 3, groupSize: 8), of: graph) : nil)
      found.append(
        try adapters.flatMap { adapter in
          try [adapter.weight, adapter.down, adapter.up, try #require(adapter.magnitude)].flatMap {
            LowRankMatrices.bits(try Matrix(graph[$0]))
          }
        })
    }
    #expect(!found[0].isEmpty && found[1] == found[0] && found[2] == found[0])
  }

  /// Where a matrix has no singular values left, A is drawn: a pair of zeros would never learn.
  @Test func aMatrixOfLowerRankStillLearns() throws {
    let pool = ThreadPool(threads: 2)
    let weight = LowRankMatrices.matrix(24, 40, seed: 2, terms: 3, decay: 0, noise: 0)
    let start = try LowRankStart(principalPartOf: weight, named: "w", rank: 5, scaling: 2, seed: 1, pool: pool)
    let drawn = LowRankStart(rank: 5, outputs: 24, inputs: 40, seed: 1)
    for part in 0..<5 {
      let column = (0..<24).map { start.up.row($0)[part] }
      #expect(column.allSatisfy { $0 == 0 } == (part >= 3))
      #expect((start.down.values(ofRow: part) == drawn.down.values(ofRow: part)) == (part >= 3))
    }
  }

  @Test func settingsKeepTheirStart() throws {
    for (start, name) in [(LowRankAdaptation.Start.zero, "zero"), (.principal, "pissa"), (.quantizationResidual, "loftq")] {
      let adaptation = LowRankAdaptation(rank: 3, start: start)
      let data = try JSONEncoder().encode(adaptation)
      #expect(String(decoding: data, as: UTF8.self).contains("\"start\":\"\(name)\""))
      #expect(try JSONDecoder().decode(LowRankAdaptation.self, from: data) == adaptation)
    }
    #expect(LowRankAdaptation().start == .zero && LowRankAdaptation.Start.allCases.count == 3)
  }
}
