import DeepSeekOptimize
import Foundation
import Testing

@Suite struct AutoRoundRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func run(_ pass: any CompressionPass, to name: String, threads: Int) throws -> CompressionReport {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = EvaluationSettings()
    settings.threads = threads
    let calibration = CalibrationPlan(text: DemoModel.calibrationText.path, samples: 24, sequenceLength: 64)
    return try CompressionRun(
      model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [pass], calibration: calibration), settings: settings
    ).execute()
  }

  /// A few steps already beat rounding to nearest, and threads change nothing.
  @Test(arguments: AutoRound.Start.allCases)
  func aWholeRunIsBetterThanNearestAndTheSameForAnyThreads(_ start: AutoRound.Start) throws {
    var pass = AutoRound(bits: 3, groupSize: 32, iterations: 8)
    pass.start = start
    let reports = try [1, 2].map { try run(pass, to: "\(start)-\($0)", threads: $0) }
    #expect(Set(reports.map { $0.outputs.first?.sha256 }).count == 1)
    let nearest = try run(RoundToNearest(bits: 3, groupSize: 32), to: "nearest", threads: 2)
    let (learned, rounded) = (reports[0].accuracy?.klDivergence?.mean, nearest.accuracy?.klDivergence?.mean)
    #expect(try #require(learned) < (start == .nearest ? 1 : 0.8) * #require(rounded), "\(learned ?? 0) against \(rounded ?? 0)")
  }
}
