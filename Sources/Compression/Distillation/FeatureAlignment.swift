import CKernels
import Diagnostics
import Execution
import ModelGraph
import Training

/// How far hidden states are from a teacher's: for every mapped pair of layers the mean over tokens of 1 − cos(P h, t) + 0.1 ‖P h − t‖² / ‖t‖².
/// P is the identity, or a projector that is trained beside the student where widths differ. The first token of a sequence, where attention
/// sinks, does not count.
package final class FeatureAlignment: HiddenLoss {
  package let mapping: LayerMapping
  /// By the student's block; `[teacher's width, student's width]`.
  package let projectors: [Int: Variable]
  private var projectorGradients: [Int: Matrix] = [:]
  private let pool: ThreadPool
  /// What the teacher leaves for the rows at work, by the student's block.
  private var targets: [Int: Matrix] = [:]
  /// What each row counts.
  private var weights: [Float] = []

  private static let squareShare: Float = 0.1

  package var blocks: Set<Int> { Set(mapping.pairs.map(\.student)) }

  /// - Parameter start: projectors by the student's block, where widths differ.
  package init(_ mapping: LayerMapping, projectors start: [Int: Matrix], pool: ThreadPool) {
    self.mapping = mapping
    self.pool = pool
    projectors = start.reduce(into: [:]) { $0[$1.key] = Variable("projector.\($1.key)", $1.value) }
  }

  /// Sets what the next rows are held against.
  /// - Parameters:
  ///   - share: what one row counts.
  package func aim(at states: [Int: Matrix], sequences: SequenceLayout, share: Float) {
    targets = mapping.pairs.reduce(into: [:]) { $0[$1.student] = states[$1.teacher] }
    weights = sequences.lengths.flatMap { length in (0..<length).map { $0 == 0 ? 0 : share } }
  }

  package func differentiate(_ block: Int, _ state: Matrix) throws -> (loss: Double, gradient: Matrix) {
    guard let target = targets[block], target.rows == state.rows, weights.count == state.rows else {
      throw CompressionError("features", "have no target for these rows", kind: .usage)
    }
    let projector = projectors[block]?.values
    let projected = projector.map { state.timesTransposed($0, pool: pool) } ?? state
    guard projected.columns == target.columns else {
      throw CompressionError(
        "features", "of \(projected.columns) values cannot be aligned with the teacher's \(target.columns)", kind: .usage)
    }
    let slope = Matrix(rows: state.rows, columns: target.columns)
    let loss = distances(projected, target, slopes: slope)
    guard let projector else { return (loss, slope) }
    let gradient = slope.transposedTimes(state, pool: pool)
    if let sum = projectorGradients[block] {
      dso_add(gradient.pointer, sum.pointer, Int64(gradient.rows * gradient.columns))
    } else {
      projectorGradients[block] = gradient
    }
    return (loss, slope.times(projector, pool: pool))
  }

  /// The projectors' gradients since they were last taken, in the order of ``orderedProjectors``.
  func takeGradients() -> [Matrix?] {
    defer { projectorGradients = [:] }
    return projectors.keys.sorted().map { projectorGradients[$0] }
  }

  var orderedProjectors: [Variable] { projectors.sorted { $0.key < $1.key }.map(\.value) }

  /// The weighted sum of distances of rows; `slopes` get their gradients.
  private func distances(_ found: Matrix, _ wanted: Matrix, slopes: Matrix) -> Double {
    let losses = Matrix(rows: found.rows, columns: 1)
    let width = found.columns
    pool.ranges(of: found.rows, grain: 32) { rows in
      for row in rows where self.weights[row] != 0 {
        let (u, t, slope) = (found.row(row), wanted.row(row), slopes.row(row))
        let own = dso_sum_squares(u, Int64(width)), other = dso_sum_squares(t, Int64(width))
        guard own > 0, other > 0 else { continue }
        let inner = dso_inner_product(u, t, Int64(width))
        let cosine = inner / (own * other).squareRoot()
        let square = max(0, own - 2 * inner + other) / other
        let share = Double(Self.squareShare), weight = Double(self.weights[row])
        losses.row(row)[0] = Float(weight * (1 - cosine + share * square))
        // Of the cosine by u: t / (|u| |t|) − cos · u / |u|².
        let towards = Float(weight * (-1 / (own * other).squareRoot() - 2 * share / other))
        let along = Float(weight * (cosine / own + 2 * share / other))
        for index in 0..<width { slope[index] = towards * t[index] + along * u[index] }
      }
    }
    return (0..<found.rows).reduce(0) { $0 + Double(losses.row($1)[0]) }
  }
}

/// The student's own variables with the projectors beside them.
package final class ProjectedParameters: Parametrization {
  private let base: any Parametrization
  private let alignment: FeatureAlignment

  package init(_ base: any Parametrization, _ alignment: FeatureAlignment) { (self.base, self.alignment) = (base, alignment) }

  package var variables: [Variable] { base.variables + alignment.orderedProjectors }
  package var values: [ParameterID: Matrix] { base.values }
  package var wanted: Set<ParameterID> { base.wanted }
  package func update(pool: ThreadPool) throws { try base.update(pool: pool) }

  package func gradients(from parameters: [ParameterID: Matrix], pool: ThreadPool) throws -> [Matrix?] {
    try base.gradients(from: parameters, pool: pool) + alignment.takeGradients()
  }
}
