import DeepSeekOptimize
import Foundation
import Synchronization
import Testing

@testable import Recipes

/// How progress is saved, and what becomes of a run when it cannot be.
@Suite struct ResumeSavingTests {
  private let bench: ResumeBench

  init() throws { bench = try ResumeBench() }

  private var passes: [any CompressionPass] { [GPTQ(bits: 4, groupSize: 64), bench.probe] }

  /// The identity of a file and when it was changed.
  private struct Version: Equatable {
    let node: UInt64
    let seconds: Int
    let nanoseconds: Int

    init?(_ path: String) {
      var status = stat()
      guard lstat(path, &status) == 0 else { return nil }
      node = UInt64(status.st_ino)
      #if canImport(Darwin)
        (seconds, nanoseconds) = (Int(status.st_mtimespec.tv_sec), Int(status.st_mtimespec.tv_nsec))
      #else
        (seconds, nanoseconds) = (Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec))
      #endif
    }
  }

  /// A kill while it were written again would leave a journal without what it names.
  @Test func aStopDoesNotWriteAgainWhatIsSaved() throws {
    let path = bench.partial("out", "activations-3.bin")
    let journal = bench.partial("out", "journal.json")
    let seen = Mutex<[Version?]>([])
    try bench.stop(passes, to: "out", savesOften: true) { kind in
      if kind == .layer(2) { seen.withLock { $0 = [Version(path), Version(journal)] } }
    }
    let first = seen.withLock { $0 }
    #expect(first.count == 2 && !first.contains(nil))
    #expect([Version(path), Version(journal)] == first)
    // Nor does a resumed run that gets no further.
    try bench.stop(passes, to: "out", resume: true, savesOften: true)
    #expect([Version(path), Version(journal)] == first)
  }

  @Test func aSaveThatFailsIsAWarning() throws {
    let whole = try bench.run(passes, to: "whole")
    #expect(!whole.warnings.contains { $0.contains("could not be saved") })
    let activations = bench.partial("once", "activations-2.bin.new")
    let once = try bench.run(passes, to: "once", savesOften: true) { _, kind in
      if kind == .layer(0) { try FileManager.default.createDirectory(atPath: activations, withIntermediateDirectories: false) }
    }
    let warning = try #require(once.warnings.first { $0.contains("could not be saved") })
    #expect(warning.contains("saved once") && warning.contains("activations-2.bin") && warning.contains("cannot be created"))
    #expect(once.warnings.count == whole.warnings.count + 1 && once.outputs == whole.outputs)

    let journal = bench.partial("never", "journal.json.new")
    let never = try bench.run(passes, to: "never", savesOften: true) { _, kind in
      if kind == .embedding { try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: false) }
    }
    // Behind each of 6 blocks, and when everything was written.
    #expect(never.warnings.contains { $0.contains("saved 7 times") && $0.contains("journal.json") })
    #expect(never.outputs == whole.outputs && bench.directory.contents == ["never", "once", "whole"])
    let names = try ["never", "whole"].map { Set(try FileManager.default.contentsOfDirectory(atPath: bench.directory.path($0))) }
    #expect(names[0] == names[1])
  }

  @Test func aStopThatCannotSaveSaysSo() throws {
    let journal = bench.partial("out", "journal.json.new")
    let error = #expect(throws: RecipeError.self) {
      try bench.run(passes, to: "out") { _, kind in
        guard kind == .layer(1) else { return }
        try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: false)
        throw StoppedFailure()
      }
    }
    #expect(error?.kind == .inputOutput && error?.remedy.contains("--resume") == false)
    #expect(bench.directory.contents.isEmpty)
  }

  @Test func aStopThatCannotSaveKeepsTheSaveBefore() throws {
    let whole = try bench.run(passes, to: "whole")
    let journal = bench.partial("out", "journal.json.new")
    let error = #expect(throws: RecipeError.self) {
      try bench.run(passes, to: "out", savesOften: true) { _, kind in
        if kind == .layer(1) { try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: false) }
        if kind == .layer(2) { throw StoppedFailure() }
      }
    }
    #expect(error?.kind == .inputOutput && error?.remedy.contains("--resume") == true)
    #expect(try bench.savedBlocks("out") == 2)
    #expect(bench.partialFiles("out") == ["journal.json", "journal.json.new", "activations-2.bin", ".model.safetensors.partial"])
    try FileManager.default.removeItem(atPath: journal)
    let resumed = try bench.run(passes, to: "out", resume: true)
    #expect(bench.quantized.count == 4)
    try bench.expectEqual(whole, "whole", resumed, "out")
  }

  /// A run of several rounds clears the last one's output away: from then on there is nothing to promise.
  @Test func whatIsClearedAwayIsNotKept() throws {
    let place = URL(fileURLWithPath: bench.directory.path("out"))
    try FileManager.default.createDirectory(atPath: bench.partial("out", ""), withIntermediateDirectories: true)
    do {
      let output = try OutputDirectory(place, overwrite: false, resume: true)
      #expect(!output.keepsPartial)
    }
    #expect(bench.directory.contents.isEmpty)
    try FileManager.default.createDirectory(atPath: bench.partial("out", ""), withIntermediateDirectories: true)
    try Data("{}".utf8).write(to: URL(fileURLWithPath: bench.partial("out", "journal.json")))
    do {
      let output = try OutputDirectory(place, overwrite: false, resume: true)
      #expect(output.keepsPartial && output.survivesFailure)
    }
    #expect(bench.partialFiles("out") == ["journal.json"])
    do {
      let output = try OutputDirectory(place, overwrite: false, resume: true)
      output.clear()
      #expect(!output.keepsPartial && !output.survivesFailure)
    }
    #expect(bench.directory.contents.isEmpty)
  }
}
