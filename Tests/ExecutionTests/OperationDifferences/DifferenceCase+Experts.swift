import ModelGraph

extension DifferenceCase {
  /// Heads taken apart and put together, and experts.
  static let experts: [DifferenceCase] = heads + mixtures

  private static let heads: [DifferenceCase] = [
    DifferenceCase(checks: .slice, name: "of one head", width: 13) { graph, x in
      graph.slice(x, HeadSlice(width: 13, start: 4, count: 7))
    },
    DifferenceCase(checks: .slice, name: "of three heads, beside the rest", width: 15) { graph, x in
      let layer = try graph.linear(x, "layer", outputs: 24)
      let first = graph.slice(layer, HeadSlice(heads: 3, width: 8, start: 0, count: 4))
      return graph.add(first, graph.slice(layer, HeadSlice(heads: 3, width: 8, start: 3, count: 4)))
    },
    DifferenceCase(checks: .joinHeads, name: "of their own", width: 6) { graph, x in
      let left = try graph.linear(x, "left", outputs: 9)
      return graph.joinHeads(left, try graph.linear(x, "right", outputs: 6), HeadJoin(heads: 3, left: 3, right: 2))
    },
    DifferenceCase(checks: .joinHeads, name: "with one for all", width: 6) { graph, x in
      let left = try graph.linear(x, "left", outputs: 9)
      let right = try graph.linear(x, "right", outputs: 17)
      return graph.joinHeads(left, right, HeadJoin(heads: 3, left: 3, right: 17, sharesRight: true))
    },
    DifferenceCase(checks: .rotary, name: "behind features that stay", width: 20) { graph, x in
      graph.rotary(x, RotaryEmbedding(heads: 2, headDimension: 10, rotaryDimension: 6, offset: 3, interleaved: true, base: 100))
    },
  ]

  private static func mixture(
    _ checks: OperationKind, _ name: String, _ routing: Routing, corrected: Bool = false, lengths: [Int] = [9, 1, 8],
    vanishes: Bool = false
  ) -> DifferenceCase {
    DifferenceCase(checks: checks, name: name, width: 5, lengths: lengths, vanishes: vanishes) { graph, x in
      try graph.experts(x, routing, channels: 6, corrected: corrected)
    }
  }

  private static let mixtures: [DifferenceCase] = [
    mixture(.route, "softmax", Routing(experts: 4, selected: 2, normalized: false, scale: 1.5)),
    mixture(.route, "softmax, normalized", Routing(experts: 4, selected: 2, normalized: true)),
    mixture(.route, "softmax, one expert", Routing(experts: 3, selected: 1, normalized: false)),
    mixture(.route, "all experts", Routing(experts: 3, selected: 3, normalized: false)),
    mixture(.route, "sigmoid", Routing(experts: 4, selected: 2, scoring: .sigmoid, normalized: false, scale: 2)),
    mixture(
      .route, "sigmoid in groups, corrected and normalized",
      Routing(experts: 6, selected: 2, scoring: .sigmoid, groups: .init(count: 3, kept: 2, rank: .bestTwo), normalized: true, scale: 2.5),
      corrected: true, vanishes: true),
    mixture(
      .route, "softmax in groups",
      Routing(experts: 6, selected: 2, groups: .init(count: 3, kept: 1, rank: .best), normalized: false), vanishes: true),
    mixture(
      .dispatch, "to experts that see nothing", Routing(experts: 8, selected: 1, normalized: false), lengths: [2, 1], vanishes: true),
    mixture(.combine, "more than one piece of rows", Routing(experts: 3, selected: 2, normalized: true), lengths: [70, 31]),
  ]
}
