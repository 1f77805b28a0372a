import Diagnostics
import Execution
import Tensors

/// Quantizes the rows of a matrix independently of each other, in parallel, on the grid that a rule gives.
struct RowQuantizer {
  let scheme: QuantizationScheme
  let rule: ScaleRule
  /// What scales are stored as; nil for the weight's own type (float32 for float64).
  var scaleType: DataType?

  /// - Returns: the quantized matrix, and how many weights were clipped.
  func quantize(
    _ weight: Tensor, named name: String, pool: ThreadPool
  ) throws(CompressionError) -> (tensor: QuantizedTensor, clipped: Int) {
    let rows = WeightRows.tensor(weight)
    return try GridTable(rule: rule, weight: rows, named: name, scheme: scheme, scaleType: scaleType, pool: pool).quantize(
      rows, named: name, pool: pool)
  }
}
