import CKernels
import Distribution
import Execution
import ModelGraph
import Tensors

/// Σ g gᵀ of what some layers' outputs feel, and how much each token matters to them, added up batch by batch. Of several processes each adds up the
/// matrices of layers of its own; what tokens matter, all of them know.
final class SensitivitySums {
  /// What one layer's outputs feel of one batch.
  struct Part {
    let weight: ParameterID
    let gradient: Matrix
    /// Which rows of the batch these are; nil for all.
    let rows: [Int32]?

    var squares: [Float] { (0..<gradient.rows).map { Float(dso_sum_squares(gradient.row($0), Int64(gradient.columns))) } }
  }

  private let weights: [ParameterID]
  private let owners: [ParameterID: Int]
  private let group: ProcessGroup
  private let pool: ThreadPool
  /// Of layers of this process.
  private var factors: [ParameterID: GramMatrix] = [:]
  private var importance: [ParameterID: [Float]] = [:]

  /// - Parameter tokens: of all batches.
  init(_ weights: [ParameterID], of graph: ModelGraph, tokens: Int, interpreter: Interpreter) {
    (self.weights, group, pool) = (weights, interpreter.group, interpreter.pool)
    let size = { (weight: ParameterID) in graph[weight].shape[0] }
    var shares = WorkShares(of: group)
    var owners: [ParameterID: Int] = [:]
    for weight in weights.sorted(by: { (-size($0), $0.index) < (-size($1), $1.index) }) {
      owners[weight] = shares.take(Double(size(weight) * size(weight)))
    }
    self.owners = owners
    for weight in weights {
      importance[weight] = Array(repeating: 0, count: tokens)
      if owners[weight] == group.rank { factors[weight] = GramMatrix(inputs: size(weight)) }
    }
  }

  func contains(_ weight: ParameterID) -> Bool { owners[weight] != nil }

  /// - Parameter first: the row of the text that the batch begins with.
  func add(_ part: Part, at first: Int) throws {
    try factors[part.weight]?.accumulate(part.gradient, pool: pool)
    note(part.squares, of: part.weight, rows: part.rows, at: first)
  }

  private func note(_ squares: some Collection<Float>, of weight: ParameterID, rows: [Int32]?, at first: Int) {
    for (row, square) in squares.enumerated() { importance[weight]?[first + (rows.map { Int($0[row]) } ?? row)] = square }
  }

  /// Adds what one process has found of a batch; all of them must ask.
  /// - Parameter parts: of that process; what the others give counts for nothing.
  func add(_ parts: [Part], of root: Int, at first: Int) throws {
    // Of every part: whose it is, its rows, and which of the batch they are.
    var notes: [Int64] = []
    for part in parts {
      notes += [Int64(weights.firstIndex(of: part.weight) ?? 0), Int64(part.gradient.rows), part.rows == nil ? 0 : 1]
      notes += (part.rows ?? []).map(Int64.init)
    }
    notes = try group.broadcast(notes, from: root)
    let squares = try group.broadcast(parts.flatMap(\.squares), from: root)
    var (rest, seen, index) = (notes[...], 0, 0)
    while rest.count >= 3 {
      let head = rest.prefix(3).map(Int.init)
      rest = rest.dropFirst(3)
      let (weight, count) = (weights[head[0]], head[1])
      let rows = head[2] == 0 ? nil : rest.prefix(count).map(Int32.init)
      if rows != nil { rest = rest.dropFirst(count) }
      note(squares[seen..<seen + count], of: weight, rows: rows, at: first)
      let (owner, own) = (owners[weight] ?? 0, group.rank == root ? parts[index].gradient : nil)
      let gradient = try group.pair(from: root, to: owner)?.broadcast(own, from: 0) ?? own
      if group.rank == owner, let gradient { try factors[weight]?.accumulate(gradient, pool: pool) }
      (seen, index) = (seen + count, index + 1)
    }
  }

  /// What was found of a layer, at all processes; nil where no token came to it.
  func take(_ weight: ParameterID) throws -> (factor: Matrix, importance: [Float])? {
    guard let owner = owners[weight], let importance = importance.removeValue(forKey: weight) else { return nil }
    let own = factors.removeValue(forKey: weight)
    guard try group.broadcast(Int64(own?.tokens ?? 0), from: owner) > 0 else { return nil }
    return (try group.broadcast(own?.take(pool: pool), from: owner), importance)
  }
}
