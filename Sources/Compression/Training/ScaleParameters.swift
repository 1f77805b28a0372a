import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors
import Training

/// The scales of quantized weights whose codes stay as they are, and the gains of norms: the cheap form of quantization-aware training (the
/// second stage of EfficientQAT, Chen et al. 2024; DWQ of mlx-lm). The optimizer's moments are those of the scales alone.
final class ScaleParameters: QuantizedParameters {
  let variables: [Variable]
  let values: [ParameterID: Matrix]
  let wanted: Set<ParameterID>
  let gainIDs: [ParameterID]
  private let weights: [Coded]
  private let places: [(id: ParameterID, isScale: Bool)]

  /// A weight whose codes are fixed.
  private struct Coded {
    let id: ParameterID
    let name: String
    let start: QuantizedTensor
    let scales: Matrix
    let stored: Matrix
    let values: Matrix
  }

  /// - Parameters:
  ///   - graph: the model in which training starts: some of its weights quantized.
  ///   - source: the same model before.
  ///   - gainRate: what the learning rate of gains is as a share of that of scales; 0 to leave them.
  init(of graph: ModelGraph, from source: ModelGraph, gainRate: Float) throws {
    var (weights, variables, values) = ([Coded](), [Variable](), [ParameterID: Matrix]())
    var places: [(id: ParameterID, isScale: Bool)] = []
    for block in graph.blocks {
      for (_, id) in graph.linears(of: block) {
        guard case .quantized(let tensor)? = try? graph[id].load() else { continue }
        try Interruption.check()
        let name = graph[id].name
        try tensor.scheme.checkEven(named: name)
        guard let found = tensor.scales.float32Values() else {
          throw CompressionError(name, "has scales that cannot be trained", kind: .badData)
        }
        let scales = Matrix(rows: tensor.outputs, columns: tensor.groups)
        for (index, scale) in found.enumerated() { scales.pointer[index] = scale }
        let weight = Coded(
          id: id, name: name, start: tensor, scales: scales, stored: Matrix(rows: scales.rows, columns: scales.columns),
          values: Matrix(rows: tensor.outputs, columns: tensor.inputs))
        weights.append(weight)
        variables.append(Variable(name + ".scales", scales, decays: false, rate: StepSizeParameters.meanStep(tensor)))
        places.append((id, true))
        values[id] = weight.values
      }
      guard gainRate > 0 else { continue }
      for id in graph.parameters(of: block) where graph[id].role.isNormGain {
        let gain = try Matrix(source[id])
        variables.append(Variable(graph[id].name, gain, decays: false, rate: gainRate))
        places.append((id, false))
        values[id] = gain
      }
    }
    (self.weights, self.variables, self.values, self.places) = (weights, variables, values, places)
    gainIDs = places.filter { !$0.isScale }.map(\.id)
    wanted = Set(values.keys)
  }

  func update(pool: ThreadPool) {
    for weight in weights {
      let (scales, stored) = (weight.scales, weight.stored)
      dso_store_scales(scales.pointer, Int64(scales.rows * scales.columns), weight.start.scales.dataType.kernelScaleType, stored.pointer)
      weight.start.withKernelView { view in
        pool.ranges(of: weight.values.rows, grain: 16) { rows in
          var view = view
          view.scales = UnsafePointer(stored.pointer)
          dso_dequantize(&view, Int64(rows.lowerBound), Int64(rows.upperBound), weight.values.row(rows.lowerBound), view.k)
        }
      }
    }
  }

  func gradients(from parameters: [ParameterID: Matrix], pool: ThreadPool) -> [Matrix?] {
    var slopes: [ParameterID: Matrix] = [:]
    for weight in weights {
      guard let gradient = parameters[weight.id] else { continue }
      slopes[weight.id] = weight.start.slopes(along: gradient, pool: pool)
    }
    return places.map { place in place.isScale ? slopes[place.id] : parameters[place.id] }
  }

  func tensors(pool: ThreadPool) throws(CompressionError) -> [ParameterID: (tensor: QuantizedTensor, clipped: Int)] {
    var result: [ParameterID: (tensor: QuantizedTensor, clipped: Int)] = [:]
    for weight in weights {
      let start = weight.start
      guard let scales = weight.stored.tensor(start.scales.shape).converted(to: start.scales.dataType),
        let tensor = QuantizedTensor(
          scheme: start.scheme, shape: start.shape, codes: start.codes, scales: scales, zeroPoints: start.zeroPoints,
          inputScale: start.inputScale)
      else { throw CompressionError(weight.name, "cannot be held as \(start.scheme.name)", kind: .usage) }
      result[weight.id] = (tensor, 0)
    }
    return result
  }
}

extension QuantizedTensor {
  /// Gradients of the scales, `[outputs, groups]`, when codes stay.
  fileprivate func slopes(along gradient: Matrix, pool: ThreadPool) -> Matrix {
    let result = Matrix(rows: outputs, columns: groups)
    withKernelView { view in
      let (data, points, words) = (view.data?.assumingMemoryBound(to: UInt32.self), view.zero_points, wordsPerRow)
      guard let data else { return }
      nonisolated(unsafe) let (codes, zeros) = (data, points)
      pool.run(outputs, scratchBytes: inputs) { row, scratch in
        let unpacked = scratch.assumingMemoryBound(to: UInt8.self)
        dso_unpack_codes(codes + row * words, Int64(inputs), Int32(scheme.bits), unpacked)
        dso_code_slopes(
          unpacked, gradient.row(row), Int64(inputs), Int64(groupSize), Int32(scheme.bits), zeros.map { $0 + row * groups },
          result.row(row))
      }
    }
    return result
  }
}
