import Diagnostics
import Execution
import ModelGraph
import Tensors

/// What each of several ways to quantize a model's layers would cost, in KL divergence per token, measured block by block without changing
/// anything: every block is quantized in every way, and its error is weighed by what calibration knows of the layer (`SecondOrderCost`).
///
/// Memory is that of one block in one way, with the statistics of its inputs.
public struct ChoiceCosts {
  private var workers: [any BlockPass]
  /// What each way costs for each layer, by the way's index. Layers that no gradient reaches are missing, and ways that leave a layer
  /// alone.
  public private(set) var costs: [ParameterID: [Int: Double]] = [:]

  /// The blocks whose layers have costs: gradients reach neither the embedding in front nor the head behind.
  public static func measurable(in graph: ModelGraph) -> ArraySlice<Block> {
    graph.blocks.last?.kind == .head ? graph.blocks.dropFirst().dropLast() : []
  }

  /// - Parameter ways: the pass with the targets of each way.
  public init(ways: [any TargetedPass], on graph: ModelGraph, in context: PassContext) throws(CompressionError) {
    workers = []
    for way in ways { workers.append(try way.begin(on: graph, in: context)) }
  }

  /// - Parameters:
  ///   - graph: the model with this block as it is.
  ///   - context: its calibration must know gradients.
  public mutating func measure(_ block: Block, of graph: ModelGraph, in context: PassContext) throws {
    let targeted = graph.linears(of: block).filter { node in workers.contains { $0.plan[node.weight] != nil } }
    guard !targeted.isEmpty else { return }
    guard let calibration = context.calibration, let sensitivity = calibration.sensitivity else {
      throw CompressionError(block.name, "cannot be calibrated", remedy: "give --calibration", kind: .usage)
    }
    calibration.lendsStatistics = true
    var outputs: [ParameterID: GramMatrix] = [:]
    for (_, weight) in targeted { outputs[weight] = try sensitivity.factor(of: weight) }
    guard !outputs.isEmpty else { return }
    let statistics = try calibration.statistics([.gram, .columns], in: graph)
    for way in workers.indices {
      var copy = graph
      try workers[way].apply(to: block, of: &copy, in: context)
      workers[way].record = PassRecord(pass: workers[way].record.pass)
      for (node, id) in targeted {
        guard let factor = outputs[id], let gram = try statistics[node.inputs[0]]?.gram(pool: context.pool),
          case .dense(let weight) = try graph[id].load(), case .quantized(let quantized) = try copy[id].load()
        else { continue }
        let error = SecondOrderCost.error(weight, quantized, pool: context.pool)
        costs[id, default: [:]][way] = try SecondOrderCost.predicted(
          of: error, named: graph[id].name, inputs: gram, outputs: factor, pool: context.pool)
      }
    }
  }
}
