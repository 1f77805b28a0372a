import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Round-to-nearest on scales that were searched with the importance of the inputs: what several passes do to a layer.
enum ImportanceRounding {
  /// What of the importance of inputs that were never reached.
  static let deadInputs = "their weights do not count in the search for scales"

  /// Quantizes a layer in the graph.
  /// - Parameters:
  ///   - statistics: of the input it reads, as the weight sees it now; nil when calibration did not reach it.
  ///   - elements: how the importance of an input becomes that of its weights.
  /// - Returns: what was done, for the record.
  static func quantize(
    _ node: Node, _ id: ParameterID, as scheme: QuantizationScheme, statistics: InputStatistics?, elements: ElementImportance = .imatrix,
    in graph: inout ModelGraph, pool: ThreadPool
  ) throws -> PassRecord.Layer {
    let tensor = try graph.denseWeight(id, of: node.scope)
    let (weight, name) = (WeightRows.tensor(tensor), graph[id].name)
    let importance = statistics?.importance
    let result = try SearchedScales.quantize(
      weight, named: name, as: scheme, importance: importance, elements: elements, scaleType: graph[id].scaleType ?? weight.scaleType,
      pool: pool)
    WorkMeter.add(WorkEstimate.searchedWeight * Double(tensor.shape.elementCount))
    try graph.replace(id, with: .quantized(result.tensor))
    return PassRecord.Layer(
      module: node.scope, scheme: scheme, weights: tensor.shape.elementCount, clipped: result.clipped,
      fallback: importance == nil ? "no activation reached it: every weight counts alike" : statistics?.shortage,
      calibrationTokens: graph.expert(of: node) == nil ? nil : statistics?.tokens ?? 0, isScarce: statistics?.shortage != nil)
  }
}
