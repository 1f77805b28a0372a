import ModelGraph
import Tensors

extension DifferenceCase {
  /// Operations that know positions: rotary embedding and attention.
  static let mixing: [DifferenceCase] = rotations + attentions

  private static func rotation(
    _ name: String, heads: Int, of dimension: Int, turning: Int, interleaved: Bool = false, base: Double = 10_000,
    scaling: RotaryScaling = .none, lengths: [Int] = [4, 1, 3], positions: [Int]? = nil
  ) -> DifferenceCase {
    DifferenceCase(
      checks: .rotary, name: "\(name), \(heads) heads of \(dimension), \(turning) turning", width: heads * dimension, lengths: lengths,
      positions: positions
    ) { graph, x in
      graph.rotary(
        x,
        RotaryEmbedding(
          heads: heads, headDimension: dimension, rotaryDimension: turning, interleaved: interleaved, base: base, scaling: scaling))
    }
  }

  private static let rotations: [DifferenceCase] =
    [("half-split", false), ("interleaved", true)].flatMap { name, interleaved in
      [(1, 2, 2), (3, 6, 6), (2, 34, 34), (3, 11, 6), (2, 17, 10), (1, 33, 32)].map { heads, dimension, turning in
        rotation(name, heads: heads, of: dimension, turning: turning, interleaved: interleaved)
      } + [
        rotation(
          "\(name), sequences that go on", heads: 2, of: 10, turning: 8, interleaved: interleaved, base: 100, lengths: [3, 5, 1],
          positions: [7, 0, 20])
      ]
    } + [
      rotation("linear scaling", heads: 2, of: 10, turning: 10, scaling: .linear(factor: 3.5)),
      rotation(
        "Llama 3 scaling", heads: 2, of: 10, turning: 10,
        scaling: .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 64), positions: [20, 0, 3]),
      rotation("YaRN", heads: 2, of: 18, turning: 18, scaling: .yarn(.init(factor: 4, originalContext: 64)), positions: [20, 0, 3]),
      rotation("YaRN with a given magnitude", heads: 2, of: 18, turning: 18, scaling: .yarn(givenYarn)),
      rotation("YaRN with two scales", heads: 2, of: 18, turning: 18, interleaved: true, scaling: .yarn(scaledYarn)),
    ]

  private static var givenYarn: RotaryScaling.Yarn {
    var yarn = RotaryScaling.Yarn(factor: 4, originalContext: 64)
    (yarn.attentionFactor, yarn.truncate) = (0.75, false)
    return yarn
  }

  private static var scaledYarn: RotaryScaling.Yarn {
    var yarn = RotaryScaling.Yarn(factor: 40, originalContext: 4096)
    (yarn.mscale, yarn.mscaleAllDimensions) = (1, 0.5)
    return yarn
  }

  /// Queries, keys and values from a layer each, whose outputs' gradients are compared too.
  private static func attention(
    _ name: String, heads: (Int, Int), of width: Int, values: Int, window: Int? = nil, selection: BlockSelection? = nil,
    lengths: [Int] = [7, 1, 5], size: Double = 1,
    positions: [Int]? = nil, every: Int = 1, vanishes: Bool = false
  ) -> DifferenceCase {
    let shape = Attention(
      queryHeads: heads.0, keyValueHeads: heads.1, headDimension: width, valueDimension: values, scale: 0.37, slidingWindow: window,
      selection: selection)
    return DifferenceCase(
      checks: .attention, name: "\(name), \(heads.0)/\(heads.1) heads of \(width) and \(values)", width: 5, lengths: lengths,
      positions: positions, size: size, every: every, vanishes: vanishes
    ) { graph, x in
      let queries = try graph.linear(x, "queries", outputs: heads.0 * width, bias: true)
      let keys = try graph.linear(x, "keys", outputs: heads.1 * width)
      return graph.attention(queries, keys, try graph.linear(x, "values", outputs: heads.1 * values), shape)
    }
  }

  private static let attentions: [DifferenceCase] = [
    attention("causal", heads: (1, 1), of: 5, values: 5),
    attention("several heads", heads: (3, 3), of: 5, values: 17),
    attention("grouped queries", heads: (4, 2), of: 5, values: 7),
    attention("one key head", heads: (5, 1), of: 17, values: 5),
    attention("whole vectors", heads: (2, 1), of: 16, values: 16),
    attention("wide heads", heads: (2, 1), of: 33, values: 33, lengths: [6, 3]),
    attention("a window", heads: (4, 2), of: 5, values: 5, window: 3),
    attention("a window of one", heads: (2, 1), of: 5, values: 5, window: 1, vanishes: true),
    attention("a window that is never full", heads: (2, 2), of: 5, values: 5, window: 100),
    attention("chosen blocks", heads: (4, 2), of: 5, values: 7, selection: .init(block: 2, count: 2), lengths: [13, 1, 6]),
    attention("chosen tokens", heads: (2, 1), of: 17, values: 5, selection: .init(block: 1, count: 3), lengths: [9, 4]),
    attention("its own block only", heads: (2, 2), of: 5, values: 5, selection: .init(block: 4, count: 1), lengths: [11, 3]),
    attention("more blocks than there are", heads: (2, 1), of: 16, values: 16, selection: .init(block: 3, count: 20)),
    attention(
      "several pieces of chosen blocks", heads: (2, 1), of: 5, values: 3, selection: .init(block: 16, count: 9), lengths: [300],
      every: 131),
    attention("sequences of one token", heads: (2, 1), of: 5, values: 5, lengths: [1, 1, 1], vanishes: true),
    attention("sequences that go on", heads: (2, 1), of: 5, values: 5, lengths: [4, 6], positions: [3, 9]),
    attention("sharp", heads: (2, 1), of: 17, values: 5, size: 4),
    attention("several blocks", heads: (2, 1), of: 5, values: 3, lengths: [150, 9], every: 97),
    attention("several blocks in a window", heads: (2, 1), of: 3, values: 5, window: 37, lengths: [300], every: 131),
    attention("a window beyond a block", heads: (2, 2), of: 3, values: 5, window: 140, lengths: [300], every: 131),
    DifferenceCase(checks: .attention, name: "of a value to itself", width: 17, lengths: [6, 4]) { graph, x in
      graph.attention(
        x, x, x, Attention(queryHeads: 1, keyValueHeads: 1, headDimension: 17, valueDimension: 17, scale: 0.3))
    },
    DifferenceCase(checks: .attention, name: "of turned queries and keys beside the input", width: 12, lengths: [6, 4]) { graph, x in
      let rotary = RotaryEmbedding(heads: 2, headDimension: 6, rotaryDimension: 6, base: 100)
      let queries = graph.rotary(x, rotary)
      let keys = graph.rotary(try graph.rmsNorm(x, "norm", epsilon: 1e-5, perHead: 6), rotary)
      let mixed = graph.attention(
        queries, keys, x, Attention(queryHeads: 2, keyValueHeads: 2, headDimension: 6, valueDimension: 6, scale: 0.4))
      return graph.add(x, mixed)
    },
  ]
}
