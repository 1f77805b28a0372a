import ModelGraph
import Tensors

/// What passes cost, in multiply-adds of a forward run or what takes as long. Progress bars are drawn by it; no result depends on it.
///
/// The figures for searching and rounding are rough: within a stage they are corrected by what its earlier parts came to.
package enum WorkEstimate {
  /// A weight that is read, encoded, written and digested.
  package static let storedValue = 60.0
  /// A weight that is rounded one way of several, to find what that costs.
  package static let choice = 1500.0
  /// A weight whose scale is searched and whose code is found.
  static let searchedWeight = 300.0
  /// Rounding with feedback, beside the products.
  static let feedbackWeight = 200.0

  /// Adding the outer products of as many tokens to the Gram matrix of that many inputs.
  static func gram(_ inputs: Int, tokens: Int) -> Double { Double(inputs) * Double(inputs) * Double(tokens) / 2 }
  /// Factoring it; a third of a cube, slower than products by as much.
  static func factor(_ inputs: Int) -> Double { Double(inputs) * Double(inputs) * Double(inputs) }
  /// Rounding a weight with feedback between inputs and, where they have sensitivities, outputs.
  static func feedback(rows: Int, columns: Int, isTwoSided: Bool) -> Double {
    let weights = Double(rows) * Double(columns)
    return weights * (feedbackWeight + Double(columns) / 2 + (isTwoSided ? Double(rows) / 2 : 0))
  }
  /// One sweep of coordinate descent.
  static func sweep(rows: Int, columns: Int, isTwoSided: Bool) -> Double {
    Double(rows) * Double(columns) * (feedbackWeight + Double(columns) + (isTwoSided ? Double(rows) : 0))
  }

  /// Trying factors on a sample of a layer's rows: their scales are searched, and what their outputs lose is measured.
  static func factorTrial(rows: Int, columns: Int) -> Double { Double(rows) * Double(columns) * (searchedWeight + Double(columns)) }

  /// Gathering what the linear layers of a block read: a forward run, and their Gram matrices.
  static func statistics(of block: Block, in graph: ModelGraph, tokens: Int) -> Double {
    var widths: [ValueID: Int] = [:]
    for (node, weight) in graph.linears(of: block) { widths[node.inputs[0]] = graph[weight].shape[graph[weight].shape.rank - 1] }
    return graph.operations(of: block, tokens: tokens) + widths.values.reduce(0) { $0 + gram($1, tokens: tokens) }
  }
}

/// How much calibration text a run has.
public struct CalibrationExtent: Sendable, Hashable {
  public let windows: Int
  /// Of all windows together.
  public let tokens: Int

  public init(windows: Int, tokens: Int) { (self.windows, self.tokens) = (windows, tokens) }

  package init(_ windows: [[Int32]]) { self.init(windows: windows.count, tokens: windows.reduce(0) { $0 + $1.count }) }

  /// Tokens of a window, about.
  var windowLength: Int { tokens / max(1, windows) }
}
