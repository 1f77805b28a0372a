import Foundation
import Reporting
import StructuredData

/// What a run has seen so far: it is saved with the state, so that a resumed run tells the whole story and stops when the other would.
struct FinetuneHistory {
  private(set) var losses: [Double] = []
  private(set) var evaluations: [(step: Int, loss: Double)] = []
  private(set) var best: (step: Int, loss: Double)?
  private(set) var tokens = 0
  private(set) var seconds = 0.0
  private(set) var skipped: [Int] = []

  init() {}

  mutating func add(loss: Double, tokens: Int, seconds: Double, isSkipped: Bool) {
    if isSkipped { skipped.append(losses.count) }
    losses.append(loss)
    self.tokens += tokens
    self.seconds += seconds
  }

  /// - Returns: whether it is the best so far.
  mutating func add(evaluation loss: Double, step: Int) -> Bool {
    evaluations.append((step, loss))
    guard loss < best?.loss ?? .infinity else { return false }
    best = (step, loss)
    return true
  }

  /// Evaluations since the best one.
  var evaluationsSinceBest: Int { evaluations.reversed().prefix { $0.step != best?.step }.count }

  // Bit patterns: a resumed run must compare the very same numbers, and not every one of them can be written in JSON.
  private static func text(_ value: Double) -> JSONValue { .string(String(value.bitPattern, radix: 16)) }
  private static func number(_ value: JSONValue?) -> Double? {
    value?.string.flatMap { UInt64($0, radix: 16) }.map(Double.init(bitPattern:))
  }

  var notes: JSONObject {
    var notes = JSONObject()
    notes["losses"] = .array(losses.map(Self.text))
    notes["evaluations"] = .array(evaluations.map { .array([.integer(Int64($0.step)), Self.text($0.loss)]) })
    notes["tokens"] = .integer(Int64(tokens))
    notes["seconds"] = Self.text(seconds)
    notes["skipped"] = .array(skipped.map { .integer(Int64($0)) })
    return notes
  }

  init?(_ notes: JSONObject) {
    guard let losses = notes["losses"]?.array?.map(Self.number), let evaluations = notes["evaluations"]?.array,
      let tokens = notes["tokens"]?.integer, let seconds = Self.number(notes["seconds"]), let skipped = notes["skipped"]?.array
    else { return nil }
    self.losses = losses.compactMap { $0 }
    guard self.losses.count == losses.count else { return nil }
    for entry in evaluations {
      guard let pair = entry.array, pair.count == 2, let step = pair[0].integer, let loss = Self.number(pair[1]) else { return nil }
      _ = add(evaluation: loss, step: step)
    }
    (self.tokens, self.seconds, self.skipped) = (tokens, seconds, skipped.compactMap(\.integer))
  }

  /// The most losses that a report lists.
  private static let listed = 2000

  var reportedLosses: [CompressionReport.Training.Point] {
    let count = losses.count
    let places = count <= Self.listed ? Array(0..<count) : (0..<Self.listed).map { $0 * (count - 1) / (Self.listed - 1) }
    return places.map { .init(step: $0, loss: losses[$0]) }
  }
}
