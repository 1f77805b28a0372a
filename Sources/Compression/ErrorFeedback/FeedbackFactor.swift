import CKernels
import Diagnostics
import Execution
import Tensors

/// What of a Gram matrix rounding with error feedback needs: an order of the inputs and a triangular factor in that order. Found once for
/// all weights that read the same inputs.
package final class FeedbackFactor {
  package struct Options: Sendable, Hashable {
    /// Inputs with large activations first (act-order); otherwise as they stand.
    package var actOrder = true
    /// What is added to the diagonal, as a share of its mean.
    package var damping: Float = 0.01

    package init(actOrder: Bool = true, damping: Float = 0.01) {
      self.actOrder = actOrder
      self.damping = damping
    }
  }

  /// Which side of a weight the matrix is of.
  package enum Side: Sendable, Hashable {
    /// The Gram matrix of the layer's inputs.
    case inputs
    /// The Fisher information of the layer's outputs.
    case outputs

    fileprivate var description: String { self == .inputs ? "the Gram matrix of its inputs" : "the sensitivity of its outputs" }
    fileprivate var remedy: String {
      self == .inputs
        ? "its activations overflow: leave it out with --ignore, or use a method without calibration"
        : "its gradients overflow: leave it out with --ignore, or use a method without output sensitivity"
    }
    fileprivate var unreached: String { self == .inputs ? "no activation reached it" : "no gradient reached it" }
    fileprivate var consequence: String { self == .inputs ? "rounded to nearest" : "rounded without it" }
  }

  package let inputs: Int
  /// The input that comes p-th.
  package let order: [Int32]
  /// The damping that the factor was found with; 0 when there is none and weights are rounded by themselves.
  package let dampingUsed: Float
  /// What was done instead of what was asked, in words; nil in the normal case.
  package let fallback: String?
  /// Inputs that were 0 in every token. Their weights are rounded by themselves.
  package let deadInputs: Int
  /// The tokens' weight: errors are divided by it.
  package let totalWeight: Double

  /// M strictly below the diagonal, H in processing order above it; H alone, both triangles, when there is no factor.
  let matrix: Matrix
  let hasFactor: Bool
  /// D, and what of the diagonal was added to H, in processing order.
  let pivots: [Float]
  let added: [Float]
  /// The diagonal of H, damping included, in processing order.
  let diagonal: [Float]
  /// Whether the triangles of `matrix` have changed places.
  private var isTransposed = false

  /// - Parameters:
  ///   - gram: the inputs' Gram matrix, whose memory is taken: it is left empty.
  ///   - side: what the matrix is of, for errors and notes.
  ///   - name: the layer, for errors.
  /// - Throws: not-a-numbers or infinities in the matrix, or a damping that is none.
  package init(
    of gram: GramMatrix, side: Side = .inputs, named name: String, options: Options = Options(), pool: ThreadPool
  ) throws(CompressionError) {
    guard options.damping >= 0, options.damping <= 1 else {
      throw CompressionError(name, "cannot be damped by \(options.damping)", remedy: "choose a share of 0 to 1", kind: .usage)
    }
    let nonfinite = GramOrder.nonfinite(in: gram, pool: pool)
    guard nonfinite == 0 else {
      throw CompressionError(
        name, "has \(nonfinite) NaN or infinite elements in \(side.description)", remedy: side.remedy, kind: .badData)
    }
    let diagonal = gram.diagonal
    let dead = Set(diagonal.indices.filter { !(diagonal[$0] > 0) })
    let order = GramOrder.order(diagonal: diagonal, actOrder: options.actOrder)
    let live = diagonal.count - dead.count
    let mean = Float(diagonal.reduce(0.0) { $0 + max(0, Double($1)) } / Double(max(1, live)))
    inputs = gram.inputs
    self.order = order
    deadInputs = dead.count
    totalWeight = gram.totalWeight
    matrix = GramOrder.permuted(gram, order: order, pool: pool)
    let ordered = order.map { dead.contains(Int($0)) ? 0 : diagonal[Int($0)] }
    for (place, input) in order.enumerated() where dead.contains(Int(input)) { GramOrder.clear(place, in: matrix) }

    let attempt = live == 0 ? nil : Self.factor(matrix, diagonal: ordered, mean: mean, first: options.damping, pool: pool)
    hasFactor = attempt != nil
    dampingUsed = attempt?.damping ?? 0
    let damping = dampingUsed * mean
    // A dead input gets a diagonal of 1; nothing else depends on it.
    added = ordered.map { $0 == 0 ? 1 + damping : damping }
    pivots = attempt?.pivots ?? ordered
    self.diagonal = zip(ordered, added).map { $0 + $1 }
    if let attempt {
      fallback =
        attempt.damping == options.damping
        ? nil : "not positive definite with damping \(options.damping): damped by \(attempt.damping)"
    } else if live == 0 {
      fallback = "\(side.unreached): \(side.consequence)"
    } else {
      fallback = "not positive definite with any damping up to 1: \(side.consequence)"
      GramOrder.restoreLower(of: matrix, diagonal: ordered, pool: pool)
    }
  }

  /// Tries dampings ten times as large each until one serves.
  private static func factor(
    _ matrix: Matrix, diagonal: [Float], mean: Float, first: Float, pool: ThreadPool
  ) -> (pivots: [Float], damping: Float)? {
    var damping = first
    while true {
      let damped = diagonal.map { $0 == 0 ? 1 + damping * mean : $0 + damping * mean }
      for (place, value) in damped.enumerated() { matrix.row(place)[place] = value }
      if let pivots = TriangularFactor(matrix: matrix, pool: pool).factor() { return (pivots, damping) }
      guard damping < 1 else { return nil }
      // To six decimals, so that the report says 0.1 and not 0.099999994.
      damping = damping == 0 ? 0.01 : min(1, (damping * 1e7).rounded() / 1e6)
      GramOrder.restoreLower(of: matrix, diagonal: diagonal, pool: pool)
    }
  }

  /// The factor above the diagonal, H below it: row a then holds what row a spreads to later ones. After it `matrix` serves no other
  /// rounding.
  func transposedFactor(pool: ThreadPool) -> Matrix {
    if !isTransposed {
      let (n, matrix) = (matrix.columns, matrix)
      pool.ranges(of: n, grain: 64) {
        dso_transpose_square(matrix.pointer, Int64(n), Int64(n), Int64($0.lowerBound), Int64($0.upperBound))
      }
      isTransposed = true
    }
    return matrix
  }

  /// H again, damping included, both triangles. The factor is gone after it.
  func restoredMatrix(pool: ThreadPool) -> Matrix {
    let (n, matrix) = (matrix.columns, matrix)
    let fromUpper: Int32 = hasFactor && !isTransposed ? 1 : 0
    pool.ranges(of: n, grain: 64) {
      dso_mirror(matrix.pointer, Int64(n), Int64(n), Int64($0.lowerBound), Int64($0.upperBound), fromUpper)
    }
    for (place, value) in diagonal.enumerated() { matrix.row(place)[place] = value }
    return matrix
  }
}
