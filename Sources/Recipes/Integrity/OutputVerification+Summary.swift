import StructuredData

extension OutputVerification {
  /// The line that says how it came out.
  public var summary: String {
    let wrong = files.filter { $0.state != .intact }
    let names = wrong.prefix(3).map { "\($0.name) \($0.note)" } + (wrong.count > 3 ? ["\(wrong.count - 3) more"] : [])
    var problems = names
    // Files that are wrong explain why a model does not open.
    if let modelProblem, wrong.isEmpty { problems.append("the model cannot be opened: \(modelProblem)") }
    return problems.isEmpty ? "\(files.count) files agree with the report, and the model opens" : problems.joined(separator: ", ")
  }

  public var json: JSONValue {
    var object: JSONObject = ["intact": .bool(isIntact), "reportSHA256": .string(reportDigest)]
    if let modelProblem { object["modelProblem"] = .string(modelProblem) }
    object["caveats"] = .array(caveats.map(JSONValue.string))
    object["files"] = .array(
      files.map { file in
        var entry: JSONObject = ["name": .string(file.name), "state": .string(file.state.rawValue)]
        entry["bytes"] = file.bytes.map { .integer(Int64($0)) }
        entry["expectedBytes"] = file.expectedBytes.map { .integer(Int64($0)) }
        entry["sha256"] = file.sha256.map(JSONValue.string)
        entry["expectedSHA256"] = file.expectedSHA256.map(JSONValue.string)
        return .object(entry)
      })
    return .object(object)
  }
}
