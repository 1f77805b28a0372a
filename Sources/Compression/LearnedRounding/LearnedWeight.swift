import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// A weight in training: the offsets before rounding, the ranges of its groups, and the values that the block computes with meanwhile.
final class LearnedWeight {
  let id: ParameterID
  /// What runs read: the weight as it is represented now, `[outputs, inputs]`.
  let values: Matrix
  private let name: String
  private var table: GridTable
  /// What is rounded: the original weight, or what gives the start's codes.
  private let weights: Matrix
  private let offsets: Matrix
  /// `[rows, groups]` all.
  private let factors: Matrix
  private let shifts: Matrix
  private let startScales: Matrix
  private let startZeros: Matrix
  private let scales: Matrix
  private let zeros: Matrix
  private var codes: [UInt8]
  private(set) var clipped = 0

  /// - Parameters:
  ///   - weight: the original weight.
  ///   - start: where training starts: evenly spaced codes.
  ///   - margin: how far inside its code's cell every weight starts, in steps of the grid, for starts that did not round to nearest; nil to
  ///     leave the weight as it is.
  init(
    _ id: ParameterID, named name: String, weight: WeightRows, start: QuantizedTensor, margin: Float?, pool: ThreadPool
  ) throws(CompressionError) {
    try start.scheme.checkEven(named: name)
    let (rows, columns) = (weight.rows, weight.columns)
    guard start.outputs == rows, start.inputs == columns, let scales = start.scales.float32Values() else {
      throw CompressionError(name, "does not fit what training starts from", kind: .badData)
    }
    self.id = id
    self.name = name
    table = try GridTable(
      rule: .signedAbsmax, weight: weight, named: name, scheme: start.scheme, scaleType: start.scales.dataType, pool: pool)
    table.scales = scales
    values = Matrix(rows: rows, columns: columns)
    weights = Matrix(rows: rows, columns: columns)
    offsets = Matrix(rows: rows, columns: columns)
    let groups = table.groups
    func parts(_ value: Float) -> Matrix {
      let matrix = Matrix(rows: rows, columns: groups)
      matrix.pointer.update(repeating: value, count: rows * groups)
      return matrix
    }
    (factors, shifts, startScales, startZeros) = (parts(1), parts(0), parts(1), parts(0))
    (self.scales, zeros) = (parts(1), parts(0))
    codes = Array(repeating: 0, count: rows * columns)
    for index in scales.indices { startScales.pointer[index] = scales[index] }
    self.scales.pointer.update(from: startScales.pointer, count: rows * groups)
    if let points = start.zeroPoints {
      points.withUnsafeBytes { bytes in
        for (index, byte) in bytes.prefix(rows * groups).enumerated() { startZeros.pointer[index] = Float(Int8(bitPattern: byte)) }
      }
    }
    unpack(start)
    codes.withUnsafeBufferPointer { codes in
      nonisolated(unsafe) let codes = codes
      pool.ranges(of: rows, grain: 16) { range in
        for row in range {
          weight.read(row: row, into: weights.row(row))
          guard let margin, let codes = codes.baseAddress else { continue }
          var view = self.view(row)
          dso_learned_anchor(&view, codes + row * columns, margin, weights.row(row))
        }
      }
    }
    round(pool: pool)
    keep(pool: pool)
  }

  private func unpack(_ start: QuantizedTensor) {
    let (rows, columns, words, bits) = (weights.rows, weights.columns, start.wordsPerRow, Int32(start.scheme.bits))
    codes.withUnsafeMutableBufferPointer { codes in
      start.codes.withUnsafeBytes { bytes in
        guard let source = bytes.bindMemory(to: UInt32.self).baseAddress, let target = codes.baseAddress else { return }
        for row in 0..<rows { dso_unpack_codes(source + row * words, Int64(columns), bits, target + row * columns) }
      }
    }
  }

  private func view(_ row: Int) -> dso_learned_row {
    dso_learned_row(
      count: Int64(weights.columns), group_size: Int64(table.groupSize), bits: Int32(table.scheme.bits),
      type: table.scaleType.kernelScaleType, weights: weights.row(row), offsets: offsets.row(row), factors: factors.row(row),
      shifts: table.scheme.symmetric ? nil : shifts.row(row), start_scales: startScales.row(row), start_zeros: startZeros.row(row),
      scales: scales.row(row), zeros: zeros.row(row))
  }

  /// Puts the represented weight into `values`.
  private func round(pool: ThreadPool) {
    pool.ranges(of: values.rows, grain: 16) { range in
      for row in range {
        var view = self.view(row)
        _ = dso_learned_round(&view, values.row(row), nil)
      }
    }
  }

  /// One step of descent against the gradient of `values`, and what comes of it.
  func step(against gradient: Matrix, rates: dso_learned_rates, pool: ThreadPool) {
    var rates = rates
    rates.shift *= Float(1 << (table.scheme.bits - 1))
    pool.ranges(of: values.rows, grain: 16) { range in
      for row in range {
        var view = self.view(row)
        dso_learned_update(&view, gradient.row(row), rates)
        _ = dso_learned_round(&view, values.row(row), nil)
      }
    }
  }

  /// Remembers the weight as it is now.
  func keep(pool: ThreadPool) {
    let (rows, columns, groups) = (values.rows, values.columns, table.groups)
    var clippedRows = [Int64](repeating: 0, count: rows)
    codes.withUnsafeMutableBufferPointer { codes in
      clippedRows.withUnsafeMutableBufferPointer { clipped in
        guard let target = codes.baseAddress else { return }
        nonisolated(unsafe) let (codes, clipped) = (target, clipped)
        pool.ranges(of: rows, grain: 16) { range in
          for row in range {
            var view = self.view(row)
            clipped[row] = dso_learned_round(&view, nil, codes + row * columns)
          }
        }
      }
    }
    clipped = Int(clippedRows.reduce(0, +))
    for index in 0..<rows * groups {
      table.scales[index] = scales.pointer[index]
      table.zeroPoints[index] = Int8(clamping: Int(zeros.pointer[index]))
    }
  }

  /// The weight as it was last remembered.
  func tensor(pool: ThreadPool) throws(CompressionError) -> QuantizedTensor {
    let codes = codes
    let packed = codes.withUnsafeBufferPointer { buffer -> Result<QuantizedTensor, CompressionError>? in
      guard let address = buffer.baseAddress else { return nil }
      do throws(CompressionError) { return .success(try table.assemble(codes: address, named: name, pool: pool)) } catch {
        return .failure(error)
      }
    }
    guard let packed else { throw CompressionError(name, "has no weights", kind: .badData) }
    return try packed.get()
  }
}
