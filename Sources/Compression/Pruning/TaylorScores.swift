import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// What removing each unit of every dimension would change of the loss on text, to first order: per batch the magnitude of Σ gradient × weight over
/// all weights that go with the unit, added up over batches. Holds a gradient of the model in float32.
package struct TaylorScores {
  /// A dimension, by the first parameter that belongs to it: a block of experts has many of one kind.
  private struct Place: Hashable {
    let kind: ChannelDimension.Kind
    let member: ChannelDimension.Member?

    init(_ dimension: ChannelDimension) { (kind, member) = (dimension.kind, dimension.members.first) }
  }

  private var sums: [Place: [Double]] = [:]

  /// Windows whose losses have one gradient.
  private static let batch = 8

  /// - Parameter windows: text of the kind that the model is for.
  package init(
    of graph: ModelGraph, windows: [[Int32]], interpreter: Interpreter, progress: (_ done: Int, _ total: Int) throws -> Void
  ) throws {
    let dimensions = try graph.channelDimensions()
    let members = Set(dimensions.flatMap(\.members).map(\.parameter).filter { graph[$0].shape.rank == 2 })
    let model = try LoadedModel(graph)
    for start in stride(from: 0, to: windows.count, by: Self.batch) {
      try Interruption.check()
      try progress(start, windows.count)
      let tokens = Array(windows[start..<min(start + Self.batch, windows.count)])
      let targets = tokens.flatMap { $0.dropFirst() + [0] }
      let count = Float(max(1, targets.count - tokens.count))
      let gradients = try interpreter.gradients(
        of: model, tokens: tokens.flatMap { $0 }, sequences: SequenceLayout(lengths: tokens.map(\.count)), target: .tokens(targets),
        rowWeights: tokens.flatMap { window in window.indices.map { $0 == window.count - 1 ? 0 : 1 / count } }, wanting: members
      ).parameters
      for dimension in dimensions { try add(dimension, gradients, graph) }
    }
  }

  private mutating func add(_ dimension: ChannelDimension, _ gradients: [ParameterID: Matrix], _ graph: ModelGraph) throws {
    var change = [Double](repeating: 0, count: dimension.units)
    for member in dimension.members {
      guard let gradient = gradients[member.parameter] else { continue }
      let weight = try Matrix(graph[member.parameter])
      for row in 0..<weight.rows {
        let (w, g) = (weight.row(row), gradient.row(row))
        if member.axis == 0 {
          guard let unit = member.unit(of: row, among: dimension.units) else { continue }
          change[unit] += dso_inner_product(w, g, Int64(weight.columns))
        } else {
          for column in 0..<weight.columns { change[column / member.unitWidth] += Double(w[column]) * Double(g[column]) }
        }
      }
    }
    let place = Place(dimension)
    sums[place] = zip(sums[place] ?? change.map { _ in 0 }, change).map { $0 + abs($1) }
  }

  /// Of the units of a dimension.
  func scores(of dimension: ChannelDimension) -> [Double]? {
    let found = sums[Place(dimension)]
    return found?.count == dimension.units ? found : nil
  }
}
