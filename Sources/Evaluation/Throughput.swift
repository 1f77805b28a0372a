import Diagnostics
import Execution
import Foundation
import ModelGraph

/// Tokens per second of a model.
public struct Throughput: Sendable, Hashable {
  public let prefill: Double
  public let decode: Double

  /// Times both models in turn, so that a change of the machine's speed meets both: medians of `rounds` prefills of one window and of as many runs of decoding.
  /// - Parameters:
  ///   - tokens: the window to prefill with.
  ///   - decodeTokens: tokens decoded each round.
  ///   - decodesAlone: whether those follow no prompt, as other tools measure them, instead of the window.
  public static func measure(
    _ models: [ModelGraph], interpreter: Interpreter, tokens: [Int32], decodeTokens: Int = 16, rounds: Int = 3,
    decodesAlone: Bool = false
  ) throws -> [Throughput] {
    var prefill = [[Double]](repeating: [], count: models.count)
    var decode = prefill
    let clock = ContinuousClock()
    let sessions = try models.map {
      try DecodingSession(graph: $0, interpreter: interpreter, capacity: tokens.count + decodeTokens)
    }
    for round in 0...rounds {
      for (index, session) in sessions.enumerated() {
        session.restart()
        let prefillTime = try clock.measure { _ = try session.append(tokens) }
        if decodesAlone { session.restart() }
        let decodeTime = try clock.measure {
          for step in 0..<decodeTokens { _ = try session.append([tokens[step % tokens.count]]) }
        }
        // The first round warms caches up.
        guard round > 0 else { continue }
        prefill[index].append(Double(tokens.count) / prefillTime.seconds)
        decode[index].append(Double(decodeTokens) / decodeTime.seconds)
      }
    }
    return zip(prefill, decode).map {
      Throughput(prefill: quantile(0.5, ofSorted: $0.sorted()), decode: quantile(0.5, ofSorted: $1.sorted()))
    }
  }
}
