import Compression
import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors

/// The weights of a merged checkpoint as they were before the adapter, computed or read from the record whenever one is read, and held against the
/// digest of the original.
struct RestoredWeights: WeightSource {
  private struct Entry {
    let record: MergeRecord.Entry
    /// The merged weight.
    let merged: Parameter
    let file: SafeTensorsFile
    /// The original, where the record has it whole.
    let whole: (any WeightSource)?
  }

  private let entries: [TensorName: Entry]
  private let digests: OriginalDigests
  private let pool: ThreadPool

  init(_ record: MergeRecord, of model: ModelBundle, pool: ThreadPool) throws {
    var entries: [TensorName: Entry] = [:]
    let parameters = Dictionary(
      model.graph.parameterIDs.map { (TensorName(model.graph[$0].name), model.graph[$0]) }, uniquingKeysWith: { first, _ in first })
    for item in record.entries {
      guard let merged = parameters[TensorName(item.name)] else {
        throw RecipeError(
          item.name, "is in the record and not in the model", remedy: "copy the checkpoint again, with its subdirectory", kind: .badData)
      }
      let file = try SafeTensorsFile(try CheckpointDirectory(record.directory).file(item.file))
      let isWhole = file.descriptor(MergeRecord.Part.down.rawValue) == nil
      let whole = isWhole ? try openWeights(checkpoint: file, configuration: model.configuration) : nil
      guard whole.map({ $0.describe(item.name) != nil }) ?? true else {
        throw RecipeError(
          file.file.path, "does not hold \(item.name)", remedy: "copy the checkpoint again, with its subdirectory", kind: .badData)
      }
      entries[TensorName(item.name)] = Entry(record: item, merged: merged, file: file, whole: whole)
    }
    (self.entries, self.pool, digests) = (entries, pool, record.digests)
  }

  var names: [String] { entries.keys.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    guard let entry = entries[TensorName(name)] else { return nil }
    if let whole = entry.whole { return whole.describe(name) }
    return entry.merged.weightStorage.map { (entry.merged.shape, $0) }
  }

  func release(_ name: String) { entries[TensorName(name)]?.merged.releasePages() }

  func load(_ name: String) throws -> Weight {
    guard let entry = entries[TensorName(name)] else { throw RecipeError(name, "is not in the record", kind: .badData) }
    let weight = try entry.whole?.load(name) ?? .dense(restored(entry))
    guard weight.digest() == digests[name] else { throw OriginalDigests.mismatch(name) }
    return weight
  }

  private func restored(_ entry: Entry) throws -> Tensor {
    let file = entry.file
    func damaged() -> RecipeError {
      RecipeError(
        file.file.path, "does not fit \(entry.record.name)", remedy: "copy the checkpoint again, with its subdirectory", kind: .badData)
    }
    func part(_ part: MergeRecord.Part) throws -> Tensor? {
      file.descriptor(part.rawValue) == nil ? nil : try file.tensor(part.rawValue)
    }
    if let weight = try part(.weight) { return weight }
    guard let down = try part(.down), let up = try part(.up), let scaling = try part(.scaling)?.float32Values()?.first,
      case .dense(let merged) = try entry.merged.load(), let wide = merged.asFloat32(), let counts = try part(.counts)
    else { throw damaged() }
    let fold = try AdapterFold(LowRankAdapter(down: down, up: up, scaling: scaling), of: entry.record.name, shape: merged.shape)
    let factors = try part(.factors)
    guard factors.map({ $0.dataType == .float64 && $0.shape == [merged.shape[0]] }) ?? true else { throw damaged() }
    let rows = factors.map { $0.loadedElements(as: Double.self) }
    guard let back = fold.unmerged(from: wide, factors: rows, pool: pool).converted(to: merged.dataType),
      let result = DifferingElements(counts: counts, columns: try part(.columns), values: try part(.values)).replacing(in: back)
    else { throw damaged() }
    return result
  }
}
