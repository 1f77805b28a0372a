import Execution
import Foundation
import ModelGraph
import Tensors

/// What rows of logits are worth, in float64: the sum over rows of weight times loss, in nats.
struct DoubleLoss {
  private let target: Target
  private let rowWeights: [Double]

  private enum Target {
    case tokens([Int32])
    case distribution(logits: Grid, temperature: Double)
    case partial(LossTarget.PartialDistributions)
    case policy(LossTarget.Policy)
  }

  /// - Parameter logits: what tokens are drawn from, before anything was moved: a gradient takes the draw as it fell.
  init(_ target: LossTarget, logits: Grid, rowWeights: [Float]) throws {
    self.rowWeights = rowWeights.map(Double.init)
    switch target {
    case .tokens(let tokens): self.target = .tokens(tokens)
    case .drawn(let seed, let firstRow):
      self.target = .tokens(
        (0..<logits.rows).map { row in
          let draw = Double(SeededRandom.value(seed: seed, index: UInt64(firstRow + row)) >> 11) * 0x1p-53
          var below = 0.0
          let drawn = Self.logShares(logits.row(row)).firstIndex { share in
            below += exp(share)
            return below > draw
          }
          return Int32(drawn ?? logits.columns - 1)
        })
    case .teacher(let teacher):
      let reference = try DoubleReference(
        teacher.graph, nodes: teacher.block.nodes, sequences: SequenceLayout(lengths: [teacher.input.rows]),
        input: Grid(teacher.input))
      self.target = .distribution(logits: reference.output, temperature: Double(teacher.temperature))
    case .partial(let known): self.target = .partial(known)
    case .policy(let policy): self.target = .policy(policy)
    }
  }

  /// −ln p(token); T²·Σ p ln(p / q) of the softmaxes of logits / T, over all tokens or some and the rest; or −min(r A, clip(r) A).
  func callAsFunction(_ logits: Grid) -> Double {
    var sum = 0.0
    for row in 0..<logits.rows where rowWeights[row] != 0 {
      switch target {
      case .tokens(let tokens): sum -= rowWeights[row] * Self.logShares(logits.row(row))[Int(tokens[row])]
      case .distribution(let expected, let temperature):
        let wanted = Self.logShares(expected.row(row).map { $0 / temperature })
        let given = Self.logShares(logits.row(row).map { $0 / temperature })
        sum += rowWeights[row] * temperature * temperature * zip(wanted, given).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
      case .partial(let known):
        let temperature = Double(known.temperature)
        let given = Self.logShares(logits.row(row).map { $0 / temperature })
        let span = row * known.kept..<(row + 1) * known.kept
        let (ids, wanted) = (known.ids[span].map(Int.init), known.probabilities[span].map(Double.init))
        let rest = max(0, 1 - wanted.reduce(0, +))
        let others = given.indices.filter { !ids.contains($0) }.reduce(0) { $0 + exp(given[$1]) }
        let inside = zip(ids, wanted).reduce(0) { $0 + $1.1 * (log($1.1) - given[$1.0]) }
        sum += rowWeights[row] * temperature * temperature * (inside + (rest > 0 && others > 0 ? rest * log(rest / others) : 0))
      case .policy(let policy):
        let ratio = exp(Self.logShares(logits.row(row))[Int(policy.tokens[row])] - Double(policy.logProbabilities[row]))
        let advantage = Double(policy.advantages[row])
        let clipped = min(max(ratio, 1 - Double(policy.clip)), 1 + Double(policy.clip))
        sum -= rowWeights[row] * min(ratio * advantage, clipped * advantage)
      }
    }
    return sum
  }

  /// The logarithms of the softmax.
  private static func logShares(_ logits: some Collection<Double>) -> [Double] {
    let highest = logits.max() ?? 0
    let total = logits.reduce(0) { $0 + exp($1 - highest) }
    return logits.map { $0 - highest - log(total) }
  }
}
