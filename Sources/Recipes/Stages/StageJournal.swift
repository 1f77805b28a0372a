import Diagnostics
import Distribution
import Formats
import Foundation
import StructuredData
import Tensors

/// Which stages of a recipe are finished, kept in the unfinished output beside what they left.
final class StageJournal {
  private let output: OutputDirectory
  private let fingerprint: String
  /// How many are.
  private(set) var finished = 0

  static let fileName = "stages.json"
  static let prefix = "stage-"

  /// Starts one, or takes up that of an earlier run with the same model, recipe and program.
  init(_ run: RecipeRun, in output: OutputDirectory) throws {
    self.output = output
    // Times of files may differ from machine to machine: those that the first process sees count for all.
    fingerprint = try output.group.broadcast(value: Self.fingerprint(of: run), from: 0)
    guard run.settings.resume, let document = try? JSONFile.read(output.file(Self.fileName)),
      document["fingerprint"]?.string == fingerprint, let count = document["finished"]?.integer,
      (0...run.recipe.stages.count).contains(count),
      (0..<count).allSatisfy({ FileManager.default.fileExists(atPath: Self.report(directory($0)).path) })
    else {
      output.clear()
      try save()
      return
    }
    finished = count
    (output.keepsPartial, output.survivesFailure) = (true, true)
  }

  /// Where a stage leaves its checkpoint.
  func directory(_ index: Int) -> URL { output.file("\(Self.prefix)\(index + 1)") }

  /// Notes that a stage has left its checkpoint. What it began on is needed no more, but for its report.
  func finish(_ index: Int) throws {
    finished = index + 1
    try save()
    guard index > 0 else { return }
    let previous = directory(index - 1)
    for item in (try? FileManager.default.contentsOfDirectory(at: previous, includingPropertiesForKeys: nil)) ?? []
    where output.isFirst && item.lastPathComponent != "report.json" {
      try? FileManager.default.removeItem(at: item)
    }
  }

  private func save() throws {
    try output.replace(
      Self.fileName, with: JSONValue.object(["fingerprint": .string(fingerprint), "finished": .integer(Int64(finished))]).text())
    // From here on there is something to go on from, be it the start of a stage that saves what it has done.
    output.keepsPartial = true
    output.survivesFailure = finished > 0
  }

  static func report(_ directory: URL) -> URL { directory.appendingPathComponent("report.json") }

  /// What the whole run writes itself.
  private static let rewritten = ["recipe.yaml"] + OutputDirectory.reportFiles

  /// Makes what a stage left the output, but for what the whole run writes itself. Its files get second names: a run that is killed meanwhile finds them where they were.
  func adopt(_ index: Int) throws {
    guard output.isFirst else { return }
    let files = FileManager.default
    for item in try files.contentsOfDirectory(at: directory(index), includingPropertiesForKeys: nil)
    where !Self.rewritten.contains(item.lastPathComponent) {
      let place = output.file(item.lastPathComponent)
      try? files.removeItem(at: place)
      do { try files.linkItem(at: item, to: place) } catch {
        // A file system without links.
        do { try files.copyItem(at: item, to: place) } catch {
          throw RecipeError(place.path, "cannot be written", remedy: "free some space on that disk and run again", kind: .inputOutput)
        }
      }
    }
  }

  /// The output is complete: none of this is a part of it.
  func remove() {
    for item in (try? FileManager.default.contentsOfDirectory(at: output.partial, includingPropertiesForKeys: nil)) ?? []
    where item.lastPathComponent.hasPrefix(Self.prefix) || item.lastPathComponent.hasPrefix(".\(Self.prefix)")
      || item.lastPathComponent.hasPrefix(Self.fileName)
    {
      output.remove(item.lastPathComponent)
    }
    output.keepsPartial = false
  }

  /// Identity of everything that determines the stages' outputs, files by size and time.
  private static func fingerprint(of run: RecipeRun) throws -> String {
    var digest = ContentDigest()
    digest.update("\(Tool.version)\n\(run.recipe.yaml())\n\(run.model.configuration.text(pretty: false))\n")
    if let evaluation = run.settings.evaluation {
      digest.update("\(evaluation.text.path) \(evaluation.context ?? 0) \(evaluation.tokens ?? 0)\n")
    }
    for file in run.model.checkpoint.files + run.recipe.inputFiles {
      let attributes = try? FileManager.default.attributesOfItem(atPath: file.path)
      let changed = (attributes?[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
      digest.update("\(file.path) \(attributes?[.size] as? Int ?? 0) \(changed)\n")
    }
    return digest.hexadecimal()
  }
}
