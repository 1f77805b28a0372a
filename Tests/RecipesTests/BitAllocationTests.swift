import DeepSeekOptimize
import Foundation
import Testing

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
    let report = try BitAllocation(
      compression("out", evaluation: EvaluationSettings(tokens: 2048)), budget: .klDivergence(0.05)
    ).execute()
    let allocation = try #require(report.allocation)
    let measured = try #require(allocation.measuredKL)
    #expect(allocation.goal == "max-kl" && measured <= 0.05)
    #expect(try #require(allocation.bitsPerWeight) < 6)
  }

  @Test func layersWithBitsOfTheirOwnKeepThem() throws {
    var pass = RoundToNearest(bits: 4, groupSize: 64)
    pass.targets.overrides = [.init(pattern: "re:.*down_proj", bits: 6, groupSize: 32)]
    let report = try BitAllocation(compression("out", pass: pass), budget: .bitsPerWeight(4.5)).execute()
    let groups = try #require(report.allocation?.groups.filter { $0.name.hasSuffix("down_proj") })
    #expect(groups.count == 4 && groups.allSatisfy { $0.bits == 6 && $0.groupSize == 32 })
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
    #expect(directory.contents.isEmpty)
  }
}
