import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// How much a unit of a dimension matters.
public enum ChannelImportance: String, Codable, Sendable, Hashable, CaseIterable {
  /// The sum of magnitudes of all weights that go with it.
  case l1
  /// The sum of their squares.
  case l2
  /// The sum of magnitudes of the weights that read it, each times the root mean square of what they read (Wanda, Sun et al. 2023, as a whole
  /// for structures: Wanda-sp, An et al. 2023). Needs text.
  case wanda
  /// The sum of squares of the weights that read it, each times the variance of what they read: what stays the same can be made up for (FLAP,
  /// An et al. 2023). Needs text.
  case fluctuation
  /// The root of the sum of mean squares of what is read of it, whatever the weights (Minitron, Muralidharan et al. 2024). Needs text.
  case activations
  /// The magnitude of the sum of all its weights, each times its gradient, batch by batch of text (Molchanov et al. 2019; LLM-Pruner, Ma et al. 2023).
  /// Needs text, and the whole model's gradient in memory.
  case taylor

  /// Whether it looks at text.
  public var needsText: Bool { self != .l1 && self != .l2 }

  /// Whether it says anything of the width of the residual stream.
  var judgesHidden: Bool { self == .l1 || self == .l2 || self == .taylor }

  /// The same by what text sends through the block.
  func scores(of dimension: ChannelDimension, in graph: ModelGraph, _ calibration: BlockCalibration) throws -> [Double] {
    var scores = [Double](repeating: 0, count: dimension.units)
    let statistics = try calibration.statistics(self == .fluctuation ? [.gram, .means] : .gram, in: graph)
    for member in dimension.members where member.axis == 1 {
      guard let node = graph.linears(of: calibration.block).first(where: { $0.weight == member.parameter })?.node,
        let read = statistics[node.inputs[0]]
      else { continue }
      let matrix = try Matrix(graph[member.parameter])
      let parts: [Double]
      switch self {
      case .fluctuation: parts = zip(Self.l2.columnSums(matrix), read.variance ?? read.meanSquare).map { $0 * Double($1) }
      case .activations: parts = read.meanSquare.map(Double.init)
      default: parts = zip(Self.l1.columnSums(matrix), read.meanSquare).map { $0 * Double($1).squareRoot() }
      }
      for (index, part) in parts.enumerated() {
        if let unit = member.unit(of: index, among: dimension.units) { scores[unit] += part }
      }
    }
    return try requireFinite(scores, of: dimension, in: graph)
  }

  /// Scores that are no numbers would order units by chance.
  func requireFinite(_ scores: [Double], of dimension: ChannelDimension, in graph: ModelGraph) throws -> [Double] {
    guard !scores.allSatisfy(\.isFinite) else { return scores }
    let name = dimension.block.map { graph.blocks[$0].name } ?? "the model"
    let unfit = CompressionError(
      "\(dimension.kind.rawValue) of \(name)", "cannot be judged by \(rawValue): weights, activations or gradients are far out of range",
      remedy: "judge by l1, or repair the checkpoint", kind: .badData)
    throw graph.notFinite(among: dimension.members.map(\.parameter)) ?? graph.notFinite() ?? unfit
  }

  /// - Returns: for every unit of the dimension, the sum over its members of the weights' magnitudes or squares.
  /// - Throws: for weights that are quantized or no numbers.
  public func scores(of dimension: ChannelDimension, in graph: ModelGraph, pool: ThreadPool) throws -> [Double] {
    var scores = [Double](repeating: 0, count: dimension.units)
    for member in dimension.members {
      try Interruption.check()
      let parameter = graph[member.parameter]
      guard !parameter.isQuantized else {
        throw CompressionError(
          parameter.name, "is quantized: its channels cannot be removed", remedy: "start from the unquantized model", kind: .usage)
      }
      // A gain or a bias says nothing of what flows through the channel.
      guard parameter.shape.rank == 2 else { continue }
      let matrix = try Matrix(parameter)
      parameter.releasePages()
      let sums = member.axis == 0 ? rowSums(matrix, pool) : columnSums(matrix)
      for (index, sum) in sums.enumerated() {
        if let unit = member.unit(of: index, among: dimension.units) { scores[unit] += sum }
      }
    }
    return try requireFinite(scores, of: dimension, in: graph)
  }

  private func rowSums(_ matrix: Matrix, _ pool: ThreadPool) -> [Double] {
    var sums = [Double](repeating: 0, count: matrix.rows)
    sums.withUnsafeMutableBufferPointer { sums in
      nonisolated(unsafe) let sums = sums
      pool.ranges(of: matrix.rows, grain: 64) { rows in
        for row in rows {
          let count = Int64(matrix.columns)
          sums[row] = self == .l1 ? dso_sum_magnitudes(matrix.row(row), count) : dso_sum_squares(matrix.row(row), count)
        }
      }
    }
    return sums
  }

  private func columnSums(_ matrix: Matrix) -> [Double] {
    var sums = [Double](repeating: 0, count: matrix.columns)
    let (rows, columns) = (Int64(matrix.rows), Int64(matrix.columns))
    sums.withUnsafeMutableBufferPointer { target in
      dso_column_statistics(
        matrix.pointer, columns, rows, columns, nil, self == .l1 ? target.baseAddress : nil, self == .l2 ? target.baseAddress : nil)
    }
    return sums
  }
}
