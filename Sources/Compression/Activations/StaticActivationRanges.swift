import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Finds the scales of static int8 activations on calibration text, for the layers that an earlier pass quantized with
/// `activations: int8-static`. Layers that read the same value get the same scale.
///
/// The range is not the largest value: the scale is the one whose codes have the smallest squared error over all inputs that calibration
/// saw, rounding and clipping together.
public struct StaticActivationRanges: CompressionPass {
  public static let identifier = "static-activations"
  public static let contract = PassContract(requires: [.quantizedWeights])

  /// Ways to choose a range.
  public enum Range: String, Codable, Sendable, Hashable, CaseIterable {
    /// The smallest squared error.
    case mse
    /// The largest magnitude: nothing of the calibration text is clipped.
    case extremes
  }

  /// How the range of a layer's inputs is chosen.
  public var range = Range.mse

  public init() {}

  public init(range: Range) { self.range = range }

  public var needs: Set<PassNeed> { [.calibration, .inputHistograms] }

  public func validate(for graph: ModelGraph) throws(CompressionError) {}

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    let layers = context.planned.filter { $0.value.inputs == .int8Static }
    guard !layers.isEmpty else {
      throw CompressionError(
        Self.identifier, "finds no layer with static activations", remedy: "give an earlier pass `activations: int8-static`",
        kind: .badConfiguration)
    }
    return Worker(range: range, plan: layers)
  }

  private struct Worker: BlockPass {
    let range: Range
    let plan: [ParameterID: WeightStorage]
    var record = PassRecord(pass: StaticActivationRanges.identifier)

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      let targeted = graph.linears(of: block).filter { plan[$0.weight] != nil }
      guard !targeted.isEmpty else { return }
      guard let histograms = try context.calibration?.histograms(in: graph) else {
        throw CompressionError(block.name, "cannot be calibrated", remedy: "give --calibration", kind: .usage)
      }
      var known: [ValueID: [DataType: MagnitudeHistogram.Choice]] = [:]
      for (node, id) in targeted {
        let tensor = try graph.quantizedWeight(id, of: node.scope)
        let (value, type) = (node.inputs[0], tensor.scales.dataType)
        let histogram = Self.histogram(of: value, in: histograms, of: graph)
        let choice = known[value]?[type] ?? (range == .mse ? histogram.smallestError(in: type) : histogram.extremes(in: type))
        known[value, default: [:]][type] = choice
        guard let scaled = tensor.quantizingInputs(as: .int8Static, scale: choice.scale) else {
          throw CompressionError(node.scope, "cannot have inputs of scale \(choice.scale)", kind: .badData)
        }
        record.inputs.append(
          .init(
            module: node.scope, clippedFraction: choice.clippedFraction,
            fallback: (histograms[value]?.absmax ?? 0) > 0
              ? nil
              : "no activation reached it: its inputs have the scale "
                + (histogram.absmax > 0 ? "of those that the layer's other experts read" : "1")))
        try graph.replace(id, with: .quantized(scaled))
      }
    }

    /// What is known of a value; of one that no token reached, what the layer's other experts read in its place.
    private static func histogram(
      of value: ValueID, in histograms: [ValueID: MagnitudeHistogram], of graph: ModelGraph
    ) -> MagnitudeHistogram {
      if let known = histograms[value], known.absmax > 0 { return known }
      guard let route = graph[value].route else { return MagnitudeHistogram() }
      let siblings = histograms.filter {
        graph[$0.key].route?.routing == route.routing && graph[$0.key].width == graph[value].width
          && graph.producer(of: $0.key)?.operation.name == graph.producer(of: value)?.operation.name
      }
      return siblings.max { ($0.value.absmax, $1.key.index) < ($1.value.absmax, $0.key.index) }?.value ?? MagnitudeHistogram()
    }
  }
}
