import CKernels
import Diagnostics
import Execution
import Tensors

/// Quantizes the rows of a matrix independently of each other, in parallel, on the grid that a rule gives: one pass over the weights.
struct RowQuantizer {
  let scheme: QuantizationScheme
  let rule: ScaleRule
  /// What scales are stored as; nil for the weight's own type (float32 for float64).
  var scaleType: DataType?

  /// - Returns: the quantized matrix, and how many weights were clipped.
  func quantize(
    _ weight: Tensor, named name: String, pool: ThreadPool
  ) throws(CompressionError) -> (tensor: QuantizedTensor, clipped: Int) {
    let own = WeightRows.tensor(weight)
    guard let storage = weight.dataType.kernelStorage else {
      // Of float64, which no kernel reads.
      return try GridTable(rule: rule, weight: own, named: name, scheme: scheme, scaleType: scaleType, pool: pool)
        .quantize(own, named: name, pool: pool)
    }
    try scheme.checkEven(named: name)
    let (rows, columns) = (own.rows, own.columns)
    var table = GridTable(
      scheme: scheme, rows: rows, columns: columns, scaleType: scaleType ?? own.scaleType,
      scales: Array(repeating: 1, count: rows * QuantizedTensor.groupCount(inputs: columns, scheme.granularity)))
    let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: scheme.bits)
    // About a megabyte of weights to a task.
    let band = max(1, (1 << 19) / max(1, columns))
    var counts = [dso_nearest_counts](repeating: dso_nearest_counts(), count: (rows + band - 1) / band)
    var (scales, zeroPoints) = (table.scales, table.zeroPoints)
    let packed = Tensor(dataType: .int32, shape: [rows, words]) { target in
      weight.withUnsafeBytes { source in
        scales.withUnsafeMutableBufferPointer { scales in
          zeroPoints.withUnsafeMutableBufferPointer { zeroPoints in
            counts.withUnsafeMutableBufferPointer { counts in
              guard let from = source.baseAddress, let to = target.bindMemory(to: UInt32.self).baseAddress,
                let scales = scales.baseAddress, let points = zeroPoints.baseAddress
              else { preconditionFailure("\(name) has no values, which its scheme does not allow") }
              // Every task writes the rows it was given, and only those.
              nonisolated(unsafe) let (input, output, steps, points0, found) = (from, to, scales, points, counts)
              let grid = table.kernelGrid(rule), (groups, rowBytes) = (table.groups, source.count / max(1, rows))
              pool.run(counts.count, scratchBytes: Int(dso_nearest_scratch_bytes(Int64(columns)))) { task, scratch in
                var grid = grid
                let row = task * band
                found[task] = dso_round_rows_to_nearest(
                  input + row * rowBytes, Int32(storage.rawValue), Int64(rowBytes), Int64(min(band, rows - row)), Int64(columns), &grid,
                  output + row * words, steps + row * groups, scheme.symmetric ? nil : points0 + row * groups, scratch)
              }
            }
          }
        }
      }
    }
    try GridTable.requireFinite(Int(counts.reduce(0) { $0 + $1.nonfinite }), named: name)
    (table.scales, table.zeroPoints) = (scales, zeroPoints)
    return (try table.assemble(packed: packed, named: name), Int(counts.reduce(0) { $0 + $1.clamped }))
  }
}

extension GridTable {
  fileprivate func kernelGrid(_ rule: ScaleRule) -> dso_nearest_grid {
    dso_nearest_grid(
      bits: Int32(scheme.bits), symmetric: scheme.symmetric ? 1 : 0, rule: rule.kernelRule, type: scaleType.kernelScaleType,
      group_size: Int64(groupSize))
  }
}

extension ScaleRule {
  fileprivate var kernelRule: dso_scale_rule {
    switch self {
    case .signedAbsmax: DSO_RULE_SIGNED_ABSMAX
    case .halfRange: DSO_RULE_HALF_RANGE
    case .restricted: DSO_RULE_RESTRICTED
    }
  }
}
