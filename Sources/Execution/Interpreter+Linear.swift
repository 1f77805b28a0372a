import CKernels
import ModelGraph
import Tensors

extension Interpreter {
  /// Up to this many rows a product streams the weights once instead of packing them.
  static let fewRows = 8

  /// `x · Wᵀ + b` for any storage of W. With int8 input quantization the rows of x are quantized on the fly, by the scale
  /// that the weight brings along or by one per row.
  func linear(_ x: Matrix, _ weight: LoadedParameter, bias: [Float]?, quantization: ActivationQuantization) -> Matrix {
    let output = Matrix(uninitializedRows: x.rows, columns: Int(weight.view.n))
    linear(x, rows: 0..<x.rows, weight, bias: bias, quantization: quantization, into: output)
    return output
  }

  /// `x · Wᵀ` for a weight of no graph: to find out how fast products are.
  package func product(_ x: Matrix, _ weight: Weight) throws -> Matrix {
    linear(x, try LoadedParameter(weight, named: "weight"), bias: nil, quantization: .none)
  }

  /// The same for some rows of x, into the first rows of `output`.
  /// - Parameter columns: which outputs are computed; nil for all. The others are left as they are.
  func linear(
    _ x: Matrix, rows: Range<Int>, _ weight: LoadedParameter, bias: [Float]?, quantization: ActivationQuantization,
    columns: Range<Int>? = nil, into output: Matrix
  ) {
    let columns = columns ?? 0..<output.columns
    let scale = quantization == .int8Static ? weight.inputScale : nil
    if quantization == .float8 || quantization != .none && (weight.view.storage != DSO_STORAGE_QUANTIZED || weight.view.levels != nil) {
      // A float weight in place of a quantized one, or one whose codes are no integers: its inputs keep the values that their codes give them.
      let rounded = fakeQuantized(rows == 0..<x.rows ? x : x.copy(rows: rows), as: quantization, for: weight, scale: scale)
      return linear(rounded, rows: 0..<rounded.rows, weight, bias: bias, quantization: .none, columns: columns, into: output)
    }
    if products == .float16, quantization == .none {
      let (rounded, half) = (roundedToHalf(x, rows: rows), HalfWeight(weight, pool: pool))
      return withExtendedLifetime(half) {
        multiply(rounded, rows: 0..<rounded.rows, half.view, .float32(streaming: false), bias: bias, columns: columns, into: output)
      }
    }
    let operands = operands(x, rows, weight, quantization, scale: scale)
    var view = weight.view
    if case .int16 = operands { view.minima = nil }
    multiply(x, rows: rows, view, operands, bias: bias, columns: columns, into: output)
    if case .int16 = operands, let minima = weight.centeredMinima { addMinima(minima, of: x, rows: rows, to: output, columns: columns) }
  }

  /// The left operands of a product, and how it is computed.
  private enum Operands {
    /// - Parameter streaming: whether the weights are streamed once instead of packed.
    case float32(streaming: Bool)
    case bfloat16
    case int8(QuantizedRows)
    case int16(WideRows, streaming: Bool)

    var isStreaming: Bool {
      switch self {
      case .float32(let streaming), .int16(_, let streaming): streaming
      default: false
      }
    }
  }

  private func operands(
    _ x: Matrix, _ rows: Range<Int>, _ weight: LoadedParameter, _ quantization: ActivationQuantization, scale: Float?
  ) -> Operands {
    let isFew = rows.count <= Self.fewRows
    let isFast = arithmetic == .sixteenBit && products == .float32
    if quantization != .none {
      let quantized = quantizeRows(x, rows, groupSize: Int(weight.view.group_size), scale: scale)
      return isFast && isFew ? .int16(WideRows(quantized, columns: x.columns), streaming: true) : .int8(quantized)
    }
    if products == .bfloat16 { return .bfloat16 }
    guard isFast else { return .float32(streaming: isFew && products == .float32) }
    if weight.view.storage == DSO_STORAGE_QUANTIZED, weight.view.levels == nil {
      return .int16(widen(x, rows), streaming: isFew)
    }
    return isFew ? .float32(streaming: true) : .bfloat16
  }

  private func multiply(
    _ x: Matrix, rows: Range<Int>, _ weight: dso_weights, _ operands: Operands, bias: [Float]?, columns: Range<Int>, into output: Matrix
  ) {
    var shape = weight
    let scratch = Int(dso_matmul_scratch_bytes(&shape))
    let (rowPiece, columnPiece) = pieces(rows: rows.count, columns: columns.count, few: operands.isStreaming)
    let rowPieces = (rows.count + rowPiece - 1) / rowPiece
    let columnPieces = (columns.count + columnPiece - 1) / columnPiece
    bias.withOptionalPointer { bias in
      pool.run(rowPieces * columnPieces, scratchBytes: scratch) { task, scratch in
        var view = weight
        let first = task / columnPieces * rowPiece
        let count = Int64(min(rowPiece, rows.count - first))
        let begin = Int64(columns.lowerBound + task % columnPieces * columnPiece)
        let end = min(begin + Int64(columnPiece), Int64(columns.upperBound))
        let input = x.row(rows.lowerBound + first)
        let target = output.row(first)
        let (width, outputs) = (Int64(x.columns), Int64(output.columns))
        switch operands {
        case .float32(streaming: true): dso_matvec_f32(input, width, count, &view, begin, end, bias, target, outputs, scratch)
        case .float32: dso_matmul_f32(input, width, count, &view, begin, end, bias, target, outputs, scratch)
        case .bfloat16: dso_matmul_nt_bf16(input, width, count, &view, begin, end, bias, target, outputs, scratch)
        case .int8(let rows):
          dso_matmul_s8(
            rows.codes + first * x.columns, width, rows.scales + first, rows.sums + first * rows.groups, count, &view, begin, end, bias,
            target, outputs, scratch)
        case .int16(let rows, let streaming):
          let (codes, scales) = (rows.codes + first * x.columns, rows.scales + first)
          if streaming {
            dso_matvec_s16(codes, width, scales, count, &view, begin, end, bias, target, outputs, scratch)
          } else {
            dso_matmul_s16(codes, width, scales, count, &view, begin, end, bias, target, outputs, scratch)
          }
        }
      }
    }
  }

  /// How a product is cut: columns first, since each thread then packs its own weights once; rows only when columns are few.
  private func pieces(rows: Int, columns: Int, few: Bool) -> (rows: Int, columns: Int) {
    let tile = max(1, Int(dso_matmul_tile_n()))
    let tiles = (columns + tile - 1) / tile
    let wanted = pool.threads == 1 ? 1 : pool.threads * (few ? 2 : 4)
    let tilesPerPiece = max(1, tiles / wanted)
    guard !few, tiles < wanted, pool.threads > 1 else { return (max(1, rows), tilesPerPiece * tile) }
    return (max(64, (rows + wanted - 1) / wanted), columns)
  }

  /// The values of a layer's inputs once they were quantized.
  /// - Parameter scale: of int8 codes; nil for one per row.
  func fakeQuantized(_ x: Matrix, as quantization: ActivationQuantization, for weight: LoadedParameter, scale: Float? = nil) -> Matrix {
    guard quantization == .float8 else { return fakeQuantized(x, scale: scale) }
    var group = x.columns
    if case .quantized(let tensor) = weight.weight, case .block(let side) = tensor.scheme.granularity { group = side }
    return float8Quantized(x, groupSize: group)
  }

  /// The values that eight-bit floats stand for, with a scale for so many of a row.
  package func float8Quantized(_ x: Matrix, groupSize: Int? = nil) -> Matrix {
    let result = Matrix(uninitializedRows: x.rows, columns: x.columns)
    pool.ranges(of: x.rows, grain: 8) { range in
      let width = Int64(x.columns)
      dso_fake_quantize_rows_e4m3(
        x.row(range.lowerBound), width, Int64(range.count), width, Int64(max(1, groupSize ?? x.columns)), result.row(range.lowerBound),
        width)
    }
    return result
  }

  /// The values that int8 codes stand for: with this scale, or with one per row.
  package func fakeQuantized(_ x: Matrix, scale: Float? = nil) -> Matrix {
    let result = Matrix(uninitializedRows: x.rows, columns: x.columns)
    pool.ranges(of: x.rows, grain: 8) { range in
      let (input, output) = (x.row(range.lowerBound), result.row(range.lowerBound))
      let (rows, width) = (Int64(range.count), Int64(x.columns))
      if let scale {
        dso_fake_quantize_rows_s8_fixed(input, width, rows, width, scale, output, width)
      } else {
        dso_fake_quantize_rows_s8(input, width, rows, width, output, width)
      }
    }
    return result
  }

  private func quantizeRows(_ x: Matrix, _ rows: Range<Int>, groupSize: Int, scale: Float?) -> QuantizedRows {
    let result = QuantizedRows(rows: rows.count, columns: x.columns, groupSize: groupSize)
    pool.ranges(of: rows.count, grain: 8) { range in
      let input = x.row(rows.lowerBound + range.lowerBound)
      let (codes, scales) = (result.codes + range.lowerBound * x.columns, result.scales + range.lowerBound)
      let sums = result.sums + range.lowerBound * result.groups
      let (count, width, group) = (Int64(range.count), Int64(x.columns), Int64(groupSize))
      if let scale {
        scales.update(repeating: scale, count: range.count)
        _ = dso_quantize_rows_s8_fixed(input, width, count, width, scale, codes, width, group, sums)
      } else {
        dso_quantize_rows_s8(input, width, count, width, codes, width, scales, group, sums)
      }
    }
    return result
  }
}

extension Interpreter {
  private func widen(_ x: Matrix, _ rows: Range<Int>) -> WideRows {
    let result = WideRows(rows: rows.count, columns: x.columns)
    pool.ranges(of: rows.count, grain: 8) { range in
      dso_quantize_rows_s16(
        x.row(rows.lowerBound + range.lowerBound), Int64(x.columns), Int64(range.count), Int64(x.columns),
        result.codes + range.lowerBound * x.columns, Int64(x.columns), result.scales + range.lowerBound)
    }
    return result
  }
}

/// Activations as 16-bit integers with a scale per row.
private final class WideRows: @unchecked Sendable {
  let codes: UnsafeMutablePointer<Int16>
  let scales: UnsafeMutablePointer<Float>

  init(rows: Int, columns: Int) {
    codes = .allocate(capacity: rows * columns + 64)
    scales = .allocate(capacity: rows)
    (codes + rows * columns).initialize(repeating: 0, count: 64)
  }

  /// The same codes, which are narrower.
  convenience init(_ rows: QuantizedRows, columns: Int) {
    self.init(rows: rows.rows, columns: columns)
    for index in 0..<rows.rows * columns { codes[index] = Int16(rows.codes[index]) }
    scales.update(from: rows.scales, count: rows.rows)
  }

  deinit {
    codes.deallocate()
    scales.deallocate()
  }
}

/// Activations as int8 with a scale per row and, per group of columns, the sum of the codes.
private final class QuantizedRows: @unchecked Sendable {
  let codes: UnsafeMutablePointer<Int8>
  let scales: UnsafeMutablePointer<Float>
  let sums: UnsafeMutablePointer<Int32>
  let rows, groups: Int

  init(rows: Int, columns: Int, groupSize: Int) {
    self.rows = rows
    groups = (columns + groupSize - 1) / max(1, groupSize)
    codes = .allocate(capacity: rows * columns + 64)
    scales = .allocate(capacity: rows)
    sums = .allocate(capacity: rows * groups)
    (codes + rows * columns).initialize(repeating: 0, count: 64)
  }

  deinit {
    codes.deallocate()
    scales.deallocate()
    sums.deallocate()
  }
}

extension Optional<[Float]> {
  func withOptionalPointer(_ body: (UnsafePointer<Float>?) -> Void) {
    guard let self else { return body(nil) }
    self.withUnsafeBufferPointer { body($0.baseAddress) }
  }
}

extension Interpreter {
  /// Runs one linear layer of a graph by itself: its weight, its bias, and the input quantization it asks for. The pages of the weight are let
  /// go behind it: who compares a model layer by layer would otherwise hold all of it in the end.
  public func linear(_ x: Matrix, weight: ParameterID, bias: ParameterID?, of graph: ModelGraph) throws -> Matrix {
    linear(
      x, try LoadedParameter(graph[weight], isPassing: true), bias: try bias.map { try LoadedParameter(graph[$0]).vector },
      quantization: graph.inputQuantization[weight] ?? .none)
  }
}
