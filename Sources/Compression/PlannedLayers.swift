import Diagnostics
import ModelGraph
import Tensors

extension ModelGraph {
  /// The weight of a layer that a pass has promised to quantize or to rescale.
  /// - Throws: a weight that is no dense matrix, naming the layer: the output is laid out for what was promised.
  func denseWeight(_ id: ParameterID, of module: String) throws -> Tensor {
    guard case .dense(let tensor) = try self[id].load(), tensor.shape.rank == 2, tensor.dataType.isFloatingPoint else {
      throw CompressionError(
        module, "is planned to be changed, and its weight is not a matrix of floating-point numbers",
        remedy: "start from the unquantized model, or leave the layer out with --ignore", kind: .badData)
    }
    return tensor
  }

  /// The weight of a layer that an earlier pass has promised to quantize.
  /// - Throws: a weight that is not quantized, naming the layer.
  func quantizedWeight(_ id: ParameterID, of module: String) throws -> QuantizedTensor {
    guard case .quantized(let tensor) = try self[id].load() else {
      throw CompressionError(module, "is planned to be quantized, and no pass did it", kind: .badData)
    }
    return tensor
  }
}

extension PassRecord {
  /// Warns, once for a block, of inputs that were 0 in all calibration text; layers that nothing reached at all say so themselves.
  /// - Parameters:
  ///   - counts: of each input of the block's layers, by the first layer that reads it.
  ///   - consequence: what becomes of their weights.
  mutating func warnOfDeadInputs(in block: Block, _ counts: [(module: String, dead: Int, width: Int)], consequence: String) {
    let partial = counts.filter { $0.dead > 0 && $0.dead < $0.width }
    guard !partial.isEmpty else { return }
    let parts = partial.map { "\($0.dead) of \($0.width) inputs of \($0.module)" }
    warnings.append("\(block.name): \(parts.joined(separator: ", ")) were 0 in all calibration text: \(consequence)")
  }

  /// The same from statistics, for the values that these layers read.
  mutating func warnOfDeadInputs(
    in block: Block, readBy layers: [(node: Node, weight: ParameterID)], _ statistics: [ValueID: InputStatistics], consequence: String
  ) {
    var seen = Set<ValueID>()
    let first = layers.filter { seen.insert($0.node.inputs[0]).inserted }
    let counts = first.compactMap { node, _ in statistics[node.inputs[0]].map { (node.scope, $0.deadInputs, $0.width) } }
    warnOfDeadInputs(in: block, counts, consequence: consequence)
  }
}
