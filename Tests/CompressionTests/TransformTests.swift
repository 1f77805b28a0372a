import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// Transforms change weights, not what the model computes.
@Suite struct TransformTests {
  private let resources = PassResources(pool: ThreadPool(threads: 2))

  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  private static let shapes = [
    DecoderFixture(), DecoderFixture(isTied: true), DecoderFixture(hasBiases: true), DecoderFixture(hasHeadNorms: true),
    DecoderFixture(isTied: true, hasBiases: true, hasHeadNorms: true, hidden: 26),
  ]

  /// Largest difference over the largest magnitude.
  private func distance(_ left: [Float], _ right: [Float]) -> Float {
    guard left.count == right.count, !left.isEmpty else { return .infinity }
    let peak = left.reduce(0) { max($0, abs($1)) }
    return zip(left, right).reduce(0) { max($0, abs($1.0 - $1.1)) } / peak
  }

  /// Applies passes as a run does.
  private func apply(_ passes: [any CompressionPass], to source: ModelGraph, _ fixture: DecoderFixture) throws -> (ModelGraph, [PassRecord])
  {
    try fixture.compressed(passes, from: source, interpreter)
  }

  @Test(arguments: shapes.indices)
  func rotationKeepsTheFunction(_ index: Int) throws {
    let fixture = Self.shapes[index]
    let source = try fixture.graph()
    let rotated = try HadamardRotation(seed: 3).prepare(source, using: resources)
    try rotated.verify()
    #expect(rotated.isRewritten && !source.isRewritten)
    #expect(rotated.sharedParameters.isEmpty)
    let (before, after) = (try fixture.logits(source, interpreter), try fixture.logits(rotated, interpreter))
    #expect(distance(before, after) < 2e-5)
    let gains = rotated.parameters.filter { $0.role == .normGain }
    #expect(gains.count == 5)
    for gain in gains { #expect(try gain.load().float32()?.float32Values()?.allSatisfy { $0 == 1 } == true) }
    // It did turn something, and differently for another seed.
    let other = try HadamardRotation(seed: 4).prepare(source, using: resources)
    let name = "layers.0.gate.weight"
    func values(_ graph: ModelGraph) throws -> [Float]? {
      try graph.parameters.first { $0.name == name }?.load().float32()?.float32Values()
    }
    #expect(try values(rotated) != values(source))
    #expect(try values(rotated) != values(other))
  }

  @Test func rotatedWeightsAreOfTheStoredType() throws {
    for type in [DataType.bfloat16, .float16] {
      let graph = try HadamardRotation().prepare(DecoderFixture(isTied: true, type: type).graph(), using: resources)
      #expect(graph.parameters.count == 21)
      for parameter in graph.parameters {
        #expect(try Self.dense(parameter).dataType == type && parameter.nativeType == type)
      }
    }
  }

  /// What a format stores scales as says nothing of the values beside them.
  @Test func scalesOfAFormatLeaveValuesAlone() throws {
    let fixture = DecoderFixture(type: .bfloat16)
    let source = try fixture.graph().requiring(scalesOf: .float16, dense: [])
    let rotated = try HadamardRotation().prepare(source, using: resources)
    let (smoothed, _) = try apply([SmoothQuant(alpha: 0.6)], to: source, fixture)
    for graph in [rotated, smoothed] {
      for parameter in graph.parameters where parameter.role == .normGain || parameter.role == .tokenEmbedding {
        #expect(try Self.dense(parameter).dataType == .bfloat16, "\(parameter.name)")
      }
    }
  }

  @Test func rotationFlattensWhatStandsOut() throws {
    let source = try DecoderFixture().graph()
    func peak(_ graph: ModelGraph) throws -> Float {
      let weight = try #require(graph.parameters.first { $0.name == "layers.1.gate.weight" })
      let values = try #require(try weight.load().float32()?.float32Values())
      let mean = values.reduce(0) { $0 + $1 * $1 } / Float(values.count)
      return values.reduce(0) { max($0, abs($1)) } / mean.squareRoot()
    }
    #expect(try peak(HadamardRotation().prepare(source, using: resources)) < peak(source))
  }

  @Test func aGraphThatReadsTheStreamOtherwiseIsRefused() throws {
    let fixture = DecoderFixture()
    var builder = GraphBuilder(family: "odd", vocabularySize: fixture.vocabulary, maximumPositions: 8, weights: OneMatrix())
    let x = try builder.embedding(builder.input, "embed", width: 8)
    builder.endBlock(.embedding, "embed")
    let gated = builder.gatedActivation(gate: x, up: x, .silu, scope: "odd")
    let logits = try builder.linear(gated, "head", outputs: fixture.vocabulary, tiedTo: "embed.weight")
    builder.endBlock(.head, "head")
    let graph = try builder.finish(output: logits)
    let error = #expect(throws: CompressionError.self) { try HadamardRotation().validate(for: graph) }
    #expect(error?.subject == "odd" && error?.kind == .usage)
  }

  @Test(arguments: shapes.indices, [Float(0.5), 0.8])
  func smoothingKeepsTheFunction(_ index: Int, _ alpha: Float) throws {
    let fixture = Self.shapes[index]
    let source = try fixture.graph()
    let (smoothed, records) = try apply([SmoothQuant(alpha: alpha)], to: source, fixture)
    #expect(distance(try fixture.logits(source, interpreter), try fixture.logits(smoothed, interpreter)) < 2e-5)
    #expect(records[0].warnings.isEmpty)
    #expect(Set(records[0].rescaled).count == 14)
    let changed = zip(source.parameters, smoothed.parameters).filter { before, after in
      (try? before.load().float32()?.float32Values()) != (try? after.load().float32()?.float32Values())
    }
    #expect(changed.count >= 18)
  }

  /// The ranges of activations come out even: with α = 1 every input of a norm's readers peaks at 1.
  @Test func smoothingEvensTheInputs() throws {
    let fixture = DecoderFixture()
    let (graph, _) = try apply([SmoothQuant(alpha: 1)], to: try fixture.graph(), fixture)
    var peaks: [String: [Float]] = [:]
    _ = try ForwardStream(interpreter: interpreter).hidden(of: graph, windows: fixture.windows) { _, run in
      let (node, input) = (run.node, run.input)
      var peak = peaks[node.scope] ?? [Float](repeating: 0, count: input.columns)
      for row in 0..<input.rows {
        for (column, value) in input.values(ofRow: row).enumerated() { peak[column] = max(peak[column], abs(value)) }
      }
      peaks[node.scope] = peak
    }
    for scope in ["layers.0.q", "layers.1.gate", "layers.1.down"] {
      #expect(try #require(peaks[scope]).allSatisfy { abs($0 - 1) < 1e-3 }, "\(scope)")
    }
  }

  @Test func gainsAreRoundedAndTheirReadersMakeUpForIt() throws {
    let fixture = DecoderFixture(type: .bfloat16)
    let source = try fixture.graph()
    let (smoothed, _) = try apply([SmoothQuant(alpha: 0.6)], to: source, fixture)
    let gains = smoothed.parameters.filter { $0.role == .normGain }
    #expect(gains.count == 5)
    for gain in gains { #expect(try Self.dense(gain).dataType == .bfloat16) }
    #expect(distance(try fixture.logits(source, interpreter), try fixture.logits(smoothed, interpreter)) < 2e-5)
  }

  /// Biases that are rounded, or cannot be divided at all, settle the factors of their rows.
  @Test(arguments: [DataType.float16, .bfloat16, .float32], [Float(0.5), 0.8])
  func biasesAreRoundedAndTheirRowsMakeUpForIt(_ type: DataType, _ alpha: Float) throws {
    let fixture = DecoderFixture(hasBiases: true, type: type, hasExtremes: true)
    let source = try fixture.graph()
    let (smoothed, records) = try apply([SmoothQuant(alpha: alpha)], to: source, fixture)
    #expect(distance(try fixture.logits(source, interpreter), try fixture.logits(smoothed, interpreter)) < 2e-5)
    #expect(records[0].rescaled.contains("layers.0.up") && records[0].rescaled.contains("layers.1.v"))
    for name in ["layers.0.up.bias", "layers.1.v.bias"] {
      let (before, after) = (
        try #require(source.parameters.first { $0.name == name }), try #require(smoothed.parameters.first { $0.name == name })
      )
      #expect(try Self.dense(after).dataType == type)
      #expect(try Self.dense(before).float32Values() != Self.dense(after).float32Values())
    }
    // Beyond float16's range no factor can take it.
    let large = try Self.dense(try #require(smoothed.parameters.first { $0.name == "layers.0.up.bias" })).float32Values()?[3]
    #expect(type == .float16 ? large == 20_000 : large != 20_000)
  }

  private struct NotDense: Error { let name: String }

  private static func dense(_ parameter: Parameter) throws -> Tensor {
    guard case .dense(let tensor) = try parameter.load() else { throw NotDense(name: parameter.name) }
    return tensor
  }

  /// The Gram matrices, too, are those of the smoothed inputs. Tokens count alike: what they matter to rows that were divided is another
  /// thing.
  @Test func gramMatricesFollow() throws {
    let fixture = DecoderFixture()
    let source = try fixture.graph()
    func calibration(_ graph: ModelGraph) throws -> BlockCalibration {
      let stream = try CalibrationStream(
        windows: fixture.windows, of: graph, interpreter: interpreter, needs: [.calibration],
        spillingTo: FileManager.default.temporaryDirectory, batchRows: 64)
      try stream.advance(past: graph.blocks[0], in: graph)
      return try #require(stream.calibration(for: graph.blocks[1], at: 1, sensitivity: nil))
    }
    func values(_ statistics: InputStatistics) throws -> [Float] {
      let matrix = try #require(try statistics.gram(pool: interpreter.pool)).symmetric(pool: interpreter.pool)
      return (0..<matrix.rows).flatMap { matrix.values(ofRow: $0) }
    }
    let followed = try calibration(source)
    let context = PassContext(interpreter: interpreter).with(followed)
    let gathered = try followed.statistics([.gram, .columns], in: source)
    let before = try gathered.mapValues(values)
    var graph = source
    var worker = try SmoothQuant(alpha: 0.7).begin(on: graph, in: context)
    try worker.apply(to: source.blocks[1], of: &graph, in: context)
    let fresh = try calibration(graph).statistics([.gram, .columns], in: graph)
    #expect(gathered.count == 4)
    for (value, statistics) in gathered {
      let (expected, now) = (try values(try #require(fresh[value])), try values(statistics))
      #expect(distance(expected, now) < 1e-4)
      #expect(distance(expected, try #require(before[value])) > 0.05)
    }
  }

  /// GPTQ behind smoothing, with and without what outputs feel of it: the same as if statistics were gathered anew.
  @Test func statisticsAndSensitivityFollow() throws {
    let fixture = DecoderFixture()
    let source = try fixture.graph()
    let stream = try CalibrationStream(
      windows: fixture.windows, of: source, interpreter: interpreter, needs: [.calibration, .gradients],
      spillingTo: FileManager.default.temporaryDirectory, batchRows: 64)
    let directory = FileManager.default.temporaryDirectory
    let sensitivity = try OutputSensitivity.measure(stream, seed: 1, spillingTo: directory)
    try stream.advance(past: source.blocks[0], in: source)
    let block = source.blocks[1]
    let calibration = try #require(stream.calibration(for: block, at: 1, sensitivity: sensitivity))
    let context = PassContext(interpreter: interpreter).with(calibration)
    let gathered = try calibration.statistics([.gram, .columns], in: source)
    var graph = source
    var worker = try SmoothQuant(alpha: 0.7).begin(on: graph, in: context)
    try worker.apply(to: block, of: &graph, in: context)
    // What a model that was smooth from the start shows.
    let other = try CalibrationStream(
      windows: fixture.windows, of: graph, interpreter: interpreter, needs: [.calibration, .gradients], spillingTo: directory, batchRows: 64
    )
    let measured = try OutputSensitivity.measure(other, seed: 1, spillingTo: directory)
    try other.advance(past: graph.blocks[0], in: graph)
    let fresh = try #require(other.calibration(for: block, at: 1, sensitivity: measured)).statistics([.gram, .columns], in: graph)
    for (value, statistics) in gathered {
      let expected = try #require(fresh[value])
      #expect(distance(expected.absmax, statistics.absmax) < 1e-4)
      #expect(distance(expected.meanSquare, statistics.meanSquare) < 1e-4)
    }
    for (node, weight) in source.linears(of: block) {
      let followed = try #require(try sensitivity.factor(of: weight)).diagonal
      let expected = try #require(try measured.factor(of: weight)).diagonal
      #expect(distance(expected, followed) < 1e-3, "\(node.scope)")
    }
  }

  @Test func inputsThatCannotBeFoldedAreNamed() throws {
    let fixture = DecoderFixture()
    let graph = try fixture.graph()
    for block in graph.blocks.dropFirst().dropLast() {
      let (foldable, skipped) = FoldableInput.all(in: block, of: graph)
      #expect(foldable.count == 4 && skipped.isEmpty)
      // Two query heads share the rows of one value head.
      let attention = try #require(foldable.first { $0.readers.first?.node.scope.hasSuffix(".o") == true })
      #expect(attention.channels == fixture.keyValueHeads * fixture.dimension && attention.channel.count == 2 * attention.channels)
      #expect(attention.channel[0..<8] == attention.channel[8..<16] && attention.channel[16] == 8)
    }
    let tied = try DecoderFixture(isTied: true).graph()
    let head = FoldableInput.all(in: try #require(tied.blocks.last), of: tied)
    #expect(head.foldable.isEmpty && head.skipped.count == 1)
  }

  @Test(arguments: [QuantizationTargets.Method.symmetric, .asymmetric])
  func factorsNeverMakeTheRoundingWorse(_ method: QuantizationTargets.Method) throws {
    let fixture = DecoderFixture(hidden: 64)
    let source = try fixture.graph()
    let plain = try fixture.logits(source, interpreter)
    func error(_ pass: any CompressionPass) throws -> Double {
      let (graph, records) = try apply([pass], to: source, fixture)
      #expect(records[0].layers.count == 14)
      return zip(plain, try fixture.logits(graph, interpreter)).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
    }
    let aware = try error(ActivationAware(bits: 4, method: method, groupSize: 8))
    let searched = try error(ImportanceMatrix(bits: 4, method: method, groupSize: 8))
    #expect(aware < 1.1 * searched)
  }

  /// Where a few features carry most of the activations, and a scale serves all of a row, factors help a lot.
  @Test(arguments: [QuantizationTargets.Method.symmetric, .asymmetric])
  func factorsHelpWhereFeaturesStandOut(_ method: QuantizationTargets.Method) throws {
    let fixture = DecoderFixture(hidden: 64, hasOutliers: true)
    let plain = try fixture.logits(try fixture.graph(), interpreter)
    func error(_ pass: any CompressionPass) throws -> Double {
      let (graph, records) = try fixture.compressed([pass], interpreter)
      #expect(records[0].layers.count == 14)
      return zip(plain, try fixture.logits(graph, interpreter)).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
    }
    let aware = try error(ActivationAware(bits: 4, method: method, groupSize: 0))
    let searched = try error(ImportanceMatrix(bits: 4, method: method, groupSize: 0))
    #expect(aware < 0.85 * searched, "\(aware) of \(searched)")
  }

  @Test func whatIsNotRotatedIsSaid() throws {
    let whole = try DecoderFixture().compressed([HadamardRotation()], interpreter).records[0]
    #expect(whole.warnings.isEmpty)
    let blocks = try DecoderFixture(hidden: 26).compressed([HadamardRotation()], interpreter).records[0]
    #expect(blocks.warnings.count == 1 && blocks.warnings[0].contains("blocks of 2: no Hadamard matrix is known for all 26"))
  }
}

/// One matrix, for a graph that no family has.
private struct OneMatrix: WeightSource {
  var names: [String] { ["embed.weight"] }
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    name == "embed.weight" ? ([DecoderFixture().vocabulary, 8], .dense(.float32)) : nil
  }
  func load(_ name: String) throws -> Weight {
    .dense(Tensor([Float](repeating: 1, count: DecoderFixture().vocabulary * 8), shape: [DecoderFixture().vocabulary, 8]))
  }
}
