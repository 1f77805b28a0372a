import CKernels
import Diagnostics
import Distribution
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
  /// Rows that were counted from elsewhere: see ``borrow(from:asTokens:)``.
  private var borrowed = 0
  /// The largest magnitude of each input.
  public private(set) var absmax: [Float]
  private var gathered: GramMatrix?
  /// The rows of it that are this process's to add up.
  private var band: GramBand?
  /// Finds the Gram matrix when it is asked for, and again when it is asked for again: those of all experts of a layer do not fit into memory together.
  private var gather: (() throws -> GramMatrix)?
  /// What features were divided by since, which a matrix that is found later has to follow.
  private var divisors: [[Float]] = []
  /// What was done instead of what was asked because few tokens came by, in words; nil in the normal case.
  package private(set) var shortage: String?
  /// Magnitudes of all inputs together; nil when they were not asked for, or when a transform has changed them since.
  public private(set) var histogram: MagnitudeHistogram?
  private var absoluteSums: [Double]
  private var squareSums: [Double]
  /// Of inputs with their signs; empty when they were not asked for, or when a transform has changed them since.
  private var sums: [Float]

  /// - Parameter part: which of how many processes adds up a band of the Gram matrix; nil for one that adds up all of it.
  init(width: Int, kinds: StatisticKinds, band part: (rank: Int, count: Int)? = nil) {
    self.width = width
    absmax = Array(repeating: 0, count: width)
    absoluteSums = Array(repeating: 0, count: width)
    squareSums = Array(repeating: 0, count: width)
    if kinds.contains(.gram) {
      if let part {
        band = GramBand(inputs: width, rows: GramMatrix.bands(of: width, among: part.count)[part.rank])
      } else {
        gathered = GramMatrix(inputs: width)
      }
    }
    histogram = kinds.contains(.histogram) ? MagnitudeHistogram() : nil
    sums = kinds.contains(.means) ? Array(repeating: 0, count: width) : []
  }

  /// What one process tells the others of it: all but the Gram matrix.
  struct Columns {
    var tokens: Int
    var absmax: [Float]
    var absoluteSums, squareSums: [Double]
    var sums: [Float]
    var histogram: MagnitudeHistogram?
  }

  var columns: Columns {
    Columns(
      tokens: tokens, absmax: absmax, absoluteSums: absoluteSums, squareSums: squareSums, sums: sums, histogram: histogram)
  }

  /// As another process found it out.
  init(_ columns: Columns) {
    (width, tokens, absmax) = (columns.absmax.count, columns.tokens, columns.absmax)
    (absoluteSums, squareSums, sums, histogram) = (columns.absoluteSums, columns.squareSums, columns.sums, columns.histogram)
  }

  /// E[|x|] of each input.
  public var meanMagnitude: [Float] { absoluteSums.map { Float($0 / Double(max(1, tokens + borrowed))) } }
  /// E[x²] of each input.
  public var meanSquare: [Float] { squareSums.map { Float($0 / Double(max(1, tokens + borrowed))) } }

  /// How much each input weighs in a search, E[x²]; nil where calibration reached none of them, so that all weigh alike.
  var importance: [Float]? { deadInputs == width ? nil : meanSquare }

  /// E[(x − E[x])²] of each input; nil when means were not asked for.
  public var variance: [Float]? {
    guard !sums.isEmpty else { return nil }
    return zip(sums, meanSquare).map { sum, square in
      let mean = sum / Float(max(1, tokens + borrowed))
      return max(0, square - mean * mean)
    }
  }

  /// Inputs that were 0 in every row.
  public var deadInputs: Int { squareSums.count { $0 == 0 } }

  /// - Parameters:
  ///   - name: a layer that reads it, for errors.
  ///   - importance: of each row of x, with a mean near 1; nil for all alike.
  /// - Throws: activations that are NaN or infinite, or so large that their squares overflow.
  func add(_ x: Matrix, named name: String, importance: [Float]?, pool: ThreadPool) throws(CompressionError) {
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
    try gathered?.accumulate(x, weights: importance, pool: pool)
    try band?.accumulate(x, weights: importance, pool: pool)
  }

  /// Makes the Gram matrix of the bands that several processes have added up; the others are left without. All of them must ask.
  func assembleGram(at root: Int, in group: ProcessGroup) throws {
    guard let band else { return }
    gathered = try group.assemble(band, at: root)
    self.band = nil
  }

  /// Whether whoever takes the Gram matrix gets a copy, because others come after.
  var isLent = false

  /// Lets the Gram matrix be found when it is asked for.
  func gatherGram(by gather: @escaping () throws -> GramMatrix) {
    gathered = nil
    self.gather = gather
  }

  var hasGram: Bool { gathered != nil || gather != nil }

  /// Σ x xᵀ over the tokens, each weighted by its importance where that is known, to be looked at; nil when it was not asked for.
  package func gram(pool: ThreadPool) throws -> GramMatrix? {
    guard let gather else { return gathered }
    let result = try gather()
    for factors in divisors { try result.divide(by: factors, pool: pool) }
    return result
  }

  /// Takes the Gram matrix, whose memory the taker then owns: it may be factored in place.
  package func takeGram(pool: ThreadPool) throws -> GramMatrix? {
    if gather != nil { return try gram(pool: pool) }
    if isLent { return gathered?.copy() }
    defer { gathered = nil }
    return gathered
  }

  /// Counts the tokens of a whole layer as some of this expert's, where too few came by to know its inputs from them.
  /// - Parameters:
  ///   - layer: of the same features, over all tokens of the layer.
  ///   - weight: as how many tokens they count.
  func borrow(from layer: InputStatistics, asTokens weight: Int) {
    guard layer.width == width, layer.tokens > 0 else { return }
    let share = Double(weight) / Double(layer.tokens)
    for index in 0..<width {
      absmax[index] = max(absmax[index], layer.absmax[index])
      absoluteSums[index] += layer.absoluteSums[index] * share
      squareSums[index] += layer.squareSums[index] * share
      if !sums.isEmpty, !layer.sums.isEmpty { sums[index] += layer.sums[index] * Float(share) }
    }
    borrowed += weight
  }

  func note(shortage text: String) { shortage = shortage ?? text }

  /// Follows a transform that divides input i by `factors[i]`.
  public func divide(by factors: [Float], pool: ThreadPool) throws(CompressionError) {
    for (index, factor) in factors.enumerated() {
      absmax[index] /= abs(factor)
      absoluteSums[index] /= Double(abs(factor))
      squareSums[index] /= Double(factor) * Double(factor)
    }
    histogram = nil
    sums = []
    if gather != nil { divisors.append(factors) }
    try gathered?.divide(by: factors, pool: pool)
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
