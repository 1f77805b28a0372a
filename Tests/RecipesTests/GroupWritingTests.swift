import DeepSeekOptimize
import Foundation
import Synchronization
import Testing

@testable import Recipes

/// Several processes write one checkpoint together.
@Suite struct GroupWritingTests {
  private let bench: GroupBench

  init() throws { bench = try GroupBench() }

  /// Containers whose files all write, and those that one writes.
  @Test(arguments: [OutputFormat.compressedTensors, .gptq, .gguf, .mlx, .safetensors, .hdf5])
  func anyContainer(_ format: OutputFormat) throws {
    try bench.expectSame([3]) { group, output in
      let recipe = Recipe(passes: [RoundToNearest(bits: 4, groupSize: 32)], format: format)
      return try CompressionRun(model: ModelBundle(opening: "demo"), recipe: recipe, settings: GroupBench.settings(output, group)).execute()
    }
  }

  /// Stacks of experts, whose slices are different processes'.
  @Test(arguments: [OutputFormat.gguf, .mlx])
  func stacks(_ format: OutputFormat) throws {
    let model = bench.directory.path("mixture")
    try MixtureModel.write(to: URL(fileURLWithPath: model))
    try bench.expectSame([3]) { group, output in
      let recipe = Recipe(passes: [RoundToNearest(bits: 4, groupSize: 32)], format: format)
      return try CompressionRun(model: ModelBundle(opening: model), recipe: recipe, settings: GroupBench.settings(output, group)).execute()
    }
  }

  /// Stopped behind some blocks, with what three processes have written of them, and taken up by two.
  @Test(arguments: [false, true])
  func othersGoOn(isCalibrated: Bool) throws {
    var probe = ProbePass()
    probe.bench = UUID().uuidString
    let (id, stops) = (probe.bench, Switch())
    ProbePass.visits.withLock {
      $0[id] = { kind in if kind == .layer(2), stops.isOn.load(ordering: .relaxed) { throw StoppedFailure() } }
    }
    defer { ProbePass.visits.withLock { $0[id] = nil } }
    let method: any CompressionPass = isCalibrated ? GPTQ(bits: 4, groupSize: 64) : RoundToNearest(bits: 4, groupSize: 64)
    let calibration = isCalibrated ? CalibrationPlan(text: "demo", samples: 8, sequenceLength: 64) : nil
    let recipe = Recipe(passes: [probe, method], calibration: calibration)
    let run: @Sendable (ProcessGroup, URL, Bool) throws -> CompressionReport = { group, output, resume in
      var settings = GroupBench.settings(output, group)
      settings.resume = resume
      var run = CompressionRun(model: try ModelBundle(opening: "demo"), recipe: recipe, settings: settings)
      run.saveInterval = nil
      return try run.execute()
    }
    let (whole, output) = (bench.place(1), bench.place(2))
    let undisturbed = try run(.alone, whole, false)
    stops.isOn.store(true, ordering: .relaxed)
    #expect(throws: StoppedFailure.self) { try LocalTransport.run(3) { try run($0, output, false) } }
    #expect(!FileManager.default.fileExists(atPath: output.path))
    #expect(FileManager.default.fileExists(atPath: bench.directory.path(".out2.partial/journal.json")))
    stops.isOn.store(false, ordering: .relaxed)
    let reports = try LocalTransport.run(2) { try run($0, output, true) }
    let (expected, found) = (try bench.files(whole), try bench.files(output))
    #expect(found.count > 2 && found == expected)
    #expect(reports[0].layers == undisturbed.layers && reports[0].layers?.isEmpty == false)
  }
}

/// Whether runs are stopped.
private final class Switch: Sendable {
  let isOn = Atomic(false)
}
