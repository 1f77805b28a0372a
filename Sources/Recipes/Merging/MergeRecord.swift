import Compression
import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import StructuredData
import Tensors

/// What takes a merged adapter out of a checkpoint again, bit by bit: the adapter, and whatever of the original weights it and the merged ones do not
/// tell. It lies beside the checkpoint, one file for each merged weight, with a digest of every weight as it was.
///
/// A dense weight comes back by subtraction, which rounding leaves wrong in a few places; these are kept. A quantized weight is kept whole: codes say
/// nothing of the codes before.
struct MergeRecord {
  static let directoryName = "unmerge"
  static let documentName = "record.json"
  private static let version = 1

  /// A weight that was merged.
  struct Entry {
    /// The parameter's.
    let name: String
    /// In the record's directory.
    let file: String
  }

  let directory: URL
  let entries: [Entry]
  /// Of every original weight.
  let digests: OriginalDigests

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
  ///   - digests: of its weights.
  static func write(
    of prepared: ModelGraph, beside written: ModelBundle, digests: [TensorName: String], in output: OutputDirectory, pool: ThreadPool
  ) throws {
    guard output.isFirst else { return }
    let directory = try output.makeDirectory(directoryName)
    var (originals, files) = (digests, [TensorName: String]())
    for id in prepared.parameterIDs {
      guard case .stored(let source) = prepared[id].storage, let merged = source as? MergedWeights else { continue }
      try Interruption.check()
      let name = prepared[id].name
      let (origin, fold) = try merged.parts(of: name)
      let original = try origin.load()
      let file = "\(files.count).safetensors"
      try SafeTensorsFile.write(
        parts(of: original, fold, named: name, merged: written.weights.load(name), pool: pool), to: directory.appendingPathComponent(file))
      files[TensorName(name)] = file
      originals[TensorName(name)] = original.digest()
      origin.releasePages()
      written.weights.release(name)
    }
    let weights = originals.sorted { $0.key.text.utf8.lexicographicallyPrecedes($1.key.text.utf8) }.map { name, digest in
      var object: JSONObject = ["name": .string(name.text), "sha256": .string(digest)]
      object["file"] = files[name].map(JSONValue.string)
      return JSONValue.object(object)
    }
    let document: JSONValue = .object(["version": .integer(Int64(version)), "weights": .array(weights)])
    try output.write(document.text(), to: "\(directoryName)/\(documentName)")
  }

  private static func parts(
    of original: Weight, _ fold: AdapterFold, named name: String, merged: Weight, pool: ThreadPool
  ) throws -> [(name: String, tensor: Tensor)] {
    guard case .dense(let stored) = original, let wide = stored.asFloat32(), let now = merged.float32() else {
      guard case .quantized(let tensor) = original else {
        throw RecipeError(name, "is not a type whose original can be kept", remedy: "store it as F32, F16 or BF16", kind: .badData)
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
      throw RecipeError(name, "is not a type whose original can be kept", remedy: "store it as F32, F16 or BF16", kind: .badData)
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

  private static func incomplete(_ file: URL) -> RecipeError {
    RecipeError(file.path, "is incomplete", remedy: "copy the checkpoint again, with its subdirectory", kind: .badData)
  }

  /// Reads the record of a merged checkpoint.
  /// - Throws: where there is none, or it is damaged.
  init(beside model: ModelBundle) throws {
    directory = model.directory.appendingPathComponent(Self.directoryName)
    let file = directory.appendingPathComponent(Self.documentName)
    guard FileManager.default.fileExists(atPath: file.path) else {
      throw RecipeError(
        model.directory.path,
        "has no \(Self.directoryName)/\(Self.documentName): no adapter was merged into it by `merge` alone into safetensors, or the record was removed since",
        remedy: "take the checkpoint that the adapter was merged into", kind: .missingInput)
    }
    let document = try JSONFile.read(CheckpointDirectory(model.directory).file("\(Self.directoryName)/\(Self.documentName)"))
    guard document["version"]?.integer == Self.version, let weights = document["weights"]?.array else {
      throw RecipeError(
        file.path, "is not a record that this version reads", remedy: "copy the checkpoint again, with its subdirectory", kind: .badData)
    }
    let files = try CheckpointDirectory(directory)
    var (entries, digests) = ([Entry](), [TensorName: String]())
    for value in weights {
      guard let name = value["name"]?.string, let digest = value["sha256"]?.string,
        digests.updateValue(digest, forKey: TensorName(name)) == nil
      else { throw Self.incomplete(file) }
      guard let part = value["file"] else { continue }
      guard let part = part.string, files.contains(part) else { throw Self.incomplete(file) }
      entries.append(Entry(name: name, file: part))
    }
    guard !entries.isEmpty else { throw Self.incomplete(file) }
    self.entries = entries
    self.digests = OriginalDigests(digests)
  }
}
