import Foundation
import Tensors

/// How the next token is chosen from logits.
public struct Sampling: Sendable {
  /// 0 picks the likeliest token; above it, probabilities are those of logits divided by it.
  public var temperature: Double
  /// Only the likeliest tokens that together reach this probability are considered.
  public var topP: Double
  private var random: SeededRandom

  public init(temperature: Double = 0, topP: Double = 1, seed: UInt64 = 0) {
    self.temperature = temperature
    self.topP = topP
    random = SeededRandom(seed: seed)
  }

  /// The next token id.
  public mutating func next(_ logits: [Float]) -> Int32 {
    guard let best = logits.indices.max(by: { logits[$0] < logits[$1] }) else { return 0 }
    guard temperature > 0 else { return Int32(logits.firstIndex(of: logits[best]) ?? best) }
    let peak = Double(logits[best])
    let weights = logits.map { Foundation.exp((Double($0) - peak) / temperature) }
    let total = weights.reduce(0, +)
    let order = logits.indices.sorted { weights[$0] > weights[$1] }
    var kept = 0
    var mass = 0.0
    while kept < order.count, mass < topP * total || kept == 0 {
      mass += weights[order[kept]]
      kept += 1
    }
    var remaining = random.nextUnit() * mass
    for index in order[..<kept] {
      remaining -= weights[index]
      if remaining <= 0 { return Int32(index) }
    }
    return Int32(order[0])
  }
}
