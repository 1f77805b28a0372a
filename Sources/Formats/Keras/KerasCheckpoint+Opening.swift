import Foundation
import StructuredData
import Tensors

extension KerasCheckpoint {
  /// Opens a model of Keras: a preset of KerasHub (a directory with `config.json` and `model.weights.h5`, or its shards), a `.weights.h5` file
  /// beside its `config.json`, a `.keras` archive, or a legacy `.h5` file that holds its configuration.
  /// - Returns: nil when it is none of these.
  /// - Throws: `CheckpointError` for one that is damaged or of a class that is not known.
  public static func open(_ location: URL, isDirectory: Bool) throws(CheckpointError) -> KerasCheckpoint? {
    if isDirectory { return try openPreset(location) }
    switch location.pathExtension {
    case "keras": return try openArchive(location)
    case "h5", "hdf5":
      let container = try HDF5Checkpoint(opening: location)
      if let text = container.attributeText("model_config") {
        let place = "\(location.lastPathComponent): model_config"
        let settings: JSONValue
        do { settings = try JSONValue(parsing: text) } catch { throw badJSON(error, place) }
        return try KerasCheckpoint([container], settings: settings, place: place, files: [location])
      }
      guard let (settings, place) = try settings(in: location.deletingLastPathComponent()) else { return nil }
      return try KerasCheckpoint([container], settings: settings, place: place, files: [location])
    default: return nil
    }
  }

  private static func openArchive(_ location: URL) throws(CheckpointError) -> KerasCheckpoint {
    let archive = try StoredArchive(opening: location)
    let place = "\(location.lastPathComponent): config.json"
    let member = try archive.member("config.json")
    guard member.bytes.count <= settingsLimit else {
      throw CheckpointError.malformed(file: location, "its config.json has \(member.bytes.count) bytes")
    }
    let settings: JSONValue
    do { settings = try JSONValue(parsing: UnsafeRawBufferPointer(rebasing: member.archive.bytes[member.bytes])) } catch {
      throw badJSON(error, place)
    }
    let container = try HDF5Checkpoint(try archive.member("model.weights.h5"))
    return try KerasCheckpoint([container], settings: settings, place: place, files: [location])
  }

  private static func openPreset(_ directory: URL) throws(CheckpointError) -> KerasCheckpoint? {
    guard let (settings, place) = try settings(in: directory) else { return nil }
    let files = try CheckpointDirectory(directory)
    let names = files.contains(singleFile) ? [singleFile] : try shards(files)
    var containers: [HDF5Checkpoint] = []
    for name in names { containers.append(try HDF5Checkpoint(opening: try files.file(name))) }
    return try KerasCheckpoint(containers, settings: settings, place: place, files: containers.flatMap(\.files))
  }

  /// Keras's configuration beside the weights; nil when there is none, or another's.
  private static func settings(in directory: URL) throws(CheckpointError) -> (JSONValue, place: String)? {
    let files = try CheckpointDirectory(directory)
    guard files.contains("config.json") else { return nil }
    let settings = try json(try files.file("config.json"))
    return recognizes(settings) ? (settings, "config.json") : nil
  }

  /// Files of weights, as Keras names them.
  static let singleFile = "model.weights.h5"
  private static let shardIndex = "model.weights.json"

  /// The files that `model.weights.json` lists: `weight_map` has one or several for every group.
  private static func shards(_ files: CheckpointDirectory) throws(CheckpointError) -> [String] {
    guard files.contains(shardIndex) else { throw CheckpointError.missingFile(files.location.appendingPathComponent(singleFile)) }
    let file = try files.file(shardIndex)
    guard let map = try json(file)["weight_map"]?.object else { throw CheckpointError.malformed(file: file, "it has no weight_map") }
    var names = Set<String>()
    for member in map.members {
      for value in member.value.array ?? [member.value] {
        guard let name = value.string, !name.isEmpty, !name.contains("/"), name != ".." else {
          throw CheckpointError.malformed(file: file, "its weight_map names what is no file of this directory")
        }
        names.insert(name)
      }
    }
    guard !names.isEmpty else { throw CheckpointError.malformed(file: file, "its weight_map is empty") }
    return names.sorted()
  }

  private static let settingsLimit = 64 << 20

  private static func json(_ file: URL) throws(CheckpointError) -> JSONValue {
    let mapping = try MappedFile(file)
    guard mapping.bytes.count <= settingsLimit else {
      throw CheckpointError.malformed(file: file, "it has \(mapping.bytes.count) bytes, more than any configuration")
    }
    do { return try JSONValue(parsing: mapping.bytes) } catch { throw badJSON(error, file.lastPathComponent) }
  }

  private static func badJSON(_ error: JSONError, _ place: String) -> CheckpointError {
    let located = error.inFile(place)
    return CheckpointError(kind: located.kind, subject: located.subject, problem: located.problem, remedy: located.remedy)
  }
}
