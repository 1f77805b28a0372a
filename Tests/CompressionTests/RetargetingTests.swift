import Execution
import Tensors
import Testing

@testable import Compression

@Suite struct RetargetingTests {
  private let pool = ThreadPool(threads: 2)

  /// Inputs of a layer in the uncompressed model and behind compressed blocks: some tokens to find the step on, some that are held out.
  private struct Problem {
    let weight: Matrix
    let reference: Matrix
    let compressed: Matrix
    let trained: Int
    var rows: Int { weight.rows }
    var width: Int { weight.columns }
    var tokens: Int { reference.rows }

    init(rows: Int, width: Int, trained: Int, heldOut: Int) {
      let problem = FeedbackProblem(rows: rows, columns: width, tokens: trained + heldOut)
      weight = problem.weight
      reference = problem.inputs
      self.trained = trained
      compressed = Matrix(rows: trained + heldOut, columns: width)
      var random = SeededRandom(seed: 31)
      for token in 0..<trained + heldOut {
        for index in 0..<width {
          // A part that can be made good, and noise that cannot.
          let neighbour = reference.row(token)[(index + 1) % width]
          compressed.row(token)[index] = 0.9 * reference.row(token)[index] + 0.05 * neighbour + 0.1 * Float(random.nextUnit() - 0.5)
        }
      }
    }

    func difference(_ tokens: Range<Int>) -> Matrix {
      let result = Matrix(rows: tokens.count, columns: width)
      for (place, token) in tokens.enumerated() {
        for index in 0..<width { result.row(place)[index] = reference.row(token)[index] - compressed.row(token)[index] }
      }
      return result
    }

    func retargeting(pool: ThreadPool, heldOutSign: Float = 1) throws -> Retargeting {
      let statistics = CrossStatistics(width: width)
      let (gram, heldOut) = (GramMatrix(inputs: width), compressed.copy(rows: trained..<tokens))
      try gram.accumulate(compressed, pool: pool)
      try GramMatrix.accumulateCross(difference(0..<trained), compressed.copy(rows: 0..<trained), into: statistics.cross, pool: pool)
      try GramMatrix.accumulateCross(difference(trained..<tokens), heldOut, into: statistics.heldOutCross, pool: pool)
      try statistics.heldOutGram.accumulate(heldOut, pool: pool)
      for index in 0..<width * width { statistics.heldOutCross.pointer[index] *= heldOutSign }
      return Retargeting(
        factor: try FeedbackFactor(of: gram, named: "w", pool: pool), cross: statistics.cross, trainingWeight: Double(trained),
        heldOutCross: statistics.heldOutCross, heldOutGram: statistics.heldOutGram.symmetric(pool: pool), pool: pool)
    }

    /// W · E[(x − x̂) x̂ᵀ] · (E[x̂ x̂ᵀ] + d · I)⁻¹ by elimination, the first mean over the trained tokens, the second over all.
    func step() -> [[Double]] {
      let h = FeedbackProblem.damped(compressed, damping: 0.01, order: (0..<Int32(width)).map { $0 })
      var cross = [[Double]](repeating: [Double](repeating: 0, count: width), count: width)
      let differences = difference(0..<trained)
      for token in 0..<trained {
        for i in 0..<width {
          for j in 0..<width { cross[i][j] += Double(differences.row(token)[i]) * Double(compressed.row(token)[j]) }
        }
      }
      let target = FeedbackProblem.product((0..<rows).map { weight.values(ofRow: $0).map(Double.init) }, cross)
      // H is symmetric: H Xᵀ = targetᵀ.
      var system = h.indices.map { row in h[row] + target.map { $0[row] * Double(tokens) / Double(trained) } }
      for pivot in 0..<width {
        for row in 0..<width where row != pivot {
          let factor = system[row][pivot] / system[pivot][pivot]
          for column in pivot..<width + rows { system[row][column] -= factor * system[pivot][column] }
        }
      }
      return (0..<rows).map { row in (0..<width).map { system[$0][width + row] / system[$0][$0] } }
    }
  }

  @Test(arguments: [(20, 70, 400, 60), (7, 130, 300, 100), (33, 48, 90, 30)])
  func movesAsTheInverseSaysAndAsFarAsHeldOutTokensSay(_ size: (rows: Int, width: Int, trained: Int, heldOut: Int)) throws {
    let problem = Problem(rows: size.rows, width: size.width, trained: size.trained, heldOut: size.heldOut)
    let outcome = try problem.retargeting(pool: pool).move(.matrix(problem.weight))
    let step = problem.step()
    // What is left of every held-out output, and what the step does to it.
    let heldOut = problem.trained..<problem.tokens
    let weight = (0..<problem.rows).map { problem.weight.values(ofRow: $0).map(Double.init) }
    func outputs(_ rows: [[Double]], _ x: [[Double]]) -> [Double] {
      rows.flatMap { row in x.map { zip(row, $0).reduce(0) { $0 + $1.0 * $1.1 } } }
    }
    let differences = problem.difference(heldOut)
    let missing = outputs(weight, (0..<heldOut.count).map { differences.values(ofRow: $0).map(Double.init) })
    let made = outputs(step, heldOut.map { problem.compressed.values(ofRow: $0).map(Double.init) })
    func error(_ share: Double) -> Double { zip(missing, made).reduce(0) { $0 + ($1.0 - share * $1.1) * ($1.0 - share * $1.1) } }
    let best = try #require((0...1000).map { Double($0) / 1000 }.min { error($0) < error($1) })
    #expect(outcome.isNeeded)
    #expect(abs(outcome.share - best) < 2e-3, "\(outcome.share), not \(best)")
    #expect(best > 0.1 && best < 1 && error(best) < error(0))
    let largest = step.joined().reduce(0) { max($0, abs($1)) }
    let furthest = (0..<problem.rows).flatMap { row in
      (0..<problem.width).map { abs(Double(outcome.weight.row(row)[$0]) - weight[row][$0] - outcome.share * step[row][$0]) }
    }.max()
    #expect(try #require(furthest) < 2e-3 * largest)
  }

  @Test func staysWhereNothingIsToBeGained() throws {
    let problem = Problem(rows: 10, width: 40, trained: 200, heldOut: 40)
    func isUnmoved(_ outcome: Retargeting.Outcome) -> Bool {
      (0..<10).allSatisfy { outcome.weight.values(ofRow: $0) == problem.weight.values(ofRow: $0) }
    }
    // Held-out text says the opposite.
    let against = try problem.retargeting(pool: pool, heldOutSign: -1).move(.matrix(problem.weight))
    #expect(against.share == 0 && against.isNeeded && isUnmoved(against))
    let same = try problem.retargeting(pool: pool)
    same.cross.pointer.update(repeating: 0, count: 1600)
    let still = same.move(.matrix(problem.weight))
    #expect(still.share == 0 && !still.isNeeded && isUnmoved(still))
  }

  @Test func sharesAreRecordedAndAMissingBatchIsSaid() throws {
    let interpreter = Interpreter(pool: pool)
    var pass = GPTQ(bits: 3, groupSize: 8)
    pass.retarget = true
    let several = try DecoderFixture().compressed([pass], interpreter).records[0]
    #expect(several.layers.count == 14 && several.warnings.isEmpty)
    // Nothing is compressed in front of the first layer.
    for layer in several.layers where layer.module.hasPrefix("layers.0.") {
      #expect(layer.retargetedShare == 0 && layer.fallback == nil)
    }
    let later = several.layers.filter { $0.module.hasPrefix("layers.1.") }
    #expect(later.contains { ($0.retargetedShare ?? 0) > 0 })
    #expect(later.allSatisfy { ($0.retargetedShare == 0) == ($0.fallback?.contains("held-out text") == true) })
    let single = try DecoderFixture().compressed([pass], interpreter, batchRows: 1000).records[0]
    #expect(single.warnings.count == 1 && single.warnings[0].contains("two batches"))
    #expect(single.layers.allSatisfy { $0.retargetedShare == nil })
    #expect(try DecoderFixture().compressed([GPTQ(bits: 3, groupSize: 8)], interpreter).records[0].layers[0].retargetedShare == nil)
  }
}
