import ModelGraph
import Tensors

extension DifferenceCase {
  /// Linear layers of float32 and what adapters put around them.
  static let products: [DifferenceCase] = sizes + large + adapters

  /// Up to eight rows go through other kernels than more of them.
  private static let sizes = [(5, 5, 4), (17, 33, 8), (33, 17, 9), (16, 32, 13), (1, 1, 1), (31, 3, 33)].flatMap { inputs, outputs, rows in
    [false, true].map { bias in
      DifferenceCase(
        checks: .linear, name: "\(rows) rows of \(inputs) to \(outputs)\(bias ? " with a bias" : "")", width: inputs, lengths: [rows],
        vanishes: inputs == 1
      ) { graph, x in try graph.linear(x, "layer", outputs: outputs, bias: bias) }
    }
  }

  /// Beyond the blocks that products are cut into: many rows, many inputs, many outputs, and a sum that several layers add to.
  private static let large = [
    DifferenceCase(checks: .linear, name: "500 rows", width: 7, lengths: [300, 200], every: 53) { graph, x in
      try graph.linear(x, "layer", outputs: 19, bias: true)
    },
    DifferenceCase(checks: .linear, name: "700 inputs", width: 700, lengths: [9], every: 71) { graph, x in
      try graph.linear(x, "layer", outputs: 5)
    },
    DifferenceCase(checks: .linear, name: "700 outputs", width: 9, lengths: [10], every: 71) { graph, x in
      try graph.linear(x, "layer", outputs: 700, bias: true)
    },
    DifferenceCase(checks: .linear, name: "one behind the other", width: 17, lengths: [10]) { graph, x in
      try graph.linear(try graph.linear(x, "first", outputs: 33, bias: true), "layer", outputs: 5)
    },
    DifferenceCase(checks: .add, name: "two layers of one input", width: 17, lengths: [10]) { graph, x in
      graph.add(try graph.linear(x, "left", outputs: 5), try graph.linear(x, "right", outputs: 5, bias: true))
    },
    DifferenceCase(checks: .add, name: "a layer and its input", width: 33, lengths: [5]) { graph, x in
      graph.add(x, try graph.linear(x, "layer", outputs: 33))
    },
    DifferenceCase(checks: .add, name: "a value and itself", width: 17, lengths: [5]) { graph, x in graph.add(x, x) },
    DifferenceCase(checks: .add, name: "sums of sums", width: 5, lengths: [5]) { graph, x in
      let sum = graph.add(x, try graph.linear(x, "first", outputs: 5))
      return graph.add(sum, graph.add(try graph.linear(sum, "second", outputs: 5), sum))
    },
    DifferenceCase(checks: .add, name: "4000 rows", width: 17, lengths: [4000], every: 7919) { graph, x in
      graph.add(try graph.linear(x, "layer", outputs: 17), x)
    },
  ]

  private static let adapters: [DifferenceCase] = [(5, 1.7), (17, -0.25), (33, 16)].flatMap { (width: Int, scaling: Float) in
    [
      DifferenceCase(
        checks: .scale, name: "by \(scaling)", width: width, lengths: [6, 5], adapter: (rank: 3, scaling: scaling, magnitude: false)),
      DifferenceCase(
        checks: .scale, name: "by \(scaling), with a bias", width: width, lengths: [5],
        adapter: (rank: 5, scaling: scaling, magnitude: false), isOverridden: true
      ) { graph, x in try graph.linear(x, "layer", outputs: 17, bias: true) },
      DifferenceCase(
        checks: .magnitude, name: "of \(width) inputs", width: width, lengths: [6, 5],
        adapter: (rank: 3, scaling: scaling, magnitude: true)),
      DifferenceCase(
        checks: .magnitude, name: "of \(width) inputs, with a bias", width: width, lengths: [5],
        adapter: (rank: 2, scaling: scaling, magnitude: true), isOverridden: true
      ) { graph, x in try graph.linear(x, "layer", outputs: 33, bias: true) },
    ]
  }
}
