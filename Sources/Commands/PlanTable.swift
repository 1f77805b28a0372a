import DeepSeekOptimize
import Foundation

/// What a dry run prints.
struct PlanTable {
  let plan: CompressionRun.Plan
  let output: URL

  /// A line of the table: one weight, or the weights of experts that are alike.
  private struct Row {
    var name: String
    let layer: CompressionRun.Plan.Layer
    var count = 1
  }

  /// - Parameter width: of the terminal; nil for a file.
  func text(width: Int?, style: TextStyle) -> String {
    var table = TextTable([.left, .left, .left, .left, .right, .left])
    table.header(["tensor", "shape", "source", "stored as", "bytes", "why"])
    for row in rows {
      let bytes = NumberText.bytes(row.layer.outputBytes)
      table.row(
        [
          row.name, row.layer.shape.description, row.layer.sourceType, row.layer.storage.text,
          row.count == 1 ? bytes : "\(row.count) × \(bytes)", row.layer.reason.description,
        ].map { TextTable.Cell($0) })
    }
    let ranks = plan.ranks.map { RankTable(ranks: $0).lines(width: width, style: style) } ?? []
    return (table.lines(width: width ?? .max, style: style) + [""] + summary + ranks).joined(separator: "\n")
  }

  /// Weights of experts that differ by nothing but their number are one row, where the first of them stands.
  private var rows: [Row] {
    struct Key: Hashable {
      let before: Substring, after: Substring
      let shape: Shape
      let storage: WeightStorage
      let reason: StorageReason
    }
    var rows: [Row] = []
    var places: [Key: Int] = [:]
    var numbers: [Int: [Int]] = [:]
    var keys: [Int: Key] = [:]
    for layer in plan.layers {
      guard let (before, number, after) = Self.split(layer.name) else {
        rows.append(Row(name: layer.name, layer: layer))
        continue
      }
      let key = Key(before: before, after: after, shape: layer.shape, storage: layer.storage, reason: layer.reason)
      if let place = places[key] {
        rows[place].count += 1
        numbers[place, default: []].append(number)
      } else {
        places[key] = rows.count
        numbers[rows.count] = [number]
        keys[rows.count] = key
        rows.append(Row(name: layer.name, layer: layer))
      }
    }
    for (place, found) in numbers where found.count > 1 {
      guard let key = keys[place] else { continue }
      rows[place].name = "\(key.before){\(Self.ranges(found.sorted()))}\(key.after)"
    }
    return rows
  }

  /// A name around the number of an expert.
  private static func split(_ name: String) -> (before: Substring, number: Int, after: Substring)? {
    // By bytes: a hundred thousand names are looked through.
    let bytes = name.utf8
    var end = bytes.startIndex
    while let dot = bytes[end...].firstIndex(of: UInt8(ascii: ".")) {
      end = bytes.index(after: dot)
      guard bytes[end...].starts(with: "experts.".utf8) else { continue }
      let start = bytes.index(end, offsetBy: 8)
      let digits = bytes[start...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      guard let number = Int(Substring(digits)) else { return nil }
      return (name[..<start], number, name[digits.endIndex...])
    }
    return nil
  }

  /// `0…255`, `0…3, 7`.
  private static func ranges(_ numbers: [Int]) -> String {
    var ranges: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = ranges.last, number == last.upperBound + 1 {
        ranges[ranges.count - 1] = last.lowerBound...number
      } else {
        ranges.append(number...number)
      }
    }
    return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)…\($0.upperBound)" }.joined(separator: ", ")
  }

  private var summary: [String] {
    let ratio = String(format: "%.3f", Double(plan.outputBytes) / Double(max(1, plan.sourceBytes)))
    let (memory, traffic, time) = (plan.memory, plan.traffic, plan.time)
    // Every byte is in the JSON.
    let size = NumberText.bytes
    var lines = [
      "tensors        \(size(plan.sourceBytes)) → \(size(plan.outputBytes)) (\(ratio)x), \(String(format: "%.4f", plan.bitsPerWeight)) bits per weight",
      "largest block  \(size(plan.largestBlockBytes)) before and after together",
    ]
    let phase = memory.largest.map { " while \($0.name) \($0.place)" } ?? ""
    lines.append("peak memory    \(size(memory.peak))\(phase)\(memory.unknown.isEmpty ? "" : ", or more")")
    for phase in memory.phases {
      lines.append("  \(phase.name): \(size(phase.weights)) of weights, \(size(phase.activations)) of activations (\(phase.place))")
    }
    lines.append(
      "  \(size(memory.base)) for both models' names and graphs, \(size(memory.allowance)) allowed for what is not counted one by one")
    if !memory.unknown.isEmpty { lines.append("  what \(memory.unknown.joined(separator: ", ")) holds beside is not estimated") }
    if let limit = plan.maximumMemory, memory.peak > limit {
      lines.append("  more than --max-memory \(size(limit)): activations give way to it, weights do not")
    }
    lines.append("bytes to move  \(size(traffic.read)) read, \(size(traffic.written)) written")
    for step in traffic.steps { lines.append("  \(step.name): \(size(step.read)) read, \(size(step.written)) written") }
    lines.append("time           \(time.isComplete ? "about" : "at least") \(NumberText.estimate(time.seconds))")
    for step in time.steps { lines.append("  \(step.name): \(NumberText.estimate(step.seconds)) (\(step.basis))") }
    lines += time.assumptions.map { "  assumed: \($0)" }
    if !plan.canRun { lines.append("the source's files hold headers only: this can be planned, and not be run") }
    lines.append("output         \(output.path) (nothing was written)")
    return lines
  }

  var json: JSONValue {
    var object: JSONObject = [
      "output": .string(output.path), "canRun": .bool(plan.canRun), "sourceBytes": Self.number(plan.sourceBytes),
      "outputBytes": Self.number(plan.outputBytes), "bitsPerWeight": .number(plan.bitsPerWeight),
      "largestBlockBytes": Self.number(plan.largestBlockBytes), "memory": memory, "traffic": traffic, "time": time,
      "tensors": .array(
        plan.layers.map { layer in
          [
            "name": .string(layer.name), "shape": .array(layer.shape.dimensions.map { Self.number($0) }),
            "source": .string(layer.sourceType), "storedAs": .string(layer.storage.text), "reason": .string(layer.reason.code),
            "why": .string(layer.reason.description), "sourceBytes": Self.number(layer.sourceBytes),
            "outputBytes": Self.number(layer.outputBytes),
          ]
        }),
    ]
    if let ranks = plan.ranks { object["ranks"] = RankTable(ranks: ranks).json }
    return .object(object)
  }

  private static func number(_ value: Int) -> JSONValue { .integer(Int64(value)) }

  private var memory: JSONValue {
    var object = plan.memory.json
    if let limit = plan.maximumMemory { object["limitBytes"] = Self.number(limit) }
    return .object(object)
  }

  private var traffic: JSONValue {
    [
      "readBytes": Self.number(plan.traffic.read), "writtenBytes": Self.number(plan.traffic.written),
      "steps": .array(
        plan.traffic.steps.map { step in
          ["name": .string(step.name), "readBytes": Self.number(step.read), "writtenBytes": Self.number(step.written)]
        }),
    ]
  }

  private var time: JSONValue {
    [
      "seconds": .number(plan.time.seconds), "isComplete": .bool(plan.time.isComplete),
      "steps": .array(
        plan.time.steps.map { step in
          ["name": .string(step.name), "seconds": .number(step.seconds), "basis": .string(step.basis)]
        }),
      "assumptions": .array(plan.time.assumptions.map(JSONValue.string)),
    ]
  }
}

extension PlannedMemory {
  var json: JSONObject {
    var object: JSONObject = [
      "peakBytes": .integer(Int64(peak)), "baseBytes": .integer(Int64(base)), "allowanceBytes": .integer(Int64(allowance)),
      "isLowerBound": .bool(!unknown.isEmpty),
      "phases": .array(
        phases.map { phase in
          [
            "name": .string(phase.name), "place": .string(phase.place), "weightBytes": .integer(Int64(phase.weights)),
            "activationBytes": .integer(Int64(phase.activations)),
          ]
        }),
    ]
    if let largest { object["largestPhase"] = .string(largest.name) }
    return object
  }
}
