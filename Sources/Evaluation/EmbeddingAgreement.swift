import CKernels
import Diagnostics
import Execution
import Foundation

/// How far two models' embeddings of the same sentences agree: by themselves, and in which sentences they take to be near each other.
public struct EmbeddingAgreement: Sendable, Hashable {
  /// The cosine of each sentence's two embeddings.
  public let cosines: [Double]
  /// Share of sentences whose nearest other one is the same.
  public let nearestAgreement: Double?
  /// The mean over sentences of Spearman's correlation of the cosines to all others.
  public let rankCorrelation: Double?

  /// - Parameters:
  ///   - reference: of the model that the other is held against, a row a sentence.
  ///   - embeddings: of the other, as many rows of as many columns.
  public init(reference: Matrix, embeddings: Matrix, pool: ThreadPool) throws(EvaluationError) {
    guard reference.rows == embeddings.rows, reference.columns == embeddings.columns else {
      throw EvaluationError(
        "the reference", "gives embeddings of \(reference.columns), the model of \(embeddings.columns)",
        remedy: "compare models of one width", kind: .usage)
    }
    let (count, width) = (reference.rows, Int64(reference.columns))
    let lengths = [reference, embeddings].map { matrix in
      (0..<count).map { max(dso_sum_squares(matrix.row($0), width).squareRoot(), .leastNormalMagnitude) }
    }
    cosines = (0..<count).map { dso_inner_product(reference.row($0), embeddings.row($0), width) / lengths[0][$0] / lengths[1][$0] }
    guard count > 2 else {
      (nearestAgreement, rankCorrelation) = (nil, nil)
      return
    }
    var same = [Bool](repeating: false, count: count)
    var correlations = [Double](repeating: 0, count: count)
    same.withUnsafeMutableBufferPointer { same in
      correlations.withUnsafeMutableBufferPointer { correlations in
        nonisolated(unsafe) let (same, correlations) = (same, correlations)
        pool.run(count) { index, _ in
          let others = (0..<count).filter { $0 != index }
          let similarities = zip([reference, embeddings], lengths).map { matrix, lengths in
            others.map { dso_inner_product(matrix.row(index), matrix.row($0), width) / lengths[$0] }
          }
          let ranks = similarities.map(Self.ranks)
          same[index] = ranks[0].firstIndex(of: 0) == ranks[1].firstIndex(of: 0)
          correlations[index] = Self.correlation(ranks[0], ranks[1])
        }
      }
    }
    nearestAgreement = Double(same.count { $0 }) / Double(count)
    rankCorrelation = correlations.reduce(0, +) / Double(count)
  }

  /// The place of every value among all, the largest first; of equal ones the first.
  private static func ranks(_ values: [Double]) -> [Int] {
    var ranks = [Int](repeating: 0, count: values.count)
    for (rank, index) in values.indices.sorted(by: { (values[$0], $1) > (values[$1], $0) }).enumerated() { ranks[index] = rank }
    return ranks
  }

  /// Spearman's, of ranks without ties.
  private static func correlation(_ a: [Int], _ b: [Int]) -> Double {
    let count = Double(a.count)
    let squares = zip(a, b).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
    return count < 2 ? 1 : 1 - 6 * squares / (count * (count * count - 1))
  }
}
