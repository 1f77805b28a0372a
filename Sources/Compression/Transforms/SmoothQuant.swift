import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors

/// Moves part of the range of activations into the weights, channel by channel, so that both are easier to quantize (SmoothQuant, Xiao et
/// al. 2023): s = absmax(x)^α / absmax(w)^(1−α), folded into what produces x. For int8 activations; needs calibration text.
///
/// Producers are the norms before the query, key and value projections and before the MLP, the value projection (heads that share its rows
/// share their factors), and the MLP's up projection. What cannot be folded is left as it is, and the report says so.
public struct SmoothQuant: CompressionPass {
  public static let identifier = "smooth"
  public static let contract = PassContract(establishes: [.smoothedFeatures], forbids: [.quantizedWeights])

  /// The share of the range that moves: 0 leaves it to the activations, 1 to the weights.
  public var alpha: Float = 0.5

  public init() {}

  public init(alpha: Float) { self.alpha = alpha }

  public var needs: Set<PassNeed> { [.calibration] }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    guard alpha >= 0, alpha <= 1 else {
      throw CompressionError("smooth: alpha", "of \(alpha) is not a share", remedy: "use 0 to 1; 0.5 to 0.8 is usual", kind: .usage)
    }
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass { Worker(alpha: alpha) }

  private struct Worker: BlockPass {
    let alpha: Float
    var record = PassRecord(pass: SmoothQuant.identifier)
    var plan: [ParameterID: WeightStorage] { [:] }

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      // The head's input is the last norm's, and the head is rarely quantized.
      guard case .layer = block.kind else { return }
      guard let statistics = try context.calibration?.statistics(.columns, in: graph) else {
        throw CompressionError(block.name, "cannot be calibrated", remedy: "give --calibration", kind: .usage)
      }
      let (inputs, skipped) = FoldableInput.all(in: block, of: graph)
      record.warnings += skipped.map { "\($0.module): not smoothed: \($0.reason)" }
      record.warnOfDeadInputs(
        in: block, readBy: graph.linears(of: block), statistics, consequence: "nothing of their range is moved")
      for input in inputs {
        guard let peaks = statistics[input.value]?.absmax else {
          throw CompressionError(input.readers.first?.node.scope ?? block.name, "was not reached by calibration", kind: .badData)
        }
        try input.fold(try factors(for: input, peaks: peaks, of: graph), into: &graph, in: context)
        record.rescaled += input.changedModules
      }
    }

    private func factors(for input: FoldableInput, peaks: [Float], of graph: ModelGraph) throws -> [Float] {
      var weights = ColumnMagnitudes(columns: peaks.count)
      for (node, id) in input.readers { weights.add(.tensor(try graph.denseWeight(id, of: node.scope))) }
      var activation = [Float](repeating: 0, count: input.channels)
      var weight = activation
      for (feature, channel) in input.channel.enumerated() {
        activation[channel] = max(activation[channel], peaks[feature])
        weight[channel] = max(weight[channel], weights.largest[feature])
      }
      return zip(activation, weight).map { x, w in
        // A channel that is never used, or never read, has nothing to move.
        let factor = pow(x, alpha) / pow(w, 1 - alpha)
        return x > 0 && w > 0 && factor.isFinite ? min(max(factor, 1e-5), 1e5) : 1
      }
    }
  }
}
