import DeepSeekOptimize
import Foundation
import Testing

/// Numbers at the edges through pruning, replacement, rotation and conversion: what is written is numbers, or nothing is, and the tensor is named.
@Suite struct HostileMethodRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private var settings: RunSettings {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.evaluation = nil
    settings.overwrite = true
    return settings
  }

  private static let calibration = CalibrationPlan(text: "demo", samples: 4, sequenceLength: 32)

  private func prune(_ model: ModelBundle, _ pruning: StructuredPruning, isRepaired: Bool = true) throws -> CompressionReport {
    try PruningRun(model: model, pruning: pruning, calibration: isRepaired ? Self.calibration : nil, settings: settings).execute()
  }

  private func replace(_ model: ModelBundle, _ change: (inout ModuleReplacement) -> Void) throws -> CompressionReport {
    var replacement = ModuleReplacement()
    change(&replacement)
    return try ReplacementRun(model: model, replacement: replacement, calibration: Self.calibration, settings: settings).execute()
  }

  private func compress(_ model: ModelBundle, _ passes: [any CompressionPass], _ format: OutputFormat) throws -> CompressionReport {
    try CompressionRun(model: model, recipe: Recipe(passes: passes, format: format), settings: settings).execute()
  }

  /// In the last layer nothing behind it would notice.
  @Test(arguments: [Float.nan, .infinity, -.infinity]) func pruningNamesWhatIsNoNumber(_ bad: Float) throws {
    let name = "model.layers.3.mlp.down_proj.weight"
    let model = try HostileModel.write(to: directory.path("model"), bad, in: name)
    for importance in ChannelImportance.allCases where importance != .activations {
      let failure = try directory.refusal {
        try prune(model, StructuredPruning(mlp: 0.5, importance: importance, multiple: 8), isRepaired: importance.needsText)
      }
      #expect(failure.subject == name && failure.problem.contains("1 weights"), "\(importance): \(failure)")
    }
    let failure = try directory.refusal { try prune(model, StructuredPruning(layers: 1)) }
    #expect(failure.subject == name, "\(failure)")
  }

  @Test(arguments: HostileModel.Matter.allCases) func prunedModelsAreNumbers(_ matter: HostileModel.Matter) throws {
    let model = try HostileModel.write(to: directory.path("model"), matter.value)
    for importance in [ChannelImportance.l1, .wanda] {
      let pruning = StructuredPruning(mlp: 0.5, heads: 0.5, importance: importance, multiple: 8)
      let report: CompressionReport
      do { report = try prune(model, pruning) } catch let failure as any Failure where matter == .halfEdge {
        // Products of such weights may be too large to be squared.
        #expect(failure.kind == .badData && failure.subject.contains("model"), "\(importance): \(failure)")
        continue
      }
      #expect(try HostileModel.isFinite(ModelBundle(opening: directory.path("out"))), "\(importance)")
      #expect(try CompressionReport(json: report.json) == report)
    }
  }

  /// Channels as large as each other: the first stay, whatever their signs.
  @Test func ofEqualChannelsTheFirstStay() throws {
    func sign(_ row: Int) -> Float { row % 3 == 0 ? -1 : 1 }
    let model = try HostileModel.write(to: directory.path("model")) { name, row, _, value in
      name == HostileModel.up ? 0.01 * sign(row) : name.hasPrefix(HostileModel.scope + ".mlp") ? 0.01 : value
    }
    _ = try prune(model, StructuredPruning(mlp: 0.5, multiple: 8), isRepaired: false)
    let written = try ModelBundle(opening: directory.path("out"))
    let up = try #require(try written.weights.load(HostileModel.up).float32())
    let values = try #require(up.float32Values())
    #expect(up.shape == [192, 128])
    let isFirst = (0..<192).allSatisfy { values[$0 * 128] == Float(0.01) * sign($0) }
    #expect(isFirst)
  }

  /// A repair may ask for more than float16 holds: then the layer is cut and not repaired, which is said.
  @Test func repairsBeyondTheTypeAreLeftOut() throws {
    let model = try HostileModel.write(to: directory.path("model"), as: .float16) { name, _, _, value in
      name == HostileModel.down ? (value < 0 ? -65504 : 65504) : name == HostileModel.up ? value * 0x1p-20 : value
    }
    let report = try prune(model, StructuredPruning(mlp: 0.5, importance: .wanda, multiple: 8))
    let written = try ModelBundle(opening: directory.path("out"))
    #expect(try HostileModel.isFinite(written))
    #expect(report.warnings.contains { $0.hasPrefix("not repaired") && $0.contains(HostileModel.scope + " (mlp)") }, "\(report.warnings)")
    let values = try #require(try written.weights.load(HostileModel.down).float32()?.float32Values())
    #expect(values.allSatisfy { abs($0) == 65504 })
  }

  @Test(arguments: HostileModel.Matter.allCases) func replacedNormsAreNumbers(_ matter: HostileModel.Matter) throws {
    let model = try HostileModel.write(to: directory.path("model"), matter.value)
    for kind in [ModuleReplacement.NormalizationKind.layerNorm, .dynamicTanh] {
      do { _ = try replace(model) { $0.normalization = kind } } catch let failure as any Failure where matter == .halfEdge {
        #expect(failure.kind == .badData && failure.subject.contains("model"), "\(kind): \(failure)")
        continue
      }
      #expect(try HostileModel.isFinite(ModelBundle(opening: directory.path("out"))), "\(kind)")
    }
  }

  @Test func replacementNamesWhatIsNoNumber() throws {
    let model = try HostileModel.write(to: directory.path("model"), .infinity, in: HostileModel.norm, row: 0)
    let failure = try directory.refusal { try replace(model) { $0.normalization = .dynamicTanh } }
    #expect(failure.subject == HostileModel.norm && failure.problem.contains("1 weights"), "\(failure)")
  }

  /// What no text meets is passed on as it is, and counted.
  @Test func whatIsPassedOnIsCounted() throws {
    let model = try HostileModel.write(to: directory.path("model")) { name, row, column, value in
      name == HostileModel.embedding && row == 700 && column < 3 ? [.nan, .infinity, -.infinity][column] : value
    }
    let expected = "3 weights are NaN or infinite, as they are in the source: \(HostileModel.embedding)"
    let reports = [
      try replace(model) { $0.activation = .relu }, try prune(model, StructuredPruning(mlp: 0.5, multiple: 8), isRepaired: false),
      try compress(model, [RoundToNearest(bits: 8)], .compressedTensors),
    ]
    for report in reports { #expect(report.warnings.contains(expected), "\(report.warnings)") }
    let plain = try compress(ModelBundle(opening: "demo"), [RoundToNearest(bits: 8)], .compressedTensors)
    #expect(!plain.warnings.contains { $0.contains("NaN") })
  }

  /// A rotation makes matrices that are full of the largest numbers larger.
  @Test func rotationsBeyondTheTypeAreRefusedByName() throws {
    let model = try HostileModel.write(to: directory.path("model"), as: .float16) { name, _, _, value in
      name == HostileModel.down ? (value < 0 ? -65504 : 65504) : value
    }
    let failure = try directory.refusal { try compress(model, [HadamardRotation(), RoundToNearest(bits: 8)], .compressedTensors) }
    #expect(failure.subject == HostileModel.down && failure.problem.contains("beyond F16 once it is rotated"), "\(failure)")
  }

  /// Of codes whose search clamps, in a type with minima and in one with levels: the scales of both are float16.
  @Test(arguments: [WeightType.q5_1, .iq4_NL]) func weightsBeyondASearchedScaleAreCounted(_ type: WeightType) throws {
    let model = try HostileModel.write(to: directory.path("model")) { name, row, column, value in
      name == HostileModel.up && row == 0 && column < 32 ? (column % 2 == 0 ? 1e9 : -1e9) : value
    }
    var pass = RoundToNearest(bits: 8)
    pass.targets.type = type
    let layers = try #require(try compress(model, [pass], .gguf).layers)
    let clipped = try #require(layers.first { $0.name == HostileModel.scope + ".mlp.up_proj" }?.clippedFraction)
    #expect(clipped >= 32 / Double(384 * 128))
  }

  /// Whatever a method makes of a weight: beyond its type it is not written.
  @Test func noMethodWritesWhatItsTypeDoesNotHold() throws {
    let model = try HostileModel.write(to: directory.path("model"), as: .float16) { _, _, _, value in value }
    let failure = try directory.refusal { try compress(model, [Exaggeration()], .compressedTensors) }
    #expect(failure.subject == HostileModel.up && failure.problem.contains("in 1 places"), "\(failure)")
    #expect(failure.problem.contains("beyond F16"))
  }
}

/// Puts a value into a weight that float32 holds, and float16 does not.
private struct Exaggeration: CompressionPass {
  static let identifier = "exaggeration"
  static let contract = PassContract()

  func validate(for graph: ModelGraph) throws(CompressionError) {}
  func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass { Worker() }

  struct Worker: BlockPass {
    var plan: [ParameterID: WeightStorage] { [:] }
    var record = PassRecord(pass: Exaggeration.identifier)

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      for id in graph.parameters(of: block) where graph[id].name == HostileModel.up {
        var values = try #require(try graph[id].load().float32()?.float32Values())
        values[17] = 1e6
        try graph.replace(id, with: .dense(Tensor(values, shape: graph[id].shape)))
      }
    }
  }
}
