import CKernels
import Distribution
import Execution
import Foundation
import ModelGraph
import Tensors

/// What quantization did to one layer.
public struct LayerError: Sendable, Hashable {
  /// The module: `model.layers.3.mlp.up_proj`.
  public let name: String
  public let scheme: QuantizationScheme
  /// 10·log10(Σw² / Σ(w−ŵ)²) over all weights; nil when the error is zero.
  public let weightSQNR: Double?
  /// Groups that hold weights other than zero and are stored as zeros alone: they are too small for the type of their scales.
  public let vanishedGroups: Int
  /// The same for the layer's outputs on the reference model's own inputs; nil when nothing was measured or the error is zero.
  public internal(set) var outputSQNR: Double?
}

/// Compares every quantized layer of a model with the reference's: its weights, and its outputs on the inputs that the reference sees.
public final class LayerErrorMeter {
  private let model: ModelGraph
  private let weights: [String: (weight: ParameterID, bias: ParameterID?)]
  private let naming: (String) -> String
  public private(set) var layers: [String: LayerError] = [:]
  private var signal: [String: Double] = [:]
  private var noise: [String: Double] = [:]

  /// - Parameters:
  ///   - rescaled: modules that are left out, for their weights or inputs are not the reference's feature by feature.
  ///   - naming: what the model calls a module or a parameter of the reference.
  public init(model: ModelGraph, leavingOut rescaled: Set<String> = [], naming: @escaping (String) -> String = { $0 }) {
    (self.model, self.naming) = (model, naming)
    let rescaled = Set(rescaled.map(naming))
    var weights: [String: (weight: ParameterID, bias: ParameterID?)] = [:]
    for block in model.blocks {
      for (node, weight) in model.linears(of: block) {
        if case .quantized = model[weight].weightStorage, !rescaled.contains(node.scope) {
          weights[node.scope] = (weight, node.parameters.dropFirst().first)
        }
      }
    }
    self.weights = weights
  }

  /// The layers in the order of the model.
  public var ordered: [LayerError] {
    model.blocks.flatMap { model.linears(of: $0) }.compactMap { node, _ in layers[node.scope] }
  }

  /// Measures the weights of every quantized layer, one at a time. Of several processes each measures some, and all know of all.
  public func measureWeights(against reference: ModelGraph, pool: ThreadPool, in group: ProcessGroup = .alone) throws {
    var names: [String: ParameterID] = [:]
    for id in reference.parameterIDs { names[naming(reference[id].name)] = id }
    let scopes = weights.keys.sorted()
    var figures = [WeightFigures?](repeating: nil, count: scopes.count)
    for (index, scope) in scopes.enumerated() where group.owns(index) {
      guard let (id, _) = weights[scope], let original = names[model[id].name], case .quantized(let tensor) = try model[id].load(),
        case .dense(let dense) = try reference[original].load()
      else { continue }
      let (signal, noise) = Self.squaredError(of: tensor, against: dense, pool: pool)
      figures[index] = WeightFigures(
        scheme: tensor.scheme, signal: signal.bitPattern, noise: noise.bitPattern,
        vanishedGroups: Self.vanishedGroups(of: tensor, against: dense, pool: pool))
      model[id].releasePages()
      reference[original].releasePages()
    }
    let all = try (0..<group.count).map { try group.broadcast(value: figures, from: $0) }
    for (index, scope) in scopes.enumerated() {
      guard let found = all[index % group.count][index] else { continue }
      layers[scope] = LayerError(
        name: scope, scheme: found.scheme,
        weightSQNR: decibels(Double(bitPattern: found.signal), Double(bitPattern: found.noise)),
        vanishedGroups: found.vanishedGroups, outputSQNR: nil)
    }
  }

  /// What one process tells the others of a layer; sums by their bits.
  private struct WeightFigures: Codable {
    let scheme: QuantizationScheme
    let signal, noise: UInt64
    let vanishedGroups: Int
  }

  /// Called for a linear layer of the reference: runs the quantized one on the same input.
  func observe(_ run: LinearRun, interpreter: Interpreter) throws {
    let (scope, output) = (naming(run.node.scope), run.output)
    guard let (weight, bias) = weights[scope], output.rows > 0 else { return }
    let result = try interpreter.linear(run.input, weight: weight, bias: bias, of: model)
    signal[scope, default: 0] += dso_sum_squares(output.pointer, Int64(output.rows * output.columns))
    noise[scope, default: 0] += dso_sum_squared_differences(
      output.pointer, result.pointer, Int64(output.rows * output.columns))
    layers[scope]?.outputSQNR = decibels(signal[scope] ?? 0, noise[scope] ?? 0)
  }

  /// Σw² and Σ(w−ŵ)² over all weights.
  package static func squaredError(of tensor: QuantizedTensor, against dense: Tensor, pool: ThreadPool) -> (Double, Double) {
    guard let storage = dense.dataType.kernelStorage else {
      // No kernel reads float64: rounded once.
      return dense.asFloat32().map { squaredError(of: tensor, against: $0, pool: pool) } ?? (0, 0)
    }
    let (rows, columns) = (tensor.outputs, tensor.inputs)
    var sums = [(signal: Double, noise: Double)](repeating: (0, 0), count: rows)
    sums.withUnsafeMutableBufferPointer { sums in
      nonisolated(unsafe) let sums = sums
      tensor.withKernelView { view in
        dense.withUnsafeBytes { bytes in
          var original = dso_weights()
          (original.storage, original.data, original.row_bytes) = (storage, bytes.baseAddress, Int64(bytes.count / max(1, rows)))
          (original.n, original.k) = (Int64(rows), Int64(columns))
          pool.ranges(of: rows, grain: max(1, (1 << 18) / max(1, columns))) { [original] range in
            var (original, view) = (original, view)
            for row in range {
              var (signal, noise) = (0.0, 0.0)
              dso_weight_error(&original, &view, Int64(row), &signal, &noise)
              sums[row] = (signal, noise)
            }
          }
        }
      }
    }
    return sums.reduce((0, 0)) { ($0.0 + $1.signal, $0.1 + $1.noise) }
  }

  /// How many groups hold weights other than zero in `dense` and zeros alone in `tensor`.
  package static func vanishedGroups(of tensor: QuantizedTensor, against dense: Tensor, pool: ThreadPool) -> Int {
    let (rows, columns, size) = (tensor.outputs, tensor.inputs, tensor.groupSize)
    guard dense.dataType.isFloatingPoint, dense.shape == tensor.shape else { return 0 }
    var counts = [Int](repeating: 0, count: rows)
    counts.withUnsafeMutableBufferPointer { counts in
      tensor.withKernelView { view in
        dense.withUnsafeBytes { bytes in
          // Every task writes the row it was given, and only that.
          nonisolated(unsafe) let (counts, view, bytes) = (counts, view, bytes)
          let rowBytes = bytes.count / max(1, rows)
          pool.run(rows, scratchBytes: columns * 4) { row, scratch in
            let values = scratch.bindMemory(to: Float.self, capacity: columns)
            var view = view
            dso_dequantize(&view, Int64(row), Int64(row) + 1, values, Int64(columns))
            let zeros = stride(from: 0, to: columns, by: size).filter { isZero(values + $0, min(size, columns - $0)) }
            guard !zeros.isEmpty else { return }
            convertToFloat32(
              UnsafeRawBufferPointer(rebasing: bytes[row * rowBytes..<(row + 1) * rowBytes]), dense.dataType, into: values, count: columns)
            counts[row] = zeros.count { !isZero(values + $0, min(size, columns - $0)) }
          }
        }
      }
    }
    return counts.reduce(0, +)
  }

  private static func isZero(_ values: UnsafePointer<Float>, _ count: Int) -> Bool {
    var (low, high, odd) = (Float(0), Float(0), Int64(0))
    dso_min_max(values, Int64(count), &low, &high, &odd)
    return low == 0 && high == 0 && odd == 0
  }

  private func decibels(_ signal: Double, _ noise: Double) -> Double? {
    noise > 0 && signal > 0 ? 10 * log10(signal / noise) : nil
  }
}
