import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// A model's adapted weights with their adapters folded in, computed whenever one is read. A dense weight is rounded once to the type it is stored
/// in: what is seen is what is written. A quantized one is read as float32, to be quantized again.
package struct MergedWeights: WeightSource {
  struct Entry: Sendable {
    let origin: Parameter
    let fold: AdapterFold
    /// What the merged weight is read as.
    let type: DataType
  }

  private let entries: [TensorName: Entry]
  private let pool: ThreadPool

  init(_ entries: [Entry], pool: ThreadPool) {
    self.entries = Dictionary(entries.map { (TensorName($0.origin.name), $0) }, uniquingKeysWith: { first, _ in first })
    self.pool = pool
  }

  package var names: [String] { entries.keys.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

  package func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    entries[TensorName(name)].map { ($0.origin.shape, .dense($0.type)) }
  }

  package func release(_ name: String) { entries[TensorName(name)]?.origin.releasePages() }

  package func load(_ name: String) throws -> Weight {
    let entry = try entry(name)
    guard let base = try entry.origin.load().float32(),
      let merged = entry.fold.merged(into: base, pool: pool).weight.converted(to: entry.type)
    else {
      throw CompressionError(
        name, "is not a type that an adapter can be merged into", remedy: "store it as F32, F16 or BF16", kind: .badData)
    }
    var (low, high, odd) = (Float(0), Float(0), Int64(0))
    merged.asFloat32()?.withUnsafeBytes { bytes in
      guard let values = bytes.bindMemory(to: Float.self).baseAddress else { return }
      dso_min_max(values, Int64(merged.shape.elementCount), &low, &high, &odd)
    }
    guard odd == 0 else {
      throw CompressionError(
        name, "has \(odd) values beyond \(entry.type.rawValue) once its adapter is merged",
        remedy: "check the adapter's scaling, or run it beside the model", kind: .badData)
    }
    return .dense(merged)
  }

  /// The parameter before its adapter, and the adapter.
  package func parts(of name: String) throws -> (origin: Parameter, fold: AdapterFold) {
    let entry = try entry(name)
    return (entry.origin, entry.fold)
  }

  private func entry(_ name: String) throws(CompressionError) -> Entry {
    guard let entry = entries[TensorName(name)] else {
      throw CompressionError(
        name, "has no adapter", remedy: "merge the adapter into the model it was made for", kind: .badData)
    }
    return entry
  }
}
