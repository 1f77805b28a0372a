import CKernels
import Diagnostics
import Execution

/// What calibration finds out about the inputs of linear layers. Several passes may ask; one forward answers them all.
public struct StatisticKinds: OptionSet, Sendable, Hashable {
  public let rawValue: Int
  public init(rawValue: Int) { self.rawValue = rawValue }

  /// Per input: the largest magnitude, the mean magnitude and the mean square.
  public static let columns = StatisticKinds(rawValue: 1)
  /// Σ x xᵀ, which GPTQ and its relatives work on.
  public static let gram = StatisticKinds(rawValue: 2)
  /// How often which magnitude occurs.
  public static let histogram = StatisticKinds(rawValue: 4)
  /// The mean of every input.
  public static let means = StatisticKinds(rawValue: 8)
}

/// Statistics of one input that linear layers read: the query, key and value projections share theirs.
public final class InputStatistics {
  /// Inputs of the layers that read it.
  public let width: Int
  /// Rows seen.
  public private(set) var tokens = 0
  /// The largest magnitude of each input.
  public private(set) var absmax: [Float]
  /// Σ x xᵀ over the tokens, each weighted by its importance where that is known; nil when it was not asked for.
  package private(set) var gram: GramMatrix?
  /// Magnitudes of all inputs together; nil when they were not asked for, or when a transform has changed them since.
  public private(set) var histogram: MagnitudeHistogram?
  private var absoluteSums: [Double]
  private var squareSums: [Double]
  /// Of inputs with their signs; empty when they were not asked for, or when a transform has changed them since.
  private var sums: [Float]

  init(width: Int, kinds: StatisticKinds) {
    self.width = width
    absmax = Array(repeating: 0, count: width)
    absoluteSums = Array(repeating: 0, count: width)
    squareSums = Array(repeating: 0, count: width)
    gram = kinds.contains(.gram) ? GramMatrix(inputs: width) : nil
    histogram = kinds.contains(.histogram) ? MagnitudeHistogram() : nil
    sums = kinds.contains(.means) ? Array(repeating: 0, count: width) : []
  }

  /// E[|x|] of each input.
  public var meanMagnitude: [Float] { absoluteSums.map { Float($0 / Double(max(1, tokens))) } }
  /// E[x²] of each input.
  public var meanSquare: [Float] { squareSums.map { Float($0 / Double(max(1, tokens))) } }

  /// E[(x − E[x])²] of each input; nil when means were not asked for.
  public var variance: [Float]? {
    guard !sums.isEmpty else { return nil }
    return zip(sums, meanSquare).map { sum, square in
      let mean = sum / Float(max(1, tokens))
      return max(0, square - mean * mean)
    }
  }

  /// Inputs that were 0 in every row.
  public var deadInputs: Int { squareSums.count { $0 == 0 } }

  /// - Parameters:
  ///   - name: a layer that reads it, for errors.
  ///   - importance: of each row of x, with a mean near 1; nil for all alike.
  /// - Throws: activations that are NaN or infinite, or so large that their squares overflow.
  func add(_ x: Matrix, named name: String, importance: ArraySlice<Float>?, pool: ThreadPool) throws(CompressionError) {
    tokens += x.rows
    let width = width
    absmax.withUnsafeMutableBufferPointer { absmax in
      absoluteSums.withUnsafeMutableBufferPointer { absolute in
        squareSums.withUnsafeMutableBufferPointer { squares in
          nonisolated(unsafe) let (absmax, absolute, squares) = (absmax, absolute, squares)
          // Cut by columns: every sum is over all rows in their order.
          pool.ranges(of: width, grain: 256) { range in
            guard let peak = absmax.baseAddress, let sum = absolute.baseAddress, let square = squares.baseAddress else { return }
            dso_column_statistics(
              x.pointer + range.lowerBound, Int64(x.columns), Int64(x.rows), Int64(range.count), peak + range.lowerBound,
              sum + range.lowerBound, square + range.lowerBound)
          }
        }
      }
    }
    // Sums of squares keep every NaN and infinity; peaks do not.
    guard meanSquare.allSatisfy(\.isFinite) else { throw CompressionError.unboundedActivations(of: name) }
    if !sums.isEmpty {
      // One call for all rows: sums depend on how they are cut.
      sums.withUnsafeMutableBufferPointer {
        if let sums = $0.baseAddress { dso_sum_rows(x.pointer, Int64(x.columns), Int64(x.rows), Int64(width), sums) }
      }
    }
    try histogram?.add(x, named: name, pool: pool)
    try gram?.accumulate(x, weights: importance.map(Array.init), pool: pool)
  }

  /// Whether whoever takes the Gram matrix gets a copy, because others come after.
  var isLent = false

  /// Takes the Gram matrix, whose memory the taker then owns: it may be factored in place.
  package func takeGram() -> GramMatrix? {
    if isLent { return gram?.copy() }
    defer { gram = nil }
    return gram
  }

  /// Follows a transform that divides input i by `factors[i]`.
  public func divide(by factors: [Float], pool: ThreadPool) throws(CompressionError) {
    for (index, factor) in factors.enumerated() {
      absmax[index] /= abs(factor)
      absoluteSums[index] /= Double(abs(factor))
      squareSums[index] /= Double(factor) * Double(factor)
    }
    histogram = nil
    sums = []
    try gram?.divide(by: factors, pool: pool)
  }
}

extension CompressionError {
  /// Activations that no statistics can be made of.
  /// - Parameter module: a layer that reads them.
  static func unboundedActivations(of module: String) -> CompressionError {
    CompressionError(
      module, "reads activations that are not finite, or too large to be squared",
      remedy: "the model's weights hold NaN, infinities or values far out of range", kind: .badData)
  }
}
