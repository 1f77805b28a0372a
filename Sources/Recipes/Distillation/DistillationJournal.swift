import Diagnostics
import Execution
import Foundation
import Reporting
import StructuredData
import Training

/// What of a distillation is done and safe on the disk: the stages that are finished with what they came to, and the student's variables behind
/// them. Within a stage it is `TrainingState` that is saved.
final class DistillationJournal {
  private let output: OutputDirectory
  let identity: String
  private(set) var stages: [CompressionReport.Distillation.Stage] = []

  static let fileName = "distillation.json"
  /// What the names of everything that is saved on the way begin with.
  static let prefix = "distillation"

  init(identity: String, in output: OutputDirectory, resume: Bool) throws {
    (self.output, self.identity) = (output, identity)
    guard resume, let document = try? JSONFile.read(output.file(Self.fileName)), document["identity"]?.string == identity,
      let section = document["distillation"], let found = try? CompressionReport.Distillation(json: section)
    else {
      output.clear()
      return
    }
    stages = found.stages
    // What a run had begun to write after its stages is written again.
    output.clear(keeping: [Self.prefix])
    (output.keepsPartial, output.survivesFailure) = (true, true)
  }

  /// The variables in front of the stage at work.
  private func variables(_ count: Int) -> URL { output.file("\(Self.prefix)-\(count)") }
  /// The stage at work.
  private func state(_ count: Int) -> URL { output.file("\(Self.prefix)-state-\(count)") }

  /// Whether there is something to go on from.
  var isResuming: Bool { !stages.isEmpty || TrainingState.exists(at: state(0)) }

  func load(into parameters: any Parametrization, pool: ThreadPool) throws {
    guard !stages.isEmpty else { return }
    try output.synchronize()
    try parameters.loadVariables(from: variables(stages.count), pool: pool)
  }

  /// Puts the variables back to where the stage at work began.
  func rollBack(_ parameters: any Parametrization, pool: ThreadPool) throws {
    try output.synchronize()
    try parameters.loadVariables(from: variables(stages.count), pool: pool)
  }

  /// Saves where a stage begins.
  func begin(_ parameters: any Parametrization) throws {
    if output.isFirst { try parameters.saveVariables(to: variables(stages.count)) }
    try save()
  }

  func resume(_ trainer: Trainer) throws -> JSONObject? {
    try TrainingState.resume(trainer, from: state(stages.count), identity: identity)
  }

  func save(_ trainer: Trainer, notes: JSONObject) throws {
    try TrainingState.save(trainer, to: state(stages.count), identity: identity, notes: notes)
  }

  /// Notes that a stage is finished, the variables being what it left.
  func finish(_ stage: CompressionReport.Distillation.Stage, _ parameters: any Parametrization) throws {
    if output.isFirst { try parameters.saveVariables(to: variables(stages.count + 1)) }
    stages.append(stage)
    try save()
    // Everyone has gone back to them who had to.
    try output.synchronize()
    for place in [variables(stages.count - 1), state(stages.count - 1)] { output.remove(place.lastPathComponent) }
  }

  private func save() throws {
    let section = CompressionReport.Distillation(teacher: "", stages: stages)
    try output.replace(
      Self.fileName, with: JSONValue.object(["identity": .string(identity), "distillation": section.json]).text(pretty: false))
    (output.keepsPartial, output.survivesFailure) = (true, true)
  }

  /// None of this is a part of the output.
  static func clear(_ output: OutputDirectory) {
    for item in (try? FileManager.default.contentsOfDirectory(at: output.partial, includingPropertiesForKeys: nil)) ?? []
    where item.lastPathComponent.hasPrefix(prefix) { output.remove(item.lastPathComponent) }
  }
}
