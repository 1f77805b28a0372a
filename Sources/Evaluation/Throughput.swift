import Diagnostics
import Execution
import Foundation
import ModelGraph
import Statistics

/// Tokens per second of a model.
public struct Throughput: Sendable, Hashable {
  public let prefill: Double
  public let decode: Double

  /// How many times as long a product of one row takes as its share of a product of many.
  private static let decodingSlowdown = 8

  /// Times both models in turn, so that a change of the machine's speed meets both: medians of `rounds` prefills of one window and of as many runs of decoding.
  /// - Parameters:
  ///   - tokens: the window to prefill with.
  ///   - decodeTokens: tokens decoded each round.
  ///   - decodesAlone: whether those follow no prompt, as other tools measure them, instead of the window.
  public static func measure(
    _ models: [ModelGraph], interpreter: Interpreter, tokens: [Int32], decodeTokens: Int = 16, rounds: Int = 3,
    decodesAlone: Bool = false, progress: ProgressHandler? = nil
  ) throws -> [Throughput] {
    var prefill = [[Double]](repeating: [], count: models.count)
    var decode = prefill
    let clock = ContinuousClock()
    let sessions = try models.map {
      try DecodingSession(graph: $0, interpreter: interpreter, capacity: tokens.count + decodeTokens)
    }
    // Decoding reads every weight for a single row: it takes longer than its products say.
    let costs = models.flatMap { model in
      [tokens.count, decodeTokens * decodingSlowdown].map { tokens in
        model.blocks.reduce(0) { $0 + model.operations(of: $1, tokens: tokens) }
      }
    }
    let meter = WorkMeter("Timing", costs: (0...rounds).flatMap { _ in costs }, progress: progress)
    for round in 0...rounds {
      for (index, session) in sessions.enumerated() {
        let part = (round * sessions.count + index) * 2
        meter.begin(part)
        session.restart()
        let prefillTime = try clock.measure { _ = try session.append(tokens) }
        if decodesAlone { session.restart() }
        meter.begin(part + 1)
        let decodeTime = try clock.measure {
          for step in 0..<decodeTokens { _ = try session.append([tokens[step % tokens.count]]) }
        }
        // The first round warms caches up.
        guard round > 0 else { continue }
        prefill[index].append(Double(tokens.count) / prefillTime.seconds)
        decode[index].append(Double(decodeTokens) / decodeTime.seconds)
      }
    }
    meter.finish()
    return zip(prefill, decode).map {
      Throughput(prefill: quantile(0.5, ofSorted: $0.sorted()), decode: quantile(0.5, ofSorted: $1.sorted()))
    }
  }
}
