import DeepSeekOptimize
import Foundation

/// What a dry run prints of several processes.
struct RankTable {
  let ranks: PlannedRanks

  /// Ranks that differ in nothing but their number and their machine's.
  private struct Row {
    let first: PlannedRanks.Rank
    var last: Int
    var lastNode: Int

    func isLike(_ rank: PlannedRanks.Rank) -> Bool {
      (rank.layers, rank.share, rank.calibrationTokens, rank.evaluationTokens) == (
        first.layers, first.share, first.calibrationTokens, first.evaluationTokens
      )
        && (rank.bytesRead, rank.bytesWritten, rank.bytesSent, rank.bytesReceived, rank.peakMemory) == (
          first.bytesRead, first.bytesWritten, first.bytesSent, first.bytesReceived, first.peakMemory
        )
    }
  }

  private var rows: [Row] {
    ranks.ranks.reduce(into: []) { rows, rank in
      if let last = rows.indices.last, rows[last].isLike(rank) {
        (rows[last].last, rows[last].lastNode) = (rank.number, rank.node)
      } else {
        rows.append(Row(first: rank, last: rank.number, lastNode: rank.node))
      }
    }
  }

  /// Below the plan for one process.
  func lines(width: Int?, style: TextStyle) -> [String] {
    let layout = ranks.layout
    let size = NumberText.bytes
    var table = TextTable([.left, .left, .right, .right, .right, .right, .right, .right, .right, .right])
    table.header(["rank", "machine", "layers", "weights", "calibration", "evaluation", "reads", "sends", "receives", "memory"])
    for row in rows {
      let rank = row.first
      func range(_ first: Int, _ last: Int) -> String { first == last ? "\(first)" : "\(first)…\(last)" }
      table.row(
        [
          range(rank.number, row.last), range(rank.node, row.lastNode), "\(rank.layers)", String(format: "%.1f %%", 100 * rank.share),
          tokens(rank.calibrationTokens), tokens(rank.evaluationTokens), size(rank.bytesRead), size(rank.bytesSent),
          size(rank.bytesReceived), size(rank.peakMemory),
        ].map { TextTable.Cell($0) })
    }
    let machines = layout.nodes == 1 ? "1 machine" : "\(layout.nodes) machines"
    var lines = ["", "\(layout.ranks) \(layout.ranks == 1 ? "rank" : "ranks") on \(machines)", ""]
    lines += table.lines(width: width ?? .max, style: style) + [""]
    let others = ranks.memory.others.map { ", at rank 0; \(size($0.peak)) at others" } ?? ""
    let isLower = ranks.memory.first.unknown.isEmpty ? "" : ", or more"
    lines.append("memory         \(size(ranks.memory.first.peak))\(others)\(isLower)")
    if layout.ranksPerNode > 1 { lines.append("  \(size(ranks.memoryOfMachine)) on a machine of \(layout.ranksPerNode) ranks\(isLower)") }
    lines.append("exchanged      \(size(ranks.exchangedBytes))")
    for exchange in ranks.exchanges {
      lines.append(
        "  \(exchange.kind.text): \(size(exchange.bytes)) to \(exchange.recipients.text), "
          + "\(NumberText.estimate(exchange.seconds))")
    }
    lines.append("time           \(ranks.isComplete ? "about" : "at least") \(NumberText.estimate(ranks.seconds))")
    for step in ranks.steps {
      let divided = step.divisions.map(\.text).joined(separator: ", ")
      lines.append(
        "  \(step.name): \(NumberText.estimate(step.seconds)) (\(NumberText.estimate(step.secondsAlone)) of one process; \(divided))")
    }
    return lines + ranks.assumptions.map { "  assumed: \($0)" }
  }

  private func tokens(_ count: Int) -> String { count == 0 ? "–" : "\(count) tokens" }

  var json: JSONValue {
    let layout = ranks.layout
    var object: JSONObject = [
      "count": Self.number(layout.ranks), "nodes": Self.number(layout.nodes), "threads": Self.number(ranks.threads),
      "processors": Self.number(ranks.processors), "linkBytesPerSecond": .number(layout.linkRate),
      "isLinkRateAssumed": .bool(layout.isRateAssumed), "seconds": .number(ranks.seconds), "isComplete": .bool(ranks.isComplete),
      "memoryOfMachineBytes": Self.number(ranks.memoryOfMachine), "firstRankMemory": .object(ranks.memory.first.json),
      "exchangedBytes": Self.number(ranks.exchangedBytes),
      "ranks": .array(
        ranks.ranks.map { rank in
          [
            "rank": Self.number(rank.number), "node": Self.number(rank.node), "layers": Self.number(rank.layers),
            "share": .number(rank.share), "calibrationTokens": Self.number(rank.calibrationTokens),
            "evaluationTokens": Self.number(rank.evaluationTokens), "readBytes": Self.number(rank.bytesRead),
            "writtenBytes": Self.number(rank.bytesWritten), "sentBytes": Self.number(rank.bytesSent),
            "receivedBytes": Self.number(rank.bytesReceived), "peakBytes": Self.number(rank.peakMemory),
          ]
        }),
      "exchanges": .array(
        ranks.exchanges.map { exchange in
          [
            "kind": .string(exchange.kind.rawValue), "bytes": Self.number(exchange.bytes),
            "to": .string(exchange.recipients.rawValue), "seconds": .number(exchange.seconds),
          ]
        }),
      "steps": .array(
        ranks.steps.map { step in
          [
            "name": .string(step.name), "seconds": .number(step.seconds), "secondsAlone": .number(step.secondsAlone),
            "divisions": .array(step.divisions.map { .string($0.rawValue) }),
          ]
        }),
      "assumptions": .array(ranks.assumptions.map(JSONValue.string)),
    ]
    if let others = ranks.memory.others { object["otherRanksMemory"] = .object(others.json) }
    return .object(object)
  }

  private static func number(_ value: Int) -> JSONValue { .integer(Int64(value)) }
}

extension PlannedRanks.Exchange.Kind {
  fileprivate var text: String {
    switch self {
    case .layerInputs: "what layers read of the calibration text"
    case .layerOutputs: "what layers give"
    case .sums: "sums of what they read"
    case .weights: "quantized weights"
    case .scores: "scores of the evaluation"
    }
  }
}

extension PlannedRanks.Exchange.Recipients {
  fileprivate var text: String {
    switch self {
    case .all: "all"
    case .firstRank: "rank 0"
    case .readers: "those who work on it"
    }
  }
}
