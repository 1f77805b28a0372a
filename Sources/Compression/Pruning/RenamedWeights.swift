import Diagnostics
import ModelGraph
import Tensors

/// Parameters under other names than their checkpoint has them.
package struct RenamedWeights: WeightSource {
  private let origins: [TensorName: Parameter]

  package init(_ parameters: [(name: String, origin: Parameter)]) {
    origins = Dictionary(parameters.map { (TensorName($0.name), $0.origin) }, uniquingKeysWith: { first, _ in first })
  }

  package var names: [String] { origins.keys.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

  package func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)? {
    origins[TensorName(name)].flatMap { origin in origin.weightStorage.map { (origin.shape, $0) } }
  }

  package func release(_ name: String) { origins[TensorName(name)]?.releasePages() }

  package func load(_ name: String) throws -> Weight {
    guard let origin = origins[TensorName(name)] else {
      throw CompressionError(name, "is no parameter of the pruned model", remedy: "prune the model that this belongs to", kind: .badData)
    }
    return try origin.load()
  }
}
