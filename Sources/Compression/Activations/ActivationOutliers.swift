import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors

/// Leaves float inputs to the layers that int8 inputs hurt most; every one of them is named in the report.
///
/// Outliers in a layer's inputs widen the steps of all the others. A layer is left out when the noise that int8 inputs put into its output,
/// relative to the output, is more than `threshold` times that of the median layer; of these the worst, at most `maximumShare` of the
/// layers. Layers that read the same value are decided on together, as runtimes fuse them.
public struct ActivationOutliers: CompressionPass {
  public static let identifier = "activation-outliers"
  public static let contract = PassContract(requires: [.quantizedWeights])

  /// Noise power over signal power, in units of the median layer's.
  public var threshold = 10.0
  /// Of the layers with int8 inputs.
  public var maximumShare = 0.1

  public init() {}

  public var needs: Set<PassNeed> { [.inputErrors] }

  private enum CodingKeys: String, CodingKey {
    case threshold
    case maximumShare = "maximum-share"
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    guard threshold >= 1, maximumShare >= 0, maximumShare <= 1 else {
      throw CompressionError(
        Self.identifier, "has a threshold below 1 or a maximum-share that is no share", remedy: "use 1 or more, and 0 to 1",
        kind: .badConfiguration)
    }
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    let layers = context.planned.filter { $0.value.inputs != .none }
    guard !layers.isEmpty else {
      throw CompressionError(
        Self.identifier, "finds no layer with int8 activations", remedy: "give an earlier pass `activations: int8` or int8-static",
        kind: .badConfiguration)
    }
    guard let errors = context.inputErrors else { return Worker(plan: [:], reasons: [:]) }
    return worker(errors, layers, graph)
  }

  private func worker(_ errors: InputErrors, _ layers: [ParameterID: WeightStorage], _ graph: ModelGraph) -> Worker {
    var unmeasured: [String] = []
    var groups: [(weights: [(id: ParameterID, module: String)], ratio: Double)] = []
    var places: [ValueID: Int] = [:]
    for (node, id) in graph.blocks.flatMap({ graph.linears(of: $0) }) where layers[id] != nil {
      let place = places[node.inputs[0], default: groups.count]
      places[node.inputs[0]] = place
      if place == groups.count { groups.append(([], 0)) }
      groups[place].weights.append((id, node.scope))
      if let ratio = errors.ratios[id] {
        groups[place].ratio = max(groups[place].ratio, ratio)
      } else {
        unmeasured.append(node.scope)
      }
    }
    var worker = Worker(plan: [:], reasons: [:])
    if !unmeasured.isEmpty {
      worker.record.warnings.append(
        "what int8 activations do to these layers could not be measured, and they have them: \(unmeasured.joined(separator: ", "))")
    }
    let sorted = layers.keys.compactMap { errors.ratios[$0] }.sorted()
    guard !sorted.isEmpty else { return worker }
    let median = sorted[sorted.count / 2]
    var room = Int(Double(layers.count) * maximumShare)
    var passedOver: [String] = []
    // Stable: of equals the first in the model.
    for index in groups.indices.sorted(by: { (groups[$1].ratio, $0) < (groups[$0].ratio, $1) }) {
      let group = groups[index]
      guard group.ratio > threshold * median else { break }
      guard group.weights.count <= room else {
        passedOver += group.weights.map(\.module)
        continue
      }
      room -= group.weights.count
      let reason = String(
        format: "float activations: int8 ones would put noise of %.2g of its output's power there, %.0f times the median layer's",
        group.ratio,
        group.ratio / max(median, .leastNormalMagnitude))
      for (id, module) in group.weights {
        guard case .quantized(var scheme)? = layers[id] else { continue }
        scheme.activations = .none
        worker.plan[id] = .quantized(scheme)
        worker.reasons[id] = reason
        worker.record.warnings.append("\(module): \(reason)")
      }
    }
    if !passedOver.isEmpty {
      worker.record.warnings.append(
        "int8 activations hurt these layers as much, but no more than \(maximumShare * 100) % of the layers may keep float ones: "
          + passedOver.joined(separator: ", "))
    }
    return worker
  }

  private struct Worker: BlockPass {
    var plan: [ParameterID: WeightStorage]
    var reasons: [ParameterID: String]
    var record = PassRecord(pass: ActivationOutliers.identifier)

    init(plan: [ParameterID: WeightStorage], reasons: [ParameterID: String]) {
      self.plan = plan
      self.reasons = reasons
    }

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      for (node, id) in graph.linears(of: block) {
        guard let reason = reasons[id] else { continue }
        guard let plain = try graph.quantizedWeight(id, of: node.scope).quantizingInputs(as: .none) else {
          throw CompressionError(node.scope, "cannot have float inputs", kind: .badData)
        }
        try graph.replace(id, with: .quantized(plain))
        record.inputs.append(.init(module: node.scope, fallback: reason))
      }
    }
  }
}
