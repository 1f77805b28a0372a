import DeepSeekOptimize
import Foundation
import Testing

/// Candidates measured on text that they were not calibrated on.
@Suite struct AlgorithmTrialTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A method that finds no weights it can work on.
  private struct Unable: CompressionPass {
    static let identifier = "unable"
    static let contract = PassContract(establishes: [.quantizedWeights], forbids: [.quantizedWeights])
    var bits = 4

    func validate(for graph: ModelGraph) throws(CompressionError) {}
    func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass { Worker() }

    struct Worker: BlockPass {
      var record = PassRecord(pass: Unable.identifier)
      let plan: [ParameterID: WeightStorage] = [:]
      func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
        throw CompressionError("weights", "are of no use", kind: .badData)
      }
    }
  }

  private func run(threads: Int = 2) throws -> CompressionRun {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.threads = threads
    let plan = CalibrationPlan(text: "demo", samples: 16, sequenceLength: 64)
    return CompressionRun(model: try ModelBundle(opening: "demo"), recipe: Recipe(passes: [], calibration: plan), settings: settings)
  }

  @Test func theBestIsFoundWhateverTheThreads() throws {
    let candidates: [(name: String, passes: [any CompressionPass])] = [
      ("few", [RoundToNearest(bits: 2, groupSize: 64)]), ("feedback", [GPTQ(bits: 4, groupSize: 64)]),
      ("nearest", [RoundToNearest(bits: 4, groupSize: 64)]),
    ]
    var announcements: [String] = []
    let (outcomes, best) = try AlgorithmTrial().run(candidates, for: run()) { announcements.append($0) }
    #expect(best == 1 && outcomes.map(\.name) == ["few", "feedback", "nearest"])
    let divergences = try outcomes.map { try #require($0.divergence) }
    #expect(divergences[1] < divergences[2] && divergences[2] < divergences[0])
    #expect(announcements.count == 1 && announcements[0].contains("12 windows") && announcements[0].contains("4 of 4 layers"))
    let again = try AlgorithmTrial().run(candidates, for: run(threads: 1)) { _ in }
    #expect(again.outcomes.map(\.divergence) == outcomes.map(\.divergence))
    // Nothing stays behind.
    #expect(directory.contents.isEmpty)
  }

  @Test func aMethodThatCannotWorkLeavesTheOthers() throws {
    let (outcomes, best) = try AlgorithmTrial().run([("unable", [Unable()]), ("nearest", [RoundToNearest(bits: 4)])], for: run()) { _ in }
    #expect(best == 1 && outcomes[0].divergence == nil && outcomes[0].failure?.contains("are of no use") == true)
    let error = #expect(throws: CompressionError.self) { try AlgorithmTrial().run([("unable", [Unable()])], for: run()) { _ in } }
    #expect(error?.subject == "weights")
  }
}
