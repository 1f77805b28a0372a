import Diagnostics
import Execution
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// What training changed, beside the model as it was.
@Suite struct LowRankDifferenceTests {
  /// Factors as training might leave them.
  private func moved(_ matrix: Matrix, seed: UInt64) -> Matrix {
    var random = SeededRandom(seed: seed)
    let result = matrix.copy(rows: 0..<matrix.rows)
    for place in 0..<matrix.rows * matrix.columns { result.pointer[place] += Float(0.1 * (2 * random.nextUnit() - 1)) }
    return result
  }

  @Test(arguments: [LowRankAdaptation.Scaling.standard, .rankStabilized], [false, true])
  func runsBesideTheModelAsItWas(_ scaling: LowRankAdaptation.Scaling, _ magnitude: Bool) throws {
    let fixture = LowRankFixture(type: .bfloat16)
    let base = try fixture.decoder.graph()
    var (graph, other) = (base, base)
    var adaptation = LowRankFixture.adaptation(.principal, magnitude: magnitude)
    adaptation.scaling = scaling
    let adapters = try adaptation.attach(to: &graph, seed: 3, pool: fixture.pool)
    var (values, differences) = ([ParameterID: Matrix](), [String: LowRankAdapter]())
    for adapter in adapters {
      let (down, up) = (
        moved(try Matrix(graph[adapter.down]), seed: UInt64(adapter.down.index)),
        moved(try Matrix(graph[adapter.up]), seed: UInt64(adapter.up.index))
      )
      (values[adapter.down], values[adapter.up]) = (down, up)
      let difference = try StartDifference(of: adapter, in: graph, down: down, up: up)
      #expect(difference.down.shape.dimensions == [12, down.columns] && difference.up.shape.dimensions == [up.rows, 12])
      var lengths: Tensor?
      if let id = adapter.magnitude {
        let trained = moved(try Matrix(graph[id]), seed: UInt64(id.index))
        values[id] = trained
        lengths = trained.tensor(graph[id].shape)
      }
      differences[adapter.module] = LowRankAdapter(
        down: difference.down, up: difference.up, scaling: adapter.scaling, magnitude: lengths)
      // W + γ·B'·A' is W − γ·B₀·A₀ + γ·B·A.
      let whole = try AdaptedWeight(
        base[adapter.weight], down: matrix(difference.down), up: matrix(difference.up), scaling: adapter.scaling
      ).merged(pool: fixture.pool)
      let expected = try AdaptedWeight(graph[adapter.weight], down: down, up: up, scaling: adapter.scaling).merged(pool: fixture.pool)
      #expect(LowRankMatrices.distance(whole, expected) < 2e-6 * LowRankFixture.norm(expected))
      #expect(LowRankMatrices.distance(whole, try Matrix(base[adapter.weight])) > 0.05 * LowRankFixture.norm(whole))
    }
    let trained = try fixture.logits(graph, adapters, values)
    let attached = try other.attach(differences)
    #expect(LowRankFixture.difference(try fixture.logits(other, attached), trained) < 5e-5)
    #expect(LowRankFixture.difference(trained, try fixture.logits(base)) > 1e-2)
    // What a file says of it gives the same scaling.
    let width = Double(adaptation.differenceRank)
    let factor = scaling == .standard ? adaptation.differenceAlpha / width : adaptation.differenceAlpha / width.squareRoot()
    #expect(abs(factor / Double(adaptation.factor) - 1) < 1e-6)
  }

  private func matrix(_ tensor: Tensor) throws -> Matrix {
    let result = Matrix(rows: tensor.shape[0], columns: tensor.shape[1])
    for (index, value) in try #require(tensor.float32Values()).enumerated() { result.pointer[index] = value }
    return result
  }

  @Test func isNothingBeforeTraining() throws {
    let pool = ThreadPool(threads: 1)
    let weight = LowRankMatrices.matrix(20, 30, seed: 1, terms: 0, decay: 0, noise: 1)
    let start = try LowRankStart(principalPartOf: weight, named: "w", rank: 4, scaling: 1, seed: 1, pool: pool)
    let difference = try StartDifference(of: "w", startDown: start.down, startUp: start.up, down: start.down, up: start.up)
    let sum = try matrix(difference.up).times(matrix(difference.down), pool: pool)
    #expect(sum.squaredNorm < 1e-10)
  }

  @Test func otherShapesAreRefused() throws {
    let (a, b) = (Matrix(rows: 2, columns: 5), Matrix(rows: 4, columns: 2))
    let others = [
      (Matrix(rows: 3, columns: 5), b), (Matrix(rows: 2, columns: 6), b),
      (a, Matrix(rows: 4, columns: 3)), (a, Matrix(rows: 5, columns: 2)),
    ]
    for (down, up) in others {
      let error = #expect(throws: CompressionError.self) {
        try StartDifference(of: "l.q", startDown: a, startUp: b, down: down, up: up)
      }
      #expect(error?.subject == "l.q" && error?.kind == .badData)
    }
  }
}
