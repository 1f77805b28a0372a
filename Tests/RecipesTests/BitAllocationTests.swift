import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// Bits chosen by measurement, over whole runs of the demo.
@Suite struct BitAllocationTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func compression(
    _ name: String, pass: any CompressionPass = GPTQ(bits: 4, groupSize: 64), threads: Int = 2, evaluation: EvaluationSettings? = nil,
    format: OutputFormat = .compressedTensors, text: String = DemoModel.calibrationText.path
  ) throws -> CompressionRun {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = evaluation
    settings.threads = threads
    let calibration = CalibrationPlan(text: text, samples: 12, sequenceLength: 64)
    return CompressionRun(
      model: try ModelBundle(opening: "demo"), recipe: Recipe(passes: [pass], format: format, calibration: calibration), settings: settings)
  }

  private func weights(of name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: directory.path("\(name)/model.safetensors")))
  }

  @Test func aBudgetOfBitsIsKeptAndItsRecipeSaysIt() throws {
    let report = try BitAllocation(compression("out", threads: 1), budget: .bitsPerWeight(4.1)).execute()
    let allocation = try #require(report.allocation)
    #expect(try #require(allocation.bitsPerWeight) <= 4.1)
    // Within a step of the smallest group's bits, nothing is left unused.
    #expect(try #require(allocation.bitsPerWeight) > 3.9)
    #expect(allocation.goal == "target-bpw" && allocation.rounds.count == 1)
    #expect(try #require(allocation.measuredKL) > 0 && #require(allocation.predictedKL) > 0)
    #expect(allocation.groups.count == 4 * 4 && allocation.groups.flatMap(\.layers).count == 28)
    #expect(allocation.groups.reduce(0) { $0 + ($1.weights ?? 0) } == allocation.weights)
    #expect(allocation.groups.reduce(0) { $0 + ($1.bytes ?? 0) } == allocation.bytes)
    #expect(Set(allocation.groups.map(\.bits)).count > 1)
    // What the checkpoint holds is what the table says, and fused layers share it.
    let written = Dictionary(uniqueKeysWithValues: try #require(report.layers).map { ($0.name, $0) })
    for group in allocation.groups {
      for layer in group.layers {
        #expect(written[layer]?.bits == group.bits.map(Double.init) && written[layer]?.groupSize == group.groupSize)
      }
    }
    // The recipe reproduces it without choosing, and so does another number of threads with choosing.
    let recipe = try Recipe(yaml: String(contentsOfFile: directory.path("out/recipe.yaml"), encoding: .utf8))
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("again")))
    settings.evaluation = nil
    _ = try CompressionRun(model: ModelBundle(opening: "demo"), recipe: recipe, settings: settings).execute()
    _ = try BitAllocation(compression("threads", threads: 3), budget: .bitsPerWeight(4.1)).execute()
    #expect(try weights(of: "again") == weights(of: "out"))
    #expect(try weights(of: "threads") == weights(of: "out"))
    #expect(directory.contents == ["again", "out", "threads"])
  }

  /// The recipe names each layer's type: bits alone would lead to another where superblocks do not divide its rows.
  @Test func typesOfBlocksAreChosenAmong() throws {
    var pass = GPTQ()
    pass.targets.bits = 4
    pass.targets.type = .gguf
    let report = try BitAllocation(compression("out", pass: pass, format: .gguf), budget: .bitsPerWeight(5)).execute()
    #expect(try #require(report.allocation?.bitsPerWeight) <= 5)
    #expect(Set(try #require(report.allocation?.groups).map(\.bits)).count > 1)
    let recipe = try Recipe(yaml: String(contentsOfFile: directory.path("out/recipe.yaml"), encoding: .utf8))
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("again")))
    settings.evaluation = nil
    _ = try CompressionRun(model: ModelBundle(opening: "demo"), recipe: recipe, settings: settings).execute()
    let files = try ["out", "again"].map { try Data(contentsOf: URL(fileURLWithPath: directory.path("\($0)/model.gguf"))) }
    #expect(files[0] == files[1])
  }

  /// What a rule settles stays so in the recipe, whatever its groups are.
  @Test func squaresOfARuleStay() throws {
    var targets = QuantizationTargets()
    (targets.bits, targets.groupSize) = (4, 64)
    targets.overrides = [.init(pattern: ModulePattern("re:.*down_proj"), type: .fp8Block)]
    let graph = try ModelBundle(opening: "demo").graph
    let problem = try AllocationProblem(targets, for: graph)
    let widest = problem.options.map { options in options.indices.max { options[$0].bytes < options[$1].bytes } ?? 0 }
    let schemes = try problem.targets(choosing: widest).schemes(for: graph)
    #expect(schemes.values.contains { $0.granularity == .block(128) })
  }

  @Test func moreBitsAreNeverPredictedToCostMore() throws {
    var last = Double.infinity
    for limit in [3.0, 5, 8.5] {
      let run = try compression("out\(limit)", pass: RoundToNearest(bits: 4, groupSize: 64))
      let report = try BitAllocation(run, budget: .bitsPerWeight(limit)).execute()
      let predicted = try #require(report.allocation?.predictedKL)
      #expect(predicted < last)
      last = predicted
    }
  }

  @Test func aBudgetOfDivergenceIsMeasured() throws {
    let limit = 0.05
    let report = try BitAllocation(
      compression("out", evaluation: EvaluationSettings(tokens: 2048)), budget: .klDivergence(limit)
    ).execute()
    let allocation = try #require(report.allocation)
    #expect(allocation.goal == "max-kl" && (1...3).contains(allocation.rounds.count))
    #expect(!report.warnings.contains { $0.contains("no choice held") })
    // What is kept is the smallest of what was measured to hold the limit, and the figures are its own.
    let kept = try #require(allocation.rounds.first { $0.isKept == true })
    #expect(allocation.rounds.count { $0.isKept == true } == 1)
    #expect(kept.measuredKL == allocation.measuredKL && kept.bitsPerWeight == allocation.bitsPerWeight)
    #expect(try #require(kept.measuredKL) <= limit)
    for round in allocation.rounds where try #require(round.measuredKL) <= limit {
      #expect(try #require(round.bitsPerWeight) >= #require(kept.bitsPerWeight))
    }
    // No width for all layers is as small and holds the limit on the same text.
    let uniform = try compression("uniform")
    let problem = try BitAllocation(uniform, budget: .klDivergence(limit)).subject().problem
    let smaller = AllocationProblem.widths.indices.filter { way in
      problem.options.reduce(0) { $0 + ($1.first { $0.way == way }?.bytes ?? 0) } <= allocation.bytes ?? 0
    }
    let widest = try #require(smaller.last.map { AllocationProblem.widths[$0] })
    let run = try compression("uniform", pass: GPTQ(bits: widest, groupSize: 64))
    _ = try run.reserving { output in
      let material = CalibrationMaterial()
      let quantized = try run.quantize(try run.prepareWithinMemory(), into: output, sharing: material)
      let held = try HeldOutText(for: run, calibratedOn: #require(material.selection?.windows))
      #expect(held.text.predictions == allocation.heldOutTokens)
      #expect(try held.divergence(of: quantized.written.graph, from: run.model.graph, for: run) > limit)
      return try run.finish(quantized, evaluation: nil, since: .now)
    }
  }

  /// Experts that lie in one tensor have one choice together.
  @Test(arguments: [OutputFormat.mlx, .gguf]) func expertsOfAStackAreOneChoice(_ format: OutputFormat) throws {
    try MixtureModel.write(to: URL(fileURLWithPath: directory.path("model")))
    var pass = RoundToNearest(bits: 4, groupSize: 32)
    if format == .gguf { (pass.targets.type, pass.targets.groupSize) = (.gguf, 0) }
    let calibration = CalibrationPlan(text: DemoModel.calibrationText.path, samples: 24, sequenceLength: 64)
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.evaluation = nil
    let run = CompressionRun(
      model: try ModelBundle(opening: directory.path("model")), recipe: Recipe(passes: [pass], format: format, calibration: calibration),
      settings: settings)
    let groups = try BitAllocation(run, budget: .bitsPerWeight(6)).subject().problem.groups
    let experts = groups.filter { $0.layers.contains { $0.module.contains(".experts.") } }
    #expect(experts.map(\.layers.count) == [16, 8, 16, 8])
    #expect(experts.first?.name == "model.layers.1.mlp.experts.*.{gate_proj,up_proj}")
    let report = try BitAllocation(run, budget: .bitsPerWeight(6)).execute()
    let chosen = try #require(report.allocation?.groups)
    #expect(Set(chosen.map(\.bits)).count > 1 && (report.allocation?.bitsPerWeight ?? 9) <= 6)
    let written = Dictionary(uniqueKeysWithValues: try #require(report.layers).map { ($0.name, $0.bits) })
    for group in chosen { #expect(group.layers.allSatisfy { written[$0] == group.bits.map(Double.init) }, "\(group.name)") }
  }

  /// An override may leave no choice: the head's cost cannot be measured, and need not be.
  @Test func layersWithBitsOfTheirOwnKeepThem() throws {
    var pass = RoundToNearest(bits: 4, groupSize: 64)
    pass.targets.overrides = [
      .init(pattern: "re:.*down_proj", bits: 6, groupSize: 32), .init(pattern: "lm_head", bits: 8, groupSize: 0),
    ]
    let report = try BitAllocation(compression("out", pass: pass), budget: .bitsPerWeight(5.5)).execute()
    let groups = try #require(report.allocation?.groups)
    let down = groups.filter { $0.name.hasSuffix("down_proj") }
    #expect(down.count == 4 && down.allSatisfy { $0.bits == 6 && $0.groupSize == 32 })
    let head = try #require(groups.first { $0.name == "lm_head" })
    #expect(head.bits == 8 && head.groupSize == 0 && head.predictedKL == nil)
    #expect(groups.allSatisfy { $0.name == "lm_head" || $0.predictedKL != nil })
    #expect(report.layers?.first { $0.name == "lm_head" }?.bits == 8)
  }

  /// What the head's bits cost is unknown, so that they must not be chosen as if they were free.
  @Test(arguments: [QuantizationTargets.Override(pattern: "lm_head", bits: 8), .init(pattern: "re:.*", groupSize: 64)])
  func aHeadWithoutBitsOfItsOwnIsRefused(_ override: QuantizationTargets.Override) throws {
    var pass = RoundToNearest(bits: 4, groupSize: 64)
    pass.targets.overrides = [override]
    let allocation = BitAllocation(try compression("a", pass: pass), budget: .bitsPerWeight(6))
    let executed = #expect(throws: RecipeError.self) { try allocation.execute() }
    let planned = #expect(throws: RecipeError.self) { try allocation.plan() }
    for refusal in [executed, planned] {
      let error = try #require(refusal)
      #expect(error.kind == .usage && error.subject == "lm_head" && error.remedy == "give it bits and a group size with --override")
    }
    #expect(directory.contents.isEmpty)
  }

  /// A width that the format cannot hold is not chosen from, and that is said.
  @Test func widthsThatTheFormatRefusesAreCounted() throws {
    let graph = try ModelBundle(opening: "demo").graph
    let targets = RoundToNearest(bits: 4, groupSize: 64).targets
    let problem = try AllocationProblem(targets, for: graph) { parameter, scheme in
      let isRefused = scheme.bits == 3 || (scheme.bits == 5 && parameter.name.contains("down_proj"))
      guard !isRefused else { throw RecipeError(parameter.name, "cannot be held", kind: .usage) }
      return scheme.bits
    }
    #expect(problem.warnings.count == 1)
    let warning = try #require(problem.warnings.first)
    #expect(warning.contains("3 bits (16 of 16 groups") && warning.contains("5 bits (4 of 16 groups"))
    #expect(warning.hasSuffix("cannot be held"))
    #expect(!problem.options.joined().contains { $0.schemes.contains { $0.bits == 3 } })
    #expect(try AllocationProblem(targets, for: graph).warnings.isEmpty)
    #expect(throws: RecipeError.self) {
      try AllocationProblem(targets, for: graph) { parameter, _ in throw RecipeError(parameter.name, "cannot be held", kind: .usage) }
    }
  }

  @Test func whatCannotBeChosenIsRefusedBeforeAnyWork() throws {
    func refusal(_ run: CompressionRun, _ budget: BitBudget) -> (any Error)? {
      #expect(throws: (any Error).self) { try BitAllocation(run, budget: budget).execute() }
    }
    let small = try #require(refusal(compression("a"), .bitsPerWeight(2)) as? any Failure)
    #expect(small.kind == .usage && small.problem.contains("2.2500"))
    let dense = try #require(refusal(compression("a", format: .safetensors), .bitsPerWeight(4)) as? any Failure)
    #expect(dense.kind == .usage)
    #expect((refusal(try compression("a"), .klDivergence(-1)) as? any Failure)?.kind == .usage)
    let other = try #require(refusal(compression("a", pass: ActivationAware(bits: 4, groupSize: 64)), .bitsPerWeight(4)) as? any Failure)
    #expect(other.kind == .usage && other.problem.contains("awq"))
    #expect(other.remedy.hasSuffix("gptq, hqq, imatrix, mse, round-to-nearest"))
    #expect(directory.contents.isEmpty)
  }
}
