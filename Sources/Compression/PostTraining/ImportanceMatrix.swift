import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Round-to-nearest on the scales (and zero points) with the smallest error weighed by importance: E[x²] of each input on calibration text,
/// and the weights' own size (llama.cpp's importance matrix). One forward of the text, and a search.
public struct ImportanceMatrix: TargetedPass {
  public static let identifier = "imatrix"
  public static let contract = PassContract(establishes: [.quantizedWeights], forbids: [.quantizedWeights])

  /// Which layers become what.
  public var targets = QuantizationTargets()
  /// How the importance of an input becomes that of its weights.
  public var elements = ElementImportance.imatrix

  public init() {}

  public init(bits: Int, method: QuantizationTargets.Method = .symmetric, groupSize: Int = 128) {
    targets.bits = bits
    targets.method = method
    targets.groupSize = groupSize
  }

  public var needs: Set<PassNeed> { [.calibration] }

  private enum CodingKeys: String, CodingKey { case elements }

  public init(from decoder: any Decoder) throws {
    targets = try QuantizationTargets(from: decoder)
    elements = try decoder.container(keyedBy: CodingKeys.self).decode(ElementImportance.self, forKey: .elements)
  }

  public func encode(to encoder: any Encoder) throws {
    try targets.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(elements, forKey: .elements)
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    _ = try targets.schemes(for: graph)
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    Worker(pass: self, schemes: try targets.schemes(for: graph))
  }

  private struct Worker: BlockPass {
    let pass: ImportanceMatrix
    let schemes: [ParameterID: QuantizationScheme]
    var record = PassRecord(pass: ImportanceMatrix.identifier)

    var plan: [ParameterID: WeightStorage] { schemes.mapValues(WeightStorage.quantized) }

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      let targeted = graph.linears(of: block).filter { schemes[$0.weight] != nil }
      guard !targeted.isEmpty else { return }
      guard let statistics = try context.calibration?.statistics(.columns, in: graph) else {
        throw CompressionError(block.name, "cannot be calibrated", remedy: "give --calibration", kind: .usage)
      }
      record.warnOfDeadInputs(in: block, readBy: targeted, statistics, consequence: ImportanceRounding.deadInputs)
      for (node, id) in targeted {
        guard let scheme = schemes[id] else { continue }
        record.layers.append(
          try ImportanceRounding.quantize(
            node, id, as: scheme, statistics: statistics[node.inputs[0]], elements: pass.elements, in: &graph, pool: context.pool))
      }
    }
  }
}
