import Diagnostics
import Execution
import ModelGraph
import Tensors
import Testing

@testable import Compression

/// What passes say of layers that calibration tells little or nothing usable about.
@Suite struct CalibrationNoteTests {
  private let interpreter = Interpreter(pool: ThreadPool(threads: 2))

  private static func passes() -> [any CompressionPass] {
    var trained = AutoRound(bits: 4, groupSize: 8, iterations: 0)
    trained.start = .nearest
    return [
      ImportanceMatrix(bits: 4, groupSize: 8), ActivationAware(bits: 4, groupSize: 8), SmoothQuant(), GPTQ(bits: 4, groupSize: 8), trained,
    ]
  }

  @Test(arguments: 0..<5)
  func activationsThatAreNotFiniteAreRefusedByName(_ index: Int) throws {
    var fixture = DecoderFixture()
    fixture.poisoned = "layers.1.up.weight"
    let error = #expect(throws: (any Error).self) { try fixture.compressed([Self.passes()[index]], interpreter) }
    // The layer that reads them is not to blame.
    let failure = try #require(error as? any Failure)
    #expect(failure.subject == "layers.1.up.weight" && failure.kind == .badData, "\(failure)")
  }

  @Test func infinitiesAndOverflowsAreRefusedToo() throws {
    for bad in [Float.infinity, -.infinity, .nan, 1e30] {
      let x = Matrix(rows: 4, columns: 6)
      for index in 0..<24 { x.pointer[index] = Float(index) }
      let statistics = InputStatistics(width: 6, kinds: .columns)
      try statistics.add(x, named: "layer", importance: nil, pool: interpreter.pool)
      x.row(2)[3] = bad
      let error = #expect(throws: CompressionError.self) {
        try statistics.add(x, named: "layer", importance: nil, pool: interpreter.pool)
      }
      #expect(error?.subject == "layer" && error?.kind == .badData)
    }
  }

  @Test(arguments: 0..<5)
  func deadInputsAreCounted(_ index: Int) throws {
    var fixture = DecoderFixture()
    #expect(try fixture.compressed([Self.passes()[index]], interpreter).records[0].warnings.isEmpty)
    fixture.hasDeadInputs = true
    let warnings = try fixture.compressed([Self.passes()[index]], interpreter).records[0].warnings
    #expect(warnings.count == 2)
    for (layer, warning) in warnings.enumerated() {
      #expect(
        warning.hasPrefix("layers.\(layer): 1 of 48 inputs of layers.\(layer).q, 1 of 48 inputs of layers.\(layer).gate were 0"),
        "\(warning)")
    }
  }

  /// Gradients are measured of the layers, not of the head.
  @Test func aHeadIsRoundedWithoutWhatItLacks() throws {
    var feedback = GPTQ(bits: 3, groupSize: 8, outputSensitivity: true)
    feedback.targets.overrides = [.init(pattern: "head", bits: 4)]
    let layers = try DecoderFixture().compressed([feedback], interpreter).records[0].layers
    #expect(layers.count == 15 && layers.dropLast().allSatisfy { $0.fallback == nil })
    #expect(layers.last?.module == "head" && layers.last?.fallback?.contains("output sensitivity: not measured") == true)
    var trained = AutoRound(bits: 3, groupSize: 8, iterations: 2)
    trained.targets.overrides = [.init(pattern: "head", bits: 4)]
    let record = try DecoderFixture().compressed([trained], interpreter).records[0]
    #expect(record.layers.last?.module == "head" && record.layers.last?.fallback?.contains("a head is not trained") == true)
    // Six windows are too few to put some aside.
    #expect(record.warnings.count == 1 && record.warnings[0].contains("too short to put windows aside"))
  }

  /// The factor of the outputs says what it is.
  @Test func notesOfTheOutputsAreTheirOwn() throws {
    let values = Matrix(rows: 8, columns: 8)
    for i in 0..<8 { for j in 0...i { values.row(i)[j] = i == j ? 1 : 6 } }
    let indefinite = try FeedbackFactor(
      of: GramMatrix(lower: values, tokens: 1, totalWeight: 1), side: .outputs, named: "w", pool: interpreter.pool)
    #expect(indefinite.fallback == "not positive definite with any damping up to 1: rounded without it")
    let none = try FeedbackFactor(of: GramMatrix(inputs: 8), side: .outputs, named: "w", pool: interpreter.pool)
    #expect(none.fallback == "no gradient reached it: rounded without it")
    values.row(3)[2] = .nan
    let error = #expect(throws: CompressionError.self) {
      try FeedbackFactor(
        of: GramMatrix(lower: values, tokens: 1, totalWeight: 1), side: .outputs, named: "w", pool: interpreter.pool)
    }
    #expect(error?.problem.contains("sensitivity of its outputs") == true)
  }

  /// Layers whose noise could not be measured neither count as silent nor pull the median down.
  @Test func unmeasuredLayersAreNamed() throws {
    let graph = try DecoderFixture().graph()
    let layers = graph.blocks.flatMap { graph.linears(of: $0) }.dropLast()
    var ratios = Dictionary(uniqueKeysWithValues: layers.enumerated().map { ($1.weight, $0 == 6 ? 1.0 : 0.01) })
    let unmeasured = layers.filter {
      ["layers.0.o", "layers.1.q", "layers.1.k", "layers.1.v", "layers.1.o", "layers.1.gate", "layers.1.up"]
        .contains($0.node.scope)
    }
    for (_, weight) in unmeasured + [layers[3], layers[4]] { ratios[weight] = nil }
    var rounding = RoundToNearest(bits: 8)
    rounding.targets.activations = .int8
    var context = PassContext(interpreter: interpreter)
    context.inputErrors = InputErrors(ratios: ratios)
    let workers = try ([rounding, ActivationOutliers()] as [any CompressionPass]).begin(on: graph, in: context).workers
    let outliers = try #require(workers.last)
    #expect(outliers.plan.count == 1 && outliers.plan[layers[6].weight] != nil)
    #expect(outliers.record.warnings.first?.contains("could not be measured") == true)
    #expect(outliers.record.warnings.first?.contains("layers.1.gate, layers.1.up") == true)
  }

  /// A layer that was planned, and is quantized already, is an error, not silence.
  @Test func whatCannotBeDoneIsNotPassedOver() throws {
    let quantized = try DecoderFixture().compressed([RoundToNearest(bits: 4, groupSize: 8)], interpreter).graph
    for pass in Self.passes() where !(pass is SmoothQuant) {
      let error = #expect(throws: CompressionError.self) { try DecoderFixture().compressed([pass], from: quantized, interpreter) }
      #expect(error?.kind == .badData && error?.subject.hasPrefix("layers.0.") == true)
    }
    #expect(throws: CompressionError.self) { try DecoderFixture().compressed([RoundToNearest(bits: 4)], from: quantized, interpreter) }
    let id = try #require(quantized.linears(of: quantized.blocks[1]).first).weight
    #expect(throws: CompressionError.self) { try quantized.denseWeight(id, of: "layers.0.q") }
    #expect(throws: CompressionError.self) { try DecoderFixture().graph().quantizedWeight(id, of: "layers.0.q") }
  }
}
