import DeepSeekOptimize
import Foundation
import Synchronization
import Testing

/// Round-to-nearest that is stopped before the fourth block for as long as `stops` says so.
private struct StoppingPass: CompressionPass {
  static let identifier = "stopping"
  static let contract = PassContract(establishes: [.quantizedWeights])
  static let stops = Atomic<Bool>(false)
  static let blocksSeen = Atomic<Int>(0)

  var bits = 4

  func validate(for graph: ModelGraph) throws(CompressionError) {}

  func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    Worker(inner: try RoundToNearest(bits: bits, groupSize: 32).begin(on: graph, in: context))
  }

  struct Worker: BlockPass {
    var inner: any BlockPass
    var plan: [ParameterID: WeightStorage] { inner.plan }
    var record: PassRecord {
      get { inner.record }
      set { inner.record = newValue }
    }

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      if block.kind == .layer(2), stops.load(ordering: .relaxed) { throw StoppedFailure() }
      blocksSeen.add(1, ordering: .relaxed)
      try inner.apply(to: block, of: &graph, in: context)
    }
  }
}

@Suite(.serialized) struct ResumeTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func run(
    to name: String, resume: Bool, bits: Int = 4, format: OutputFormat = .compressedTensors, model: String = "demo"
  ) throws -> CompressionReport {
    var pass = StoppingPass()
    pass.bits = bits
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = nil
    settings.resume = resume
    let recipe = Recipe(passes: [pass], format: format)
    return try CompressionRun(model: ModelBundle(opening: model), recipe: recipe, settings: settings).execute()
  }

  private func stop(_ name: String, bits: Int = 4, format: OutputFormat = .compressedTensors, model: String = "demo") throws {
    StoppingPass.stops.store(true, ordering: .relaxed)
    defer { StoppingPass.stops.store(false, ordering: .relaxed) }
    let stopped = #expect(throws: StoppedFailure.self) { try run(to: name, resume: false, bits: bits, format: format, model: model) }
    #expect(stopped?.kind == .stopped && stopped?.remedy.contains("--resume") == true)
    #expect(!FileManager.default.fileExists(atPath: directory.path(name)))
  }

  @Test func aStoppedRunContinuesToTheSameBytes() throws {
    let whole = try run(to: "whole", resume: false)
    try stop("out")
    StoppingPass.blocksSeen.store(0, ordering: .relaxed)
    let resumed = try run(to: "out", resume: true)
    // Embedding and two layers were done: two layers and the head were left.
    #expect(StoppingPass.blocksSeen.load(ordering: .relaxed) == 3)
    #expect(resumed.outputs == whole.outputs)
    #expect(resumed.layers == whole.layers && resumed.layers?.count == 28)
    #expect(directory.contents == ["out", "whole"])
  }

  /// Files that are laid out before they are written, and in them stacks of experts of which some are there.
  @Test(arguments: [OutputFormat.gguf, .mlx, .gptq, .awq]) func everyContainerContinuesToTheSameBytes(_ format: OutputFormat) throws {
    var model = "demo"
    if format == .gguf || format == .mlx {
      model = directory.path("model")
      try MixtureModel.write(to: URL(fileURLWithPath: model))
    }
    let whole = try run(to: "whole", resume: false, format: format, model: model)
    try stop("out", format: format, model: model)
    StoppingPass.blocksSeen.store(0, ordering: .relaxed)
    let resumed = try run(to: "out", resume: true, format: format, model: model)
    // The layer that it was stopped at, those behind it, and the head.
    #expect(StoppingPass.blocksSeen.load(ordering: .relaxed) == (model == "demo" ? 3 : 2))
    #expect(resumed.outputs == whole.outputs && resumed.outputs.first != nil)
    #expect(resumed.layers == whole.layers)
    for file in try FileManager.default.contentsOfDirectory(atPath: directory.path("whole")) where !file.hasPrefix("report.") {
      #expect(FileManager.default.contentsEqual(atPath: directory.path("whole/\(file)"), andPath: directory.path("out/\(file)")), "\(file)")
    }
  }

  @Test func anotherRecipeStartsAnew() throws {
    try stop("out", bits: 4)
    StoppingPass.blocksSeen.store(0, ordering: .relaxed)
    let other = try run(to: "out", resume: true, bits: 8)
    #expect(StoppingPass.blocksSeen.load(ordering: .relaxed) == 6)
    #expect(other.layers?.allSatisfy { $0.bits == 8 } == true)
  }

  @Test func damageBetweenTheRunsIsFound() throws {
    try stop("out")
    let partial = URL(fileURLWithPath: directory.path(".out.partial/.model.safetensors.partial"))
    let handle = try FileHandle(forWritingTo: partial)
    // Behind the header lie the largest types first, then by name: the middle of the file holds codes of finished and unfinished layers alike,
    // the region of layer 0 comes first.
    let length = try Data(contentsOf: partial).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    try handle.seek(toOffset: 8 + length + 28 * 16 + 5000)
    try handle.write(contentsOf: Data(repeating: 0x5A, count: 64))
    try handle.close()
    #expect(throws: RecipeError.self) { try run(to: "out", resume: true) }
    #expect(directory.contents.isEmpty)
  }

  @Test func resumingNothingIsAWholeRun() throws {
    #expect(try run(to: "out", resume: true).layers?.count == 28)
    #expect(directory.contents == ["out"])
  }
}
