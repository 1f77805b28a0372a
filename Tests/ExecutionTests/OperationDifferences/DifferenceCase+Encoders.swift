import ModelGraph

extension DifferenceCase {
  /// What encoders have that decoders do without.
  static let encoders: [DifferenceCase] =
    [1, 5, 16, 17, 40].map { width in
      DifferenceCase(checks: .layerNorm, name: "of \(width)", width: width, vanishes: width == 1) { graph, x in
        try graph.layerNorm(x, "layer", epsilon: 1e-5)
      }
    } + [
      DifferenceCase(checks: .dynamicTanh, name: "of 17", width: 17) { graph, x in try graph.dynamicTanh(x, "layer") },
      DifferenceCase(checks: .dynamicTanh, name: "beside its input, in several pieces", width: 200, lengths: [150, 90], every: 977) {
        graph, x in graph.add(x, try graph.dynamicTanh(x, "layer"))
      },
      DifferenceCase(checks: .layerNorm, name: "behind a sum, read twice", width: 12) { graph, x in
        let normed = try graph.layerNorm(graph.add(x, try graph.linear(x, "layer", outputs: 12, bias: true)), "norm", epsilon: 1e-3)
        return graph.add(normed, try graph.linear(normed, "behind", outputs: 12))
      },
      DifferenceCase(checks: .layerNorm, name: "in several pieces", width: 200, lengths: [150, 90], every: 977) { graph, x in
        try graph.layerNorm(x, "layer", epsilon: 1e-5)
      },
      DifferenceCase(checks: .addRow, name: "of the position", width: 9, lengths: [4, 1, 3], vanishes: true) { graph, x in
        try graph.addRow(x, "layer", rows: 512, .position)
      },
      DifferenceCase(checks: .addRow, name: "always the same", width: 9, vanishes: true) { graph, x in
        try graph.addRow(x, "layer", rows: 3, .constant(1))
      },
      DifferenceCase(checks: .attention, name: "of whole sequences", width: 5, lengths: [7, 1, 5]) { graph, x in
        let shape = Attention(
          queryHeads: 4, keyValueHeads: 2, headDimension: 5, valueDimension: 7, scale: 0.37, isCausal: false)
        let queries = try graph.linear(x, "queries", outputs: 20, bias: true)
        let keys = try graph.linear(x, "keys", outputs: 10)
        return graph.attention(queries, keys, try graph.linear(x, "values", outputs: 14), shape)
      },
      DifferenceCase(checks: .attention, name: "of whole sequences in blocks", width: 5, lengths: [200, 9], every: 131) { graph, x in
        let shape = Attention(
          queryHeads: 2, keyValueHeads: 2, headDimension: 5, valueDimension: 3, scale: 0.37, isCausal: false)
        let queries = try graph.linear(x, "queries", outputs: 10)
        let keys = try graph.linear(x, "keys", outputs: 10)
        return graph.attention(queries, keys, try graph.linear(x, "values", outputs: 6), shape)
      },
    ]
    + Activation.allCases.map { activation in
      DifferenceCase(checks: .activation, name: activation.rawValue, width: 17, lengths: [300, 7], size: 3, every: 37) { graph, x in
        graph.activation(x, activation)
      }
    }
}
