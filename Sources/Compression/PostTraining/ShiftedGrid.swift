import CKernels
import Diagnostics
import Execution
import Tensors

/// A weight whose groups have minima, scales of scales or levels, as what rounds onto a ``GridTable`` sees it: weights less the middle of their
/// group's range, and a symmetric grid of the scales that came out of a search.
///
/// Rounding with feedback makes the differences between weights and their codes' values small, and those stay the same when both are moved.
struct ShiftedGrid {
  /// The grid, symmetric, of scales as they are in the end.
  let table: GridTable
  /// The weights, moved.
  let weight: WeightRows
  /// Scales and minima; its codes are those that the search found.
  private let start: QuantizedTensor

  /// - Parameters:
  ///   - start: what the search found for `weight`.
  init(_ start: QuantizedTensor, _ weight: WeightRows, pool: ThreadPool) {
    self.start = start
    let scales = start.scales.float32Values() ?? []
    let (rows, columns, groups) = (weight.rows, weight.columns, start.groups)
    // A scale may be 0. Kernels take that for so large a step that every weight is 0, which is no level of some tables: so small a one says the
    // same of them.
    let levels = start.scheme.levels.values
    let isWithoutZero = levels.map { !$0.contains(0) } ?? false
    let steps = isWithoutZero ? scales.map { $0 == 0 ? 0x1p-100 : $0 } : scales
    table = GridTable(
      scheme: QuantizationScheme(bits: start.scheme.bits, granularity: start.scheme.granularity, levels: start.scheme.levels), rows: rows,
      columns: columns, scaleType: .float32, scales: steps)
    guard let minima = start.minima?.float32Values() else {
      self.weight = weight
      return
    }
    let middle = Float(1 << (start.scheme.bits - 1))
    let middles = zip(minima, scales).map { $0 + middle * $1 }
    let moved = Matrix(rows: rows, columns: columns)
    let size = Int64(start.groupSize)
    pool.run(rows, scratchBytes: 0) { row, _ in
      weight.read(row: row, into: moved.row(row))
      middles.withUnsafeBufferPointer { middles in
        guard let values = middles.baseAddress else { return }
        dso_subtract_group_values(moved.row(row), values + row * groups, Int64(columns), size)
      }
    }
    self.weight = .matrix(moved)
  }

  /// The weight with other codes, one to a byte, stored plus 2^(bits−1), or as ranks of levels.
  func assemble(codes: UnsafePointer<UInt8>, named name: String, pool: ThreadPool) throws(CompressionError) -> QuantizedTensor {
    guard let tensor = start.withCodes(table.packed(codes, pool: pool)) else {
      throw CompressionError(name, "cannot be held as \(start.scheme.name)", kind: .usage)
    }
    return tensor
  }
}
