import Compression
import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// What takes a merged adapter out of a checkpoint again, bit by bit: the adapter, and whatever of the original weights it and the merged ones do not
/// tell. It lies beside the checkpoint, one file for each merged weight.
///
/// A dense weight comes back by subtraction, which rounding leaves wrong in a few places; these are kept. A quantized weight is kept whole: codes say
/// nothing of the codes before.
struct MergeRecord {
  static let directoryName = "unmerge"
  static let documentName = "record.json"
  private static let version = 1

  struct Entry {
    /// The parameter's.
    let name: String
    /// In the record's directory.
    let file: String
    /// Of the original weight.
    let digest: String
  }

  let directory: URL
  let entries: [Entry]

  /// Parts of one file.
  enum Part: String, CaseIterable {
    case down = "lora_A"
    case up = "lora_B"
    case scaling
    /// What each row was multiplied by, float64 `[outputs]`; with a magnitude only.
    case factors
    /// How many places of each row are kept, int32 `[outputs]`.
    case counts
    /// Their columns, row by row, int32.
    case columns
    /// What stood there, in the type of the weight.
    case values
    /// In place of these three: the weight.
    case weight
  }

  /// Makes the record of what a run has merged, while both sides are at hand.
  /// - Parameters:
  ///   - prepared: the model that passes began on, which reads the original weights.
  ///   - written: the merged checkpoint.
  static func write(of prepared: ModelGraph, beside written: ModelBundle, in output: OutputDirectory, pool: ThreadPool) throws {
    let directory = output.file(directoryName)
    try? FileManager.default.removeItem(at: directory)
    do { try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false) } catch {
      throw RecipeError(directory.path, "cannot be created", remedy: "check the disk and its permissions", kind: .cannotCreate)
    }
    var entries: [JSONValue] = []
    for id in prepared.parameterIDs {
      guard case .stored(let source) = prepared[id].storage, let merged = source as? MergedWeights else { continue }
      try Interruption.check()
      let name = prepared[id].name
      let (origin, fold) = try merged.parts(of: name)
      let original = try origin.load()
      let file = "\(entries.count).safetensors"
      try SafeTensorsFile.write(
        parts(of: original, fold, named: name, merged: written.weights.load(name), pool: pool), to: directory.appendingPathComponent(file))
      entries.append(.object(["name": .string(name), "file": .string(file), "sha256": .string(original.digest())]))
      origin.releasePages()
      written.weights.release(name)
    }
    let document: JSONValue = .object(["version": .integer(Int64(version)), "weights": .array(entries)])
    try output.write(document.text(), to: "\(directoryName)/\(documentName)")
  }

  private static func parts(
    of original: Weight, _ fold: AdapterFold, named name: String, merged: Weight, pool: ThreadPool
  ) throws -> [(name: String, tensor: Tensor)] {
    guard case .dense(let stored) = original, let wide = stored.asFloat32(), let now = merged.float32() else {
      guard case .quantized(let tensor) = original else {
        throw RecipeError(name, "cannot be kept for a later unmerge", kind: .badData)
      }
      return try CompressedTensorsEncoding.encode(tensor, module: CompressedTensorsEncoding.moduleName(ofParameter: name))
        .map { ($0.0.name, $0.1) }
    }
    var parts: [(Part, Tensor)] = [
      (.down, fold.down), (.up, fold.up), (.scaling, Tensor([fold.scaling], shape: [1])),
    ]
    let factors = fold.merged(into: wide, pool: pool).factors
    if let factors {
      let rows = factors.withUnsafeBytes { bytes in Tensor(dataType: .float64, shape: [factors.count]) { $0.copyMemory(from: bytes) } }
      parts.append((.factors, rows))
    }
    guard let back = fold.unmerged(from: now, factors: factors, pool: pool).converted(to: stored.dataType) else {
      throw RecipeError(name, "cannot be kept for a later unmerge", kind: .badData)
    }
    let kept = DifferingElements(of: stored, from: back)
    if kept.byteCount < stored.byteCount {
      parts.append((.counts, kept.counts))
      if let columns = kept.columns, let values = kept.values { parts += [(.columns, columns), (.values, values)] }
    } else {
      parts.append((.weight, stored))
    }
    return parts.map { ($0.0.rawValue, $0.1) }
  }

  /// Reads the record of a merged checkpoint.
  /// - Throws: where there is none, or it is damaged.
  init(beside model: ModelBundle) throws {
    directory = model.directory.appendingPathComponent(Self.directoryName)
    let file = directory.appendingPathComponent(Self.documentName)
    guard FileManager.default.fileExists(atPath: file.path) else {
      throw RecipeError(
        model.directory.path,
        "has no \(Self.directoryName)/\(Self.documentName): no adapter was merged into it here, or it was removed since",
        remedy: "take the checkpoint that the adapter was merged into", kind: .missingInput)
    }
    let document = try JSONFile.read(file)
    guard document["version"]?.integer == Self.version, let weights = document["weights"]?.array else {
      throw RecipeError(file.path, "is not a record that this version reads", kind: .badData)
    }
    let files = try CheckpointDirectory(directory)
    entries = try weights.map { value in
      guard let name = value["name"]?.string, let part = value["file"]?.string, let digest = value["sha256"]?.string, files.contains(part)
      else { throw RecipeError(file.path, "is incomplete", remedy: "copy the checkpoint again, with its subdirectory", kind: .badData) }
      return Entry(name: name, file: part, digest: digest)
    }
  }
}
