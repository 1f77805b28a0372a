import DeepSeekOptimize
import Foundation
import Synchronization
import Testing

@testable import Recipes

/// Changes nothing: it is where a test looks at a run, stops it, or gets in its way.
struct ProbePass: CompressionPass {
  static let identifier = "probe"
  static let contract = PassContract()
  /// What is called for every block that reaches the pass, by the bench that it belongs to.
  static let visits = Mutex<[String: @Sendable (Block.Kind) throws -> Void]>([:])

  var bench = ""

  func validate(for graph: ModelGraph) throws(CompressionError) {}
  func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass { Worker(bench: bench) }

  struct Worker: BlockPass {
    let bench: String
    var plan: [ParameterID: WeightStorage] { [:] }
    var record = PassRecord(pass: ProbePass.identifier)

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      record.warnings.append("probed \(block.name)")
      try ProbePass.visits.withLock { $0[bench] }?(block.kind)
    }
  }
}

/// Runs over the demo model that a test stops and resumes.
final class ResumeBench {
  private final class Log: Sendable {
    struct State {
      var stage = ""
      var stages: Set<String> = []
      var quantized: [Block.Kind] = []
    }
    let state = Mutex(State())
  }

  let directory: TemporaryDirectory
  private var log = Log()
  private let id = UUID().uuidString

  /// The pass that calls what a run of this bench is given.
  var probe: ProbePass {
    var pass = ProbePass()
    pass.bench = id
    return pass
  }

  init() throws { directory = try TemporaryDirectory() }

  /// Blocks that the last run's passes worked on.
  var quantized: [Block.Kind] { log.state.withLock { $0.quantized } }
  /// The stages of the last run.
  var stages: Set<String> { log.state.withLock { $0.stages } }

  static let plan = CalibrationPlan(text: "demo", samples: 6, sequenceLength: 48)

  /// - Parameters:
  ///   - savesOften: behind every block; else only when it is stopped.
  ///   - visit: is called for each block at work, in any stage; what it throws ends the run.
  ///   - progress: is called beside the bench's own.
  func run(
    _ passes: [any CompressionPass], to name: String, resume: Bool = false, savesOften: Bool = false, model: String = "demo",
    plan: CalibrationPlan = plan, visit: @escaping @Sendable (_ stage: String, _ kind: Block.Kind) throws -> Void = { _, _ in },
    progress: @escaping ProgressHandler = { _ in }
  ) throws -> CompressionReport {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = nil
    settings.threads = 2
    settings.resume = resume
    let log = Log()
    self.log = log
    var run = CompressionRun(
      model: try ModelBundle(opening: model), recipe: Recipe(passes: passes, calibration: plan), settings: settings
    ) { step in
      log.state.withLock {
        $0.stage = step.stage
        $0.stages.insert(step.stage)
      }
      progress(step)
    }
    run.saveInterval = savesOften ? nil : .seconds(3600)
    ProbePass.visits.withLock {
      $0[id] = { kind in
        let stage = log.state.withLock {
          if $0.stage == "Quantizing" { $0.quantized.append(kind) }
          return $0.stage
        }
        try visit(stage, kind)
      }
    }
    defer { ProbePass.visits.withLock { $0[id] = nil } }
    return try run.execute()
  }

  /// Stops a run in the middle of a block's work.
  func stop(
    _ passes: [any CompressionPass], to name: String, at place: Block.Kind = .layer(2), in stage: String = "Quantizing",
    resume: Bool = false, savesOften: Bool = false, model: String = "demo",
    visit: @escaping @Sendable (Block.Kind) throws -> Void = { _ in }
  ) throws {
    let stopped = #expect(throws: StoppedFailure.self) {
      try run(passes, to: name, resume: resume, savesOften: savesOften, model: model) { current, kind in
        try visit(kind)
        if current == stage, kind == place { throw StoppedFailure() }
      }
    }
    #expect(stopped?.remedy.contains("--resume") == true)
    #expect(!FileManager.default.fileExists(atPath: directory.path(name)))
  }

  /// A file of the unfinished output.
  func partial(_ output: String, _ name: String) -> String { directory.path(".\(output).partial/\(name)") }

  func partialFiles(_ output: String) -> Set<String> {
    Set((try? FileManager.default.contentsOfDirectory(atPath: directory.path(".\(output).partial"))) ?? [])
  }

  /// Blocks that the journal of an unfinished output vouches for.
  func savedBlocks(_ output: String) throws -> Int? {
    try JSONFile.read(URL(fileURLWithPath: partial(output, "journal.json")))["blocks"]?.integer
  }

  /// Two outputs have the same files, and all but their reports the same bytes; the reports say the same of every layer.
  func expectEqual(
    _ a: CompressionReport, _ first: String, _ b: CompressionReport, _ second: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let files = FileManager.default
    let names = try files.contentsOfDirectory(atPath: directory.path(first)).sorted()
    #expect(try files.contentsOfDirectory(atPath: directory.path(second)).sorted() == names, sourceLocation: sourceLocation)
    #expect(names.contains("model.safetensors") && !names.contains("journal.json"), sourceLocation: sourceLocation)
    for name in names where !name.hasPrefix("report.") {
      let isEqual = files.contentsEqual(atPath: directory.path("\(first)/\(name)"), andPath: directory.path("\(second)/\(name)"))
      #expect(isEqual, "\(name)", sourceLocation: sourceLocation)
    }
    #expect(a.layers == b.layers && a.layers?.count == 28, sourceLocation: sourceLocation)
    #expect(a.warnings == b.warnings, sourceLocation: sourceLocation)
  }
}
