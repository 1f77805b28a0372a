import Diagnostics
import Execution
import ModelGraph
import Tensors

/// What training changed of an adapter that started from the principal part of its weight, as an adapter of twice the rank for the weight
/// as it was before: with A' = [A; A₀] and B' = [B, −B₀], `W + γ·B'·A' = (W − γ·B₀·A₀) + γ·B·A`.
///
/// The scaling γ is that of the adapter, and so are the lengths of rows that DoRA trains. The start need not be kept: the graph that
/// adapters were attached to holds it, as training changes copies.
public struct StartDifference: Sendable {
  /// A' `[2 · rank, inputs]`.
  public let down: Tensor
  /// B' `[outputs, 2 · rank]`.
  public let up: Tensor

  /// - Parameters:
  ///   - adapter: as ``LowRankAdaptation/attach(to:seed:pool:quantizer:)`` gave it.
  ///   - graph: the graph that it was attached to, its factors as they started.
  ///   - down: A as it is now, `[rank, inputs]`.
  ///   - up: B as it is now, `[outputs, rank]`.
  public init(of adapter: AttachedAdapter, in graph: ModelGraph, down: Matrix, up: Matrix) throws {
    try self.init(
      of: adapter.module, startDown: Matrix(graph[adapter.down]), startUp: Matrix(graph[adapter.up]), down: down, up: up)
  }

  /// The same from the factors alone.
  ///
  /// - Parameter module: the layer, for errors.
  /// - Throws: factors that are not of one shape.
  public init(of module: String, startDown: Matrix, startUp: Matrix, down: Matrix, up: Matrix) throws(CompressionError) {
    let (rank, inputs, outputs) = (down.rows, down.columns, up.rows)
    guard up.columns == rank, startDown.rows == rank, startDown.columns == inputs, startUp.rows == outputs, startUp.columns == rank else {
      throw CompressionError(module, "has an adapter of another shape than it started from", kind: .badData)
    }
    let (joined, beside) = (Matrix(rows: 2 * rank, columns: inputs), Matrix(rows: outputs, columns: 2 * rank))
    joined.pointer.update(from: down.pointer, count: rank * inputs)
    joined.row(rank).update(from: startDown.pointer, count: rank * inputs)
    let negated = startUp.scaled(by: -1)
    for row in 0..<outputs {
      beside.row(row).update(from: up.row(row), count: rank)
      (beside.row(row) + rank).update(from: negated.row(row), count: rank)
    }
    (self.down, self.up) = (joined.tensor([2 * rank, inputs]), beside.tensor([outputs, 2 * rank]))
  }
}

extension LowRankAdaptation {
  /// What a file says of the rank of a ``StartDifference``.
  public var differenceRank: Int { 2 * rank }

  /// The alpha that gives the scaling of these adapters at ``differenceRank``.
  public var differenceAlpha: Double { Double(alpha) * (scaling == .standard ? 2 : 2.0.squareRoot()) }
}
