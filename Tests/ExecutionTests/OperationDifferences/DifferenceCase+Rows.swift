import ModelGraph
import Tensors

extension DifferenceCase {
  /// Operations on rows and elements.
  static let rows: [DifferenceCase] = norms + activations

  private static let norms: [DifferenceCase] =
    [1, 5, 16, 17, 33, 130].map { width in
      DifferenceCase(checks: .rmsNorm, name: "rows of \(width)", width: width, vanishes: width == 1) { graph, x in
        try graph.rmsNorm(x, "norm", epsilon: 1e-5)
      }
    }
    + [(3, 5), (2, 17), (1, 33), (4, 8)].map { heads, width in
      DifferenceCase(checks: .rmsNorm, name: "\(heads) heads of \(width)", width: heads * width) { graph, x in
        try graph.rmsNorm(x, "norm", epsilon: 1e-6, perHead: width)
      }
    }
    + [
      // Squares the size of epsilon, and far below it: steps have to be smaller than what stands under the root.
      DifferenceCase(checks: .rmsNorm, name: "an epsilon that matters", width: 17, size: 3e-3, step: 1e-7) { graph, x in
        try graph.rmsNorm(x, "norm", epsilon: 1e-5)
      },
      DifferenceCase(checks: .rmsNorm, name: "rows of zeros", width: 17, size: 0, step: 1e-7, vanishes: true) { graph, x in
        try graph.rmsNorm(x, "norm", epsilon: 1e-5)
      },
      DifferenceCase(checks: .rmsNorm, name: "large values", width: 33, size: 300, step: 1e-3) { graph, x in
        try graph.rmsNorm(x, "norm", epsilon: 1e-5)
      },
      DifferenceCase(checks: .rmsNorm, name: "behind a layer and beside it", width: 17, lengths: [9]) { graph, x in
        let value = try graph.linear(x, "layer", outputs: 33)
        return graph.add(value, try graph.rmsNorm(value, "norm", epsilon: 1e-5))
      },
      // The gain's gradient is summed over pieces of the rows.
      DifferenceCase(checks: .rmsNorm, name: "4000 rows of 2 heads of 5", width: 10, lengths: [4000], every: 997) { graph, x in
        try graph.rmsNorm(x, "norm", epsilon: 1e-6, perHead: 5)
      },
    ]

  /// The functions' names first: the suite asks for each.
  private static let activations: [DifferenceCase] = Activation.allCases.flatMap { activation in
    [(5, 1.0), (17, 4), (33, 12)].map { width, size in
      DifferenceCase(checks: .gatedActivation, name: "\(activation.rawValue) of a value and itself, ±\(size)", width: width, size: size) {
        graph, x in graph.gatedActivation(x, x, activation)
      }
    } + [
      DifferenceCase(checks: .gatedActivation, name: "\(activation.rawValue) of two layers", width: 17, lengths: [9], size: 2) { graph, x in
        graph.gatedActivation(try graph.linear(x, "gate", outputs: 33), try graph.linear(x, "up", outputs: 33), activation)
      },
      DifferenceCase(checks: .gatedActivation, name: "\(activation.rawValue) of a layer and its input", width: 5, size: 2) { graph, x in
        graph.gatedActivation(try graph.linear(x, "gate", outputs: 5), x, activation)
      },
      DifferenceCase(
        checks: .gatedActivation, name: "\(activation.rawValue) of 20400 values", width: 17, lengths: [1200], size: 3, every: 3571
      ) { graph, x in
        graph.gatedActivation(x, try graph.linear(x, "up", outputs: 17), activation)
      },
    ]
  }
}
