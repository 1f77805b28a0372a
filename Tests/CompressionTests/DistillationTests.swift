import Execution
import Foundation
import ModelGraph
import Tensors
import Testing
import Training

@testable import Compression

/// The parts of distillation that need no teacher on disk.
@Suite struct DistillationTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))
  private var pool: ThreadPool { interpreter.pool }

  private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    var random = SeededRandom(seed: seed)
    let matrix = Matrix(rows: rows, columns: columns)
    for index in 0..<rows * columns { matrix.pointer[index] = Float(random.nextUnit() * 2 - 1) }
    return matrix
  }

  @Test func layersAreSpreadEvenly() throws {
    func graph(_ layers: Int) throws -> ModelGraph {
      var fixture = DecoderFixture()
      fixture.layers = layers
      return try fixture.graph()
    }
    // Blocks are counted with the embedding in front.
    func pairs(_ student: Int, _ teacher: Int, _ layers: [Int]? = nil) throws -> [[Int]] {
      try LayerMapping(from: graph(student), to: graph(teacher), layers: layers).pairs.map { [$0.student, $0.teacher] }
    }
    #expect(try pairs(3, 6) == [[1, 2], [2, 4], [3, 6]])
    #expect(try pairs(2, 2) == [[1, 1], [2, 2]])
    #expect(try pairs(6, 12) == [[1, 2], [3, 6], [4, 8], [6, 12]])
    #expect(try pairs(2, 5, [0, 4]) == [[1, 1], [2, 5]])
    #expect(throws: CompressionError.self) { try pairs(2, 5, [0, 5]) }
    #expect(throws: CompressionError.self) { try pairs(2, 5, [0]) }
  }

  @Test(arguments: [false, true]) func alignmentGradientsAreThoseOfDifferences(_ isProjected: Bool) throws {
    let mapping = try LayerMapping(from: DecoderFixture().graph(), to: DecoderFixture().graph())
    let (rows, width, wide) = (5, 6, isProjected ? 9 : 6)
    let state = random(rows, width, seed: 1), target = random(rows, wide, seed: 2)
    let block = mapping.pairs[0].student
    let start = isProjected ? [block: random(wide, width, seed: 3)] : [:]
    let alignment = FeatureAlignment(mapping, projectors: start, pool: pool)
    func aim() { alignment.aim(at: [mapping.pairs[0].teacher: target], sequences: SequenceLayout(lengths: [3, 2]), share: 0.25) }
    aim()
    let found = try alignment.differentiate(block, state)
    let parameters = ProjectedParameters(try DirectParameters([], of: DecoderFixture().graph()), alignment)
    let projector = try parameters.gradients(from: [:], pool: pool).first ?? nil
    // In double, from the definition.
    var expected = 0.0
    for row in 0..<rows where row != 0 && row != 3 {
      let t = target.values(ofRow: row).map(Double.init), h = state.values(ofRow: row).map(Double.init)
      let u = isProjected ? (0..<wide).map { o in zip(start[block]!.values(ofRow: o), h).reduce(0) { $0 + Double($1.0) * $1.1 } } : h
      func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
      let gap = zip(u, t).map(-)
      expected += 0.25 * (1 - dot(u, t) / (dot(u, u) * dot(t, t)).squareRoot() + 0.1 * dot(gap, gap) / dot(t, t))
    }
    #expect(abs(found.loss - expected) < 1e-6 * expected)
    func slope(_ place: UnsafeMutablePointer<Float>) throws -> Double {
      let (step, middle): (Float, Float) = (1.0 / 512, place.pointee)
      defer { place.pointee = middle }
      place.pointee = middle + step
      let above = try alignment.differentiate(block, state).loss
      place.pointee = middle - step
      return (above - (try alignment.differentiate(block, state).loss)) / Double(2 * step)
    }
    for index in 0..<rows * width {
      #expect(abs(try slope(state.pointer + index) - Double(found.gradient.pointer[index])) < 2e-4, "state \(index)")
    }
    #expect(found.gradient.values(ofRow: 0).allSatisfy { $0 == 0 } && found.gradient.values(ofRow: 3).allSatisfy { $0 == 0 })
    #expect((projector != nil) == isProjected)
    for index in 0..<(projector.map { $0.rows * $0.columns } ?? 0) {
      let values = try #require(alignment.projectors[block]).values
      #expect(abs(try slope(values.pointer + index) - Double(projector!.pointer[index])) < 2e-4, "projector \(index)")
    }
  }

  /// A projector that exists is found, and kernel alignment does not see a rotation.
  @Test func comparisonsSeeThroughBases() throws {
    let state = random(64, 8, seed: 4), map = random(12, 8, seed: 5)
    let target = state.timesTransposed(map, pool: pool)
    let found = try #require(FeatureProjection.leastSquares(from: state, to: target, pool: pool))
    let error = (0..<12 * 8).reduce(0) { max($0, abs(found.pointer[$1] - map.pointer[$1])) }
    #expect(error < 0.02, "\(error)")
    #expect(abs(FeatureProjection.centeredKernelAlignment(state, state, pool: pool) - 1) < 1e-6)
    let turned = Matrix(rows: 64, columns: 8)
    for row in 0..<64 {
      for column in 0..<8 { turned.row(row)[column] = (column % 2 == 0 ? -3 : 3) * state.row(row)[(column + 3) % 8] + Float(column) }
    }
    #expect(abs(FeatureProjection.centeredKernelAlignment(state, turned, pool: pool) - 1) < 1e-5)
    #expect(FeatureProjection.centeredKernelAlignment(state, random(64, 8, seed: 6), pool: pool) < 0.5)
  }

  @Test(arguments: [1, 3]) func attacksRaiseTheLossWithinTheirBall(_ steps: Int) throws {
    let fixture = DecoderFixture(), graph = try fixture.graph()
    let model = try LoadedModel(graph)
    let tokens = fixture.windows[0], layout = SequenceLayout(lengths: [tokens.count])
    let target = LossTarget.tokens(tokens.dropFirst() + [0]), weights = [Float](repeating: 0.1, count: tokens.count)
    func loss(_ offset: Matrix?) throws -> Double {
      try interpreter.gradients(
        of: model, tokens: tokens, sequences: layout, objective: TrainingObjective(target, embeddingOffset: offset), rowWeights: weights,
        wanting: []
      ).loss
    }
    let embedded = try interpreter.run(graph.blocks[0], of: graph, weights: model.blocks[0], tokens: tokens, sequences: layout)
    let square = (0..<embedded.rows * embedded.columns).reduce(0.0) { $0 + Double(embedded.pointer[$1] * embedded.pointer[$1]) }
    let length = (square / Double(embedded.rows)).squareRoot()
    var before = try loss(nil)
    for epsilon: Float in [0.01, 0.1] {
      let attack = EmbeddingAttack(epsilon: epsilon, steps: steps, fixed: [tokens[0]])
      let offset = try attack.offset(
        for: model, tokens: tokens, sequences: layout, target: target, rowWeights: weights, interpreter: interpreter, seed: 3)
      for row in tokens.indices {
        let reach = offset.values(ofRow: row).reduce(0.0) { $0 + Double($1 * $1) }.squareRoot()
        #expect(tokens[row] == tokens[0] ? reach == 0 : reach <= Double(epsilon) * length * 1.0001, "row \(row)")
      }
      let after = try loss(offset)
      #expect(after > before, "\(epsilon): \(before) to \(after)")
      before = after
    }
  }

  @Test func typingErrorsAreFewAndRepeatable() {
    let text = "The quick brown foxes jumped over seventeen lazy dogs, twice; it was 1984 (in Überlingen)."
    let spoiled = TypingErrors(rate: 1, seed: 2).applied(to: text)
    #expect(spoiled == TypingErrors(rate: 1, seed: 2).applied(to: text) && spoiled != TypingErrors(rate: 1, seed: 3).applied(to: text))
    let (words, others) = (text.split(separator: " "), spoiled.split(separator: " "))
    #expect(words.count == others.count)
    for (word, other) in zip(words, others) {
      let letters = word.count { $0.isLetter }
      #expect((word == other) == (letters < 4) || letters >= 4, "\(word) \(other)")
      #expect(word.first == other.first && abs(word.count - other.count) <= 1)
    }
    #expect(zip(words, others).count { $0 != $1 } >= 7)
    #expect(TypingErrors(rate: 0, seed: 2).applied(to: text) == text)
    #expect(TypingErrors(rate: 1, seed: 2).applied(to: "") == "")
  }

  @Test func optionsAreChecked() throws {
    let graph = try DecoderFixture().graph()
    func refuses(_ change: (inout Distillation) -> Void) {
      var options = Distillation()
      options.sequenceLength = 32
      change(&options)
      #expect(throws: CompressionError.self) { try options.validate(for: graph) }
    }
    refuses { $0.sequenceLength = 65 }
    refuses { $0.batchWindows = 0 }
    refuses { ($0.featureSteps, $0.logitSteps, $0.policySteps, $0.robustnessSteps) = (0, 0, 0, 0) }
    refuses { $0.learningRate = .nan }
    refuses { $0.temperature = 0 }
    refuses { $0.textWeight = 1 }
    refuses { $0.topTokens = 0 }
    refuses { $0.layers = [1] }
    var options = Distillation()
    options.sequenceLength = 64
    try options.validate(for: graph)
  }
}
