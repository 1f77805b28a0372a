import Diagnostics
import Distribution
import Execution
import Formats
import Foundation
import StructuredData
import Tensors

/// A training run on the disk: everything that its next step depends on beside the data and the settings. What resumes from it goes on as if it had
/// never stopped, bit by bit.
public enum TrainingState {
  private static let document = "state.json"
  private static let version = 1

  /// Saves a trainer, in one step: `directory` is there whole or not at all, and an older one in its place is replaced.
  /// - Parameters:
  ///   - identity: of what must be the same for a run to go on from here: model, data and settings.
  ///   - notes: what the caller wants back.
  public static func save(_ trainer: Trainer, to directory: URL, identity: String, notes: JSONObject) throws {
    var object = JSONObject()
    object["version"] = .integer(Int64(version))
    object["identity"] = .string(identity)
    object["steps"] = .integer(Int64(trainer.steps))
    object["optimizerSteps"] = .integer(Int64(trainer.optimizer.steps))
    object["skippedInARow"] = .integer(Int64(trainer.skippedInARow))
    object["lossScale"] = [
      "exponent": .integer(Int64(trainer.lossScale.exponent)), "steady": .integer(Int64(trainer.lossScale.steadySteps)),
    ]
    object["notes"] = .object(notes)
    // The first process saves for all, who have the same.
    guard trainer.interpreter.group.isFirst else { return }
    try replace(directory, tensors: trainer.optimizer.state, document: object)
  }

  static func replace(
    _ directory: URL, tensors: [(name: String, bytes: UnsafeMutableRawBufferPointer)], document object: JSONObject
  ) throws {
    let files = FileManager.default
    let fresh = directory.appendingPathExtension("new")
    try? files.removeItem(at: fresh)
    do { try files.createDirectory(at: fresh, withIntermediateDirectories: false) } catch {
      throw TrainingError(fresh.path, "cannot be created", remedy: "check the disk and its permissions", kind: .inputOutput)
    }
    let writer = try SafeTensorsWriter(
      directory: fresh, tensors: tensors.map { TensorDescriptor(name: $0.name, dataType: .uint8, shape: [$0.bytes.count]) },
      maximumShardBytes: .max, metadata: [:])
    for part in tensors { try writer.write(part.name, UnsafeRawBufferPointer(part.bytes)) }
    try writer.finish()
    try write(JSONValue.object(object).text(), to: fresh.appendingPathComponent(document))
    try flush(fresh)
    // The new one is whole on the disk: from here on one of the two is always found.
    let old = directory.appendingPathExtension("old")
    try? files.removeItem(at: old)
    if files.fileExists(atPath: directory.path) { try move(directory, to: old) }
    try move(fresh, to: directory)
    try flush(directory.deletingLastPathComponent())
    try? files.removeItem(at: old)
  }

  /// Takes up what was saved.
  /// - Returns: the caller's notes; nil when nothing was saved there.
  /// - Throws: when what was saved belongs to another run, or is damaged.
  public static func resume(_ trainer: Trainer, from directory: URL, identity: String) throws -> JSONObject? {
    guard let found = places(directory).first(where: isWhole) else { return nil }
    let file = found.appendingPathComponent(document)
    func damaged(_ problem: String) -> TrainingError {
      TrainingError(file.path, problem, remedy: "start anew, without --resume", kind: .badData)
    }
    guard let text = try? String(contentsOf: file, encoding: .utf8), let value = try? JSONValue(parsing: text), let object = value.object
    else { throw damaged("cannot be read") }
    guard object["version"]?.integer == version, object["identity"]?.string == identity else {
      throw TrainingError(
        file.path, "was saved by a run with another model, data or settings",
        remedy: "repeat that run's flags, or start anew without --resume", kind: .usage)
    }
    guard let steps = object["steps"]?.integer, let made = object["optimizerSteps"]?.integer, steps >= made, made >= 0,
      let skipped = object["skippedInARow"]?.integer, let notes = object["notes"]?.object,
      let exponent = object["lossScale"]?["exponent"]?.integer, let steady = object["lossScale"]?["steady"]?.integer
    else { throw damaged("is incomplete") }
    var scale = trainer.lossScale
    guard scale.resume(exponent: exponent, steadySteps: steady) else { throw damaged("has a loss scale that cannot be") }
    try load(trainer.optimizer.state, from: found)
    trainer.optimizer.resume(at: made)
    trainer.steps = steps
    trainer.skippedInARow = skipped
    trainer.lossScale = scale
    try trainer.parametrization.update(pool: trainer.interpreter.pool)
    // Nobody replaces what another has not read yet.
    try trainer.interpreter.group.wait()
    return notes
  }

  static func load(_ tensors: [(name: String, bytes: UnsafeMutableRawBufferPointer)], from directory: URL) throws {
    let checkpoint = try SafeTensorsCheckpoint(directory)
    // All are looked at before the first is taken: a damaged file changes nothing.
    for part in tensors {
      let tensor = try checkpoint.tensor(part.name)
      guard tensor.dataType == .uint8, tensor.byteCount == part.bytes.count else {
        throw TrainingError(directory.path, "does not fit the model", remedy: "start anew, without --resume", kind: .badData)
      }
    }
    for part in tensors { try checkpoint.tensor(part.name).withUnsafeBytes { part.bytes.copyMemory(from: $0) } }
  }

  private static func places(_ directory: URL) -> [URL] {
    [directory, directory.appendingPathExtension("new"), directory.appendingPathExtension("old")]
  }

  /// Whether there is something to go on from.
  package static func exists(at directory: URL) -> Bool { places(directory).contains(where: isWhole) }

  /// A directory gets its last file last.
  private static func isWhole(_ directory: URL) -> Bool {
    FileManager.default.fileExists(atPath: directory.appendingPathComponent(document).path)
  }

  private static func move(_ from: URL, to: URL) throws {
    guard rename(from.path, to.path) == 0 else {
      throw TrainingError(to.path, "cannot be replaced: \(String(cString: strerror(errno)))", kind: .inputOutput)
    }
  }

  private static func write(_ text: String, to file: URL) throws {
    let bytes = Array(text.utf8)
    let handle = open(file.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard handle >= 0 else { throw failure(file) }
    defer { close(handle) }
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { Foundation.write(handle, $0.baseAddress?.advanced(by: done), bytes.count - done) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(file) }
      done += count
    }
    guard fsync(handle) == 0 else { throw failure(file) }
  }

  private static func failure(_ file: URL) -> TrainingError {
    let code = errno
    return TrainingError(
      file.path, "cannot be written: \(String(cString: strerror(code)))", remedy: code == ENOSPC ? "free some space on that disk" : "",
      kind: .inputOutput)
  }

  private static func flush(_ directory: URL) throws {
    let handle = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard handle >= 0 else { return }
    defer { close(handle) }
    guard fsync(handle) == 0 || errno == EINVAL else { throw failure(directory) }
  }
}

extension Parametrization {
  /// Saves the variables alone, as ``TrainingState`` saves everything.
  public func saveVariables(to directory: URL) throws {
    try TrainingState.replace(directory, tensors: variables.map { ($0.name, $0.values.bytes) }, document: [:])
  }

  /// Puts variables that were saved back.
  public func loadVariables(from directory: URL, pool: ThreadPool) throws {
    try TrainingState.load(variables.map { ($0.name, $0.values.bytes) }, from: directory)
    try update(pool: pool)
  }
}

extension Trainer {
  /// Saves the variables alone.
  public func saveVariables(to directory: URL) throws {
    if interpreter.group.isFirst { try parametrization.saveVariables(to: directory) }
  }

  /// Puts variables that were saved back.
  public func loadVariables(from directory: URL) throws {
    try interpreter.group.wait()
    try parametrization.loadVariables(from: directory, pool: interpreter.pool)
    // Nobody removes what another has not read yet.
    try interpreter.group.wait()
  }
}
