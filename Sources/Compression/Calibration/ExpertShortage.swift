import Execution
import ModelGraph

/// What becomes of an expert that calibration text sends few tokens to. Fewer than twice as many as it has inputs do not settle its Gram matrix:
///
/// - What it reads of the residual stream is then counted with what the whole layer reads, as if it were as many tokens as there are inputs.
/// - Of its inner channels nothing else is known: what they have in common counts less, by the share that these tokens have beside as many
///   tokens as there are channels.
///
/// Every layer's count stands in the report, and what was done in its `fallback`.
enum ExpertShortage {
  /// As many tokens settle the mean square of one input.
  private static let tokensOfColumns = 128

  static func makeUp(
    in statistics: inout [ValueID: InputStatistics], of graph: ModelGraph, _ block: Block, experts: ExpertInputs?
  ) {
    var sources: [ValueID: ValueID] = [:]
    for node in graph.nodes[block.nodes] { if case .dispatch = node.operation { sources[node.output] = node.inputs[0] } }
    for (value, found) in statistics where graph[value].route != nil {
      let (tokens, width) = (found.tokens, found.width)
      let isShort = tokens < 2 * width
      let source = sources[value]
      if let layer = source.flatMap({ statistics[$0] }) {
        if tokens < tokensOfColumns {
          found.borrow(from: layer, asTokens: tokensOfColumns / 2)
          found.note(shortage: tokens == 0 ? "no token reached this expert: calibrated by all tokens of its layer" : notice(tokens))
        }
      }
      guard let experts else { continue }
      if isShort { if source != nil { found.note(shortage: notice(tokens)) } else if tokens > 0 { found.note(shortage: inner(tokens)) } }
      found.gatherGram {
        let gram = try experts.gram(of: value)
        guard isShort else { return gram }
        if let source {
          let layer = try experts.layerGram(of: source)
          if layer.totalWeight > 0 { gram.add(layer, times: Float(Double(width) / layer.totalWeight)) }
        } else if tokens > 0 {
          gram.shrinkToDiagonal(by: Float(tokens) / Float(tokens + width))
        }
        return gram
      }
    }
  }

  private static func notice(_ tokens: Int) -> String { "\(tokens) tokens reached this expert: calibrated with all tokens of its layer" }
  private static func inner(_ tokens: Int) -> String {
    "\(tokens) tokens reached this expert: what its channels have in common counts less"
  }
}
