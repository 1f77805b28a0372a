import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors
import Training

/// Weights that are rounded on the way into every product while they are trained, with the step sizes they are rounded by (LSQ, Esser et al.
/// 2020), and the gains of norms beside them.
///
/// Rounding passes gradients straight through, to weights inside the range of the codes. Rates are in steps of a matrix's grids on average: a rate
/// of 0.01 moves a weight by about a hundredth of a step.
public final class StepSizeParameters: QuantizedParameters {
  public let variables: [Variable]
  public let values: [ParameterID: Matrix]
  public let wanted: Set<ParameterID>
  private let rows: [Quantized]
  private let gains: [(id: ParameterID, name: String)]

  /// One quantized weight in training.
  fileprivate struct Quantized {
    let id: ParameterID
    let name: String
    let start: QuantizedTensor
    let weights: Matrix
    let scales: Matrix
    let zeros: Matrix?
    let stored: Matrix
    let values: Matrix

    func view(_ row: Int) -> dso_step_row {
      dso_step_row(
        count: Int64(weights.columns), group_size: Int64(start.groupSize), bits: Int32(start.scheme.bits),
        type: start.scales.dataType.kernelScaleType, weights: weights.row(row), scales: scales.row(row), zeros: zeros?.row(row),
        stored: stored.row(row))
    }
  }

  /// - Parameters:
  ///   - graph: the model in which training starts: some of its weights quantized, to evenly spaced codes.
  ///   - source: the same model before.
  ///   - scaleRate: what the learning rate of step sizes is as a share of that of weights.
  ///   - gainRate: the same for gains of norms; 0 to leave them.
  ///   - margin: how far inside its code's cell every weight starts, in steps: codes found by error feedback are not the nearest.
  public init(
    of graph: ModelGraph, from source: ModelGraph, scaleRate: Float, gainRate: Float, margin: Float = 0.01, pool: ThreadPool
  ) throws {
    var (rows, variables, values, gains) = (
      [Quantized](), [Variable](), [ParameterID: Matrix](), [(id: ParameterID, name: String)]()
    )
    for block in graph.blocks {
      for (_, id) in graph.linears(of: block) {
        guard case .quantized(let tensor)? = try? graph[id].load() else { continue }
        try Interruption.check()
        let weight = try Self.quantized(id, tensor, of: source, margin: margin, pool: pool)
        rows.append(weight)
        let step = Self.meanStep(tensor)
        variables.append(Variable(graph[id].name, weight.weights, decays: false, rate: step))
        variables.append(Variable(graph[id].name + ".scales", weight.scales, decays: false, rate: step * scaleRate))
        values[id] = weight.values
      }
      guard gainRate > 0 else { continue }
      for id in graph.parameters(of: block) where graph[id].role.isNormGain {
        let gain = try Matrix(source[id])
        gains.append((id, graph[id].name))
        variables.append(Variable(graph[id].name, gain, decays: false, rate: gainRate))
        values[id] = gain
      }
    }
    (self.rows, self.variables, self.values, self.gains) = (rows, variables, values, gains)
    wanted = Set(values.keys)
  }

  private static func quantized(
    _ id: ParameterID, _ start: QuantizedTensor, of source: ModelGraph, margin: Float, pool: ThreadPool
  ) throws -> Quantized {
    let name = source[id].name
    try start.scheme.checkEven(named: name)
    let weights = try Matrix(source[id])
    let (count, groups) = (weights.rows, start.groups)
    guard start.outputs == count, start.inputs == weights.columns, let found = start.scales.float32Values() else {
      throw CompressionError(name, "does not fit what training starts from", kind: .badData)
    }
    let scales = Matrix(rows: count, columns: groups), stored = Matrix(rows: count, columns: groups)
    for (index, scale) in found.enumerated() {
      // A group of zeros: any step represents it.
      scales.pointer[index] = scale == 0 ? 1 : scale
      stored.pointer[index] = scales.pointer[index]
    }
    let zeros = start.zeroPoints.map { points in
      let matrix = Matrix(rows: count, columns: groups)
      points.withUnsafeBytes { bytes in
        for (index, byte) in bytes.prefix(count * groups).enumerated() { matrix.pointer[index] = Float(Int8(bitPattern: byte)) }
      }
      return matrix
    }
    let result = Quantized(
      id: id, name: name, start: start, weights: weights, scales: scales, zeros: zeros, stored: stored,
      values: Matrix(rows: count, columns: weights.columns))
    result.anchor(margin: margin, pool: pool)
    return result
  }

  /// Of the groups that hold anything but zeros.
  static func meanStep(_ tensor: QuantizedTensor) -> Float {
    let steps = (tensor.scales.float32Values() ?? []).filter { $0 != 0 }
    return steps.isEmpty ? 1 : Float(steps.reduce(0.0) { $0 + Double(abs($1)) } / Double(steps.count))
  }

  public func update(pool: ThreadPool) {
    for weight in rows {
      pool.ranges(of: weight.values.rows, grain: 16) { range in
        for row in range {
          var view = weight.view(row)
          _ = dso_step_round(&view, weight.values.row(row), nil)
        }
      }
    }
  }

  public func gradients(from parameters: [ParameterID: Matrix], pool: ThreadPool) throws -> [Matrix?] {
    var found: [String: Matrix] = [:]
    for weight in rows {
      guard let gradient = parameters[weight.id] else { continue }
      let slopes = Matrix(rows: weight.scales.rows, columns: weight.scales.columns)
      pool.ranges(of: gradient.rows, grain: 16) { range in
        for row in range {
          var view = weight.view(row)
          dso_step_backward(&view, gradient.row(row), slopes.row(row))
        }
      }
      found[weight.name] = gradient
      found[weight.name + ".scales"] = slopes
    }
    for (id, name) in gains { found[name] = parameters[id] }
    return variables.map { found[$0.name] }
  }

  public func tensors(pool: ThreadPool) throws(CompressionError) -> [ParameterID: (tensor: QuantizedTensor, clipped: Int)] {
    var result: [ParameterID: (tensor: QuantizedTensor, clipped: Int)] = [:]
    for weight in rows { result[weight.id] = try weight.tensor(pool: pool) }
    return result
  }

  public var gainIDs: [ParameterID] { gains.map(\.id) }
}

extension StepSizeParameters.Quantized {
  /// Moves weights to where rounding gives the start's codes.
  fileprivate func anchor(margin: Float, pool: ThreadPool) {
    let (bits, words, columns) = (Int32(start.scheme.bits), start.wordsPerRow, weights.columns)
    start.codes.withUnsafeBytes { bytes in
      guard let source = bytes.bindMemory(to: UInt32.self).baseAddress else { return }
      nonisolated(unsafe) let codes = source
      pool.run(weights.rows, scratchBytes: columns) { row, scratch in
        let unpacked = scratch.assumingMemoryBound(to: UInt8.self)
        dso_unpack_codes(codes + row * words, Int64(columns), bits, unpacked)
        var view = dso_learned_row()
        (view.count, view.group_size, view.bits) = (Int64(columns), Int64(start.groupSize), bits)
        view.weights = UnsafePointer(weights.row(row))
        view.start_scales = UnsafePointer(scales.row(row))
        if let zeros {
          view.start_zeros = UnsafePointer(zeros.row(row))
          view.shifts = zeros.row(row)
        }
        dso_learned_anchor(&view, unpacked, margin, weights.row(row))
      }
    }
  }

  fileprivate func tensor(pool: ThreadPool) throws(CompressionError) -> (tensor: QuantizedTensor, clipped: Int) {
    let (rows, columns) = (weights.rows, weights.columns)
    var codes = [UInt8](repeating: 0, count: rows * columns)
    var clipped = [Int64](repeating: 0, count: rows)
    codes.withUnsafeMutableBufferPointer { codes in
      clipped.withUnsafeMutableBufferPointer { clipped in
        guard let target = codes.baseAddress else { return }
        nonisolated(unsafe) let (codes, clipped) = (target, clipped)
        pool.ranges(of: rows, grain: 16) { range in
          for row in range {
            var view = self.view(row)
            clipped[row] = dso_step_round(&view, values.row(row), codes + row * columns)
          }
        }
      }
    }
    var table = GridTable(
      scheme: start.scheme, rows: rows, columns: columns, scaleType: start.scales.dataType,
      scales: Array(UnsafeBufferPointer(start: stored.pointer, count: rows * stored.columns)))
    if let zeros { for index in table.zeroPoints.indices { table.zeroPoints[index] = Int8(clamping: Int(zeros.pointer[index])) } }
    let packed = codes.withUnsafeBufferPointer { buffer -> Result<QuantizedTensor, CompressionError> in
      guard let address = buffer.baseAddress else { return .failure(CompressionError(name, "has no weights", kind: .badData)) }
      do throws(CompressionError) { return .success(try table.assemble(codes: address, named: name, pool: pool)) } catch {
        return .failure(error)
      }
    }
    return (try packed.get(), Int(clipped.reduce(0, +)))
  }
}
