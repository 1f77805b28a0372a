import Diagnostics
import StructuredData
import Tensors

/// An adapter as mlx-lm wants it: factors transposed, and one rank and one scale for all modules.
///
/// Smaller ranks are filled up with zeros, which changes nothing. A module with another scaling takes the quotient into its B, which is
/// then kept in float32.
struct MLXAdapterLayout {
  private let adapter: AdapterCheckpoint
  private let rank: Int
  private let scale: Double

  init(_ adapter: AdapterCheckpoint) throws(CheckpointError) {
    if let module = adapter.modules.first(where: { ($0.kind == .embedding) != AdapterTargets.embeddingNames.contains($0.name.leafName) }) {
      throw CheckpointError(
        kind: .usage, subject: "adapter of \(CheckpointError.shortened(module.name))",
        problem: "by its name mlx-lm's layout cannot tell whether it is an embedding", remedy: "write the PEFT layout")
    }
    self.adapter = adapter
    rank = adapter.modules.map(\.rank).max() ?? adapter.configuration.rank
    let counts = Dictionary(adapter.modules.map { ($0.scaling, 1) }, uniquingKeysWith: +)
    let most = counts.values.max() ?? 0
    scale = counts.filter { $0.value == most }.keys.min() ?? 1
  }

  func tensors() throws(CheckpointError) -> [(name: String, tensor: Tensor)] {
    var tensors: [(name: String, tensor: Tensor)] = []
    for module in adapter.modules {
      guard let factor = module.scaling == scale ? module.b : module.b.multiplied(by: module.scaling / scale),
        let a = module.a.transposed(columns: rank), let b = factor.transposed(padding: rank)
      else {
        throw CheckpointError(
          kind: .usage, subject: "adapter of \(CheckpointError.shortened(module.name))", problem: "its factors are too large to transpose")
      }
      tensors.append((module.name + ".lora_a", a))
      tensors.append((module.name + ".lora_b", b))
      if let magnitude = module.magnitude { tensors.append((module.name + ".m", magnitude)) }
    }
    return tensors
  }

  func configuration(among modelModules: [String]?) -> JSONObject {
    let (keys, layerCount) = selection(among: modelModules)
    var document: JSONObject = [
      "fine_tune_type": adapter.configuration.isWeightDecomposed ? "dora" : "lora",
      "num_layers": .integer(Int64(layerCount)),
      "lora_parameters": [
        "rank": .integer(Int64(rank)),
        "scale": AdapterCheckpoint.number(scale),
        "dropout": AdapterCheckpoint.number(adapter.configuration.dropout),
        "keys": .array(keys.map(JSONValue.string)),
      ],
    ]
    if let model = adapter.configuration.baseModel { document["model"] = .string(model) }
    for member in adapter.keptKeys(.mlx, besides: document, dropping: []) { document[member.key] = member.value }
    return document
  }

  /// Names within a block and the number of blocks from the last, when these select just the adapted modules; else names in full, which
  /// mlx-lm finds wherever they are.
  private func selection(among modelModules: [String]?) -> (keys: [String], layerCount: Int) {
    let names = adapter.modules.map(\.name)
    let blocks = names.compactMap(\.blockPath)
    let numbers = Set(blocks.map(\.number))
    guard let modelModules, let first = numbers.min(), let last = modelModules.compactMap({ $0.blockPath?.number }).max() else {
      return (names, numbers.count)
    }
    let inner = Set(blocks.map { TensorName($0.inner) })
    let adapted = Set(names.map(TensorName.init))
    let selected = modelModules.filter { $0.blockPath.map { $0.number >= first && inner.contains(TensorName($0.inner)) } ?? false }
    guard selected.count == blocks.count, selected.allSatisfy({ adapted.contains(TensorName($0)) }) else { return (names, numbers.count) }
    let keys = inner.map(\.text) + names.filter { $0.blockPath == nil }
    return (keys.sorted { compareBytes($0, $1) < 0 }, last - first + 1)
  }
}

extension Tensor {
  /// The product with a number, in float32; nil when it is no floating-point tensor.
  fileprivate func multiplied(by factor: Double) -> Tensor? {
    float32Values().map { values in Tensor(values.map { Float(Double($0) * factor) }, shape: shape) }
  }
}
