import Execution
import ModelGraph
import Tensors

extension DifferenceCase {
  /// Linear layers and embeddings of every storage. A stored weight gets the gradient of the values that it stands for.
  static let storages: [DifferenceCase] =
    weights.flatMap { name, form in
      // A group of 8 does not divide these inputs: the last one of a row is shorter.
      [(17, 5, 5), (33, 17, 9), (5, 33, 13)].map { inputs, outputs, rows in
        DifferenceCase(checks: .linear, name: "\(name), \(rows) rows of \(inputs) to \(outputs)", width: inputs, lengths: [rows]) {
          graph, x in try graph.linear(x, "layer", outputs: outputs, as: form, bias: rows == 9)
        }
      }
    } + [
      DifferenceCase(checks: .linear, name: "int4, 700 inputs", width: 700, lengths: [9], every: 71) { graph, x in
        try graph.linear(x, "layer", outputs: 5, as: grouped(4, 64, .bfloat16))
      }
    ] + roundedInputs + tables + precisions

  private static func grouped(_ bits: Int, _ size: Int, _ scales: DataType = .float32, symmetric: Bool = true) -> StoredForm {
    .quantized(QuantizationScheme(bits: bits, symmetric: symmetric, granularity: .group(size)), scales: scales)
  }

  private static let weights: [(String, StoredForm)] =
    [
      ("bfloat16", .dense(.bfloat16)),
      ("float16", .dense(.float16)),
      ("int8 by channel", .quantized(QuantizationScheme(bits: 8))),
      ("int8 by channel, asymmetric", .quantized(QuantizationScheme(bits: 8, symmetric: false), scales: .float16)),
      ("int4 by groups", grouped(4, 8, .bfloat16)),
      ("int4 by groups, asymmetric", grouped(4, 8, .float16, symmetric: false)),
    ] + [2, 3, 5, 6, 7].map { ("int\($0) by groups, asymmetric", grouped($0, 8, symmetric: false)) }

  /// int8 inputs: by a scale per row or a fixed one, which cuts the largest off, into quantized weights and into float ones in their place.
  private static let roundedInputs: [DifferenceCase] = [ActivationQuantization.int8, .int8Static].flatMap { activations in
    [(8, Granularity.channel), (4, .group(8))].flatMap { (bits: Int, granularity: Granularity) in
      [false, true].map { isOverridden in
        DifferenceCase(
          checks: .linear, name: "W\(bits), inputs \(activations.rawValue)\(isOverridden ? ", weights overridden" : "")", width: 33,
          lengths: [11], isOverridden: isOverridden
        ) { graph, x in
          let scheme = QuantizationScheme(bits: bits, granularity: granularity, activations: activations)
          return try graph.linear(
            x, "layer", outputs: 17, as: .quantized(scheme, inputScale: activations == .int8Static ? 0.0071 : nil), bias: true)
        }
      }
    }
  }

  private static let tables: [DifferenceCase] =
    [
      ("float32", .dense(.float32)), ("bfloat16", .dense(.bfloat16)), ("float16", .dense(.float16)),
      ("int8", .quantized(QuantizationScheme(bits: 8))), ("int4 by groups", grouped(4, 8, .bfloat16, symmetric: false)),
    ].flatMap { (name: String, form: StoredForm) in
      [1, 5, 17, 33].map { width in
        DifferenceCase(checks: .embedding, name: "\(name), \(width) features", width: width, lengths: [6, 7], table: form)
      }
    } + [
      DifferenceCase(checks: .embedding, name: "overridden, 130 features", width: 130, lengths: [13], isOverridden: true)
    ]

  /// Products of operands that were rounded come near, not close; how near is said for every precision.
  private static let precisions: [DifferenceCase] = ProductPrecision.allCases.flatMap { products in
    let tolerance = tolerance(of: products)
    return [(5, 17, 5), (33, 17, 9), (17, 33, 33)].map { inputs, outputs, rows in
      DifferenceCase(
        checks: .linear, name: "products in \(products.rawValue), \(rows) rows of \(inputs) to \(outputs)", width: inputs, lengths: [rows],
        products: products, tolerance: tolerance
      ) { graph, x in try graph.linear(x, "layer", outputs: outputs, bias: true) }
    } + [
      DifferenceCase(
        checks: .linear, name: "products in \(products.rawValue) with int4 by groups", width: 33, lengths: [11], products: products,
        tolerance: tolerance
      ) { graph, x in try graph.linear(x, "layer", outputs: 5, as: grouped(4, 8, .bfloat16)) }
    ]
  }

  private static func tolerance(of products: ProductPrecision) -> Double {
    switch products {
    case .float32: 5e-6
    case .bfloat16: 1e-2
    case .float16: 1e-3
    }
  }
}
