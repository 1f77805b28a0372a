import DeepSeekOptimize
import Foundation
import Testing

@Suite struct GPTQRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func run(_ pass: GPTQ, to name: String, threads: Int, evaluation: EvaluationSettings? = nil) throws -> CompressionReport {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = evaluation
    settings.threads = threads
    let calibration = CalibrationPlan(text: DemoModel.evaluationText.path, samples: 12, sequenceLength: 64)
    return try CompressionRun(
      model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [pass], calibration: calibration), settings: settings
    ).execute()
  }

  /// Calibration, the backward pass, feedback in one and in two directions, range trials and polish: the bytes never depend on threads.
  @Test(arguments: [true, false])
  func threadsGiveTheSameBytes(_ outputSensitivity: Bool) throws {
    let pass = GPTQ(bits: 3, groupSize: 64, outputSensitivity: outputSensitivity)
    let reports = try [1, 2, 3].map { try run(pass, to: "out\($0)", threads: $0) }
    #expect(Set(reports.map { $0.outputs.first?.sha256 }).count == 1)
    let files = try [1, 2, 3].map { try Data(contentsOf: URL(fileURLWithPath: directory.path("out\($0)/model.safetensors"))) }
    #expect(Set(files).count == 1)
    #expect(reports[0].layers?.count == 28)
  }

  /// The option reaches the codes, and with or without it the result is better than rounding to nearest (on the text it was calibrated on).
  @Test func polishChangesCodesOnly() throws {
    var pass = GPTQ(bits: 3, groupSize: 64, outputSensitivity: true)
    let evaluation = EvaluationSettings(tokens: 4096)
    let polished = try run(pass, to: "a", threads: 2, evaluation: evaluation)
    pass.polish = 0
    let plain = try run(pass, to: "b", threads: 2, evaluation: evaluation)
    #expect(polished.outputs.first?.sha256 != plain.outputs.first?.sha256)
    #expect(polished.outputs.first?.bytes == plain.outputs.first?.bytes)
    let nearest = try #require(try nearestDivergence(evaluation))
    for report in [polished, plain] { #expect(try #require(report.accuracy?.klDivergence?.mean) < nearest) }
  }

  private func nearestDivergence(_ evaluation: EvaluationSettings) throws -> Double? {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("nearest")))
    settings.evaluation = evaluation
    settings.threads = 2
    return try CompressionRun(
      model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [RoundToNearest(bits: 3, groupSize: 64)]), settings: settings
    ).execute().accuracy?.klDivergence?.mean
  }

  @Test(arguments: [-1, 101])
  func aNumberOfSweepsThatIsNoneIsRefused(_ polish: Int) throws {
    var pass = GPTQ(bits: 3)
    pass.polish = .sweeps(polish)
    let graph = try ModelBundle(opening: "demo").graph
    let error = #expect(throws: CompressionError.self) { try pass.validate(for: graph) }
    #expect(error?.subject == "gptq: polish")
  }
}
