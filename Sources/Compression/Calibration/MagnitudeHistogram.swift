import CKernels
import Diagnostics
import Execution
import Foundation
import Tensors

/// How often calibration saw which magnitude in the inputs of a layer, in bins of a 128th of an octave.
///
/// Counts are integers and bins are fixed, so that neither threads nor the order of batches change anything.
public struct MagnitudeHistogram: Sendable {
  public private(set) var counts = [UInt64](repeating: 0, count: Int(DSO_MAGNITUDE_BINS))
  /// Values counted.
  public private(set) var total = 0
  /// The largest magnitude.
  public private(set) var absmax: Float = 0

  public init() {}

  /// As another process counted.
  init(counts: [UInt64], total: Int, absmax: Float) { (self.counts, self.total, self.absmax) = (counts, total, absmax) }

  /// Counts the elements of x. Throws when one of them is not finite.
  /// - Parameter name: a layer that reads them, for errors.
  public mutating func add(_ x: Matrix, named name: String, pool: ThreadPool) throws(CompressionError) {
    let bins = counts.count
    let pieces = min(pool.threads, max(1, x.rows))
    var partial = [UInt64](repeating: 0, count: bins * pieces)
    var peaks = [Float](repeating: 0, count: pieces)
    var odd = [Int64](repeating: 0, count: pieces)
    partial.withUnsafeMutableBufferPointer { partial in
      peaks.withUnsafeMutableBufferPointer { peaks in
        odd.withUnsafeMutableBufferPointer { odd in
          // Each piece counts for itself.
          nonisolated(unsafe) let (partial, peaks, odd) = (partial, peaks, odd)
          pool.run(pieces, scratchBytes: 0) { piece, _ in
            guard let target = partial.baseAddress else { return }
            let begin = x.rows * piece / pieces, end = x.rows * (piece + 1) / pieces
            dso_count_magnitudes(x.row(begin), Int64(x.columns), Int64(end - begin), Int64(x.columns), target + piece * bins)
            var low: Float = 0, high: Float = 0
            dso_min_max(x.row(begin), Int64((end - begin) * x.columns), &low, &high, &odd[piece])
            peaks[piece] = max(abs(low), abs(high))
          }
        }
      }
    }
    guard odd.allSatisfy({ $0 == 0 }) else { throw CompressionError.unboundedActivations(of: name) }
    for (index, count) in partial.enumerated() where count > 0 { counts[index % bins] += count }
    absmax = max(absmax, peaks.max() ?? 0)
    total += x.rows * x.columns
  }

  /// A scale for int8 codes, and what it costs.
  public struct Choice: Sendable, Hashable {
    public let scale: Float
    /// Mean squared error of a value.
    public let meanSquaredError: Double
    /// Share of values beyond the range of the codes.
    public let clippedFraction: Double
  }

  /// What codes with this scale, > 0, cost.
  public func cost(of scale: Float) -> Choice {
    var clipped = 0.0
    let error = counts.withUnsafeBufferPointer { counts in
      counts.baseAddress.map { dso_clipping_error($0, Double(scale), &clipped) } ?? 0
    }
    let count = Double(max(1, total))
    // The last bin reaches beyond the largest value.
    return Choice(
      scale: scale, meanSquaredError: error / count, clippedFraction: absmax / scale <= 127.5 ? 0 : clipped / count)
  }

  /// The scale that takes every value in.
  public func extremes(in type: DataType) -> Choice {
    let wanted = absmax > 0 ? absmax / 127.5 : 1
    let nearest = Self.positive(wanted, in: type)
    // Up rather than to the nearest.
    let step: Float = type == .bfloat16 ? 0x1p-7 : type == .float16 ? 0x1p-10 : 0x1p-22
    return cost(of: absmax / nearest > 127.5 ? Self.positive(wanted * (1 + step), in: type) : nearest)
  }

  /// The scale of the smallest squared error, down to a 1024th of that which takes every value in.
  /// - Parameter type: what the scale is stored in; only its values are tried.
  public func smallestError(in type: DataType) -> Choice {
    var best = extremes(in: type)
    guard absmax > 0 else { return best }
    func attempt(_ scale: Double) {
      let choice = cost(of: Self.positive(Float(scale), in: type))
      if choice.meanSquaredError < best.meanSquaredError { best = choice }
    }
    let widest = Double(absmax) / 127.5
    for step in 1...160 { attempt(widest * exp2(-Double(step) / 16)) }
    let middle = Double(best.scale)
    for step in -7...7 where step != 0 { attempt(middle * exp2(Double(step) / 128)) }
    return best
  }

  private static func positive(_ scale: Float, in type: DataType) -> Float {
    let rounded = type.rounded(scale)
    if rounded > 0, rounded.isFinite { return rounded }
    // Beyond what the type can hold: the least normal number, or the largest number, of float16, which every type has.
    return scale < 1 ? type.rounded(0x1p-14) : type.rounded(65504)
  }
}
