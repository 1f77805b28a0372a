import Distribution
import Execution

/// Some rows of a Gram matrix's lower triangle: of several processes that see the same activations each adds up a band.
final class GramBand {
  let inputs: Int
  let rows: Range<Int>
  private var tokens = 0
  private var totalWeight = 0.0
  /// The rows as far as the last of them reaches.
  fileprivate let values: Matrix

  /// A band of zeros.
  init(inputs: Int, rows: Range<Int>) {
    (self.inputs, self.rows) = (inputs, rows)
    values = Matrix(rows: rows.count, columns: rows.upperBound)
  }

  /// Adds a batch of activations, as ``GramMatrix/accumulate(_:weights:pool:)`` does.
  func accumulate(_ activations: Matrix, weights: [Float]?, pool: ThreadPool) throws(CompressionError) {
    try GramMatrix.accumulate(activations, weights: weights, rows: rows, of: inputs, into: values, pool: pool)
    tokens += activations.rows
    totalWeight += weights?.reduce(0) { $0 + Double($1) } ?? Double(activations.rows)
  }

  /// The whole matrix, of rows that are all there.
  fileprivate func whole(_ values: Matrix) -> GramMatrix { GramMatrix(lower: values, tokens: tokens, totalWeight: totalWeight) }
}

extension GramMatrix {
  /// The rows that each of so many processes adds up: bands of equal area.
  package static func bands(of inputs: Int, among count: Int) -> [Range<Int>] {
    let bounds = (0...count).map { index in
      // Vectors of the kernels are never cut.
      index == count ? inputs : min(inputs, Int((Double(inputs) * (Double(index) / Double(count)).squareRoot() / 16).rounded()) * 16)
    }
    return (0..<count).map { bounds[$0]..<bounds[$0 + 1] }
  }
}

extension ProcessGroup {
  /// The matrix that the bands of all processes make, at one of them; nil at the others.
  func assemble(_ band: GramBand, at root: Int) throws -> GramMatrix? {
    let ranges = GramMatrix.bands(of: band.inputs, among: count)
    guard rank == root else {
      _ = try pair(from: rank, to: root)?.broadcast(band.values, from: 0)
      return nil
    }
    let whole = Matrix(rows: band.inputs, columns: band.inputs)
    for (sender, rows) in ranges.enumerated() {
      let part = sender == rank ? band.values : try pair(from: sender, to: rank)?.broadcast(nil as Matrix?, from: 0)
      guard let part, !rows.isEmpty else { continue }
      for index in 0..<rows.count { whole.row(rows.lowerBound + index).update(from: part.row(index), count: part.columns) }
    }
    return band.whole(whole)
  }
}
