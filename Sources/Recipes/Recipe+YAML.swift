import Compression
import Diagnostics
import StructuredData

extension Recipe {
  /// The recipe as YAML, every option written out, so that it means the same when defaults change.
  public func yaml() -> String {
    var lines = ["version: 1", "format: \(format.rawValue)", seed > UInt64(Int64.max) ? "seed: '\(seed)'" : "seed: \(seed)"]
    if let calibration, isCalibrated { lines.append("calibration: \(Self.flow(calibration.json))") }
    lines.append(passes.isEmpty ? "passes: []" : "passes:")
    for pass in passes {
      lines.append("- \(type(of: pass).identifier):")
      for (key, value) in pass.options.members.map({ ($0.key, $0.value) }) {
        lines.append("    \(key): \(Self.flow(value))")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// JSON is YAML: nested values stay on one line, in a form that both read alike. `&` is spelled out, so that no text is taken for an anchor.
  private static func flow(_ value: JSONValue) -> String {
    value.text(pretty: false).split(separator: "&", omittingEmptySubsequences: false).joined(separator: "\\u0026")
  }

  /// The passes with their options, as reports list them.
  var listing: [JSONValue] {
    passes.map { pass in
      var object: JSONObject = ["pass": .string(type(of: pass).identifier)]
      for (key, value) in pass.options.members.map({ ($0.key, $0.value) }) { object[key] = value }
      return .object(object)
    }
  }

  /// Reads a recipe; keys that nobody knows are refused.
  /// - Parameter file: where errors point.
  public init(yaml text: String, file: String = "recipe.yaml") throws {
    let document = try RecipeDocument(text, file: file)
    guard let object = document.value.object else { throw document.refusal(ValuePath(), "", "is not a mapping") }
    let known = ["version", "format", "seed", "calibration", "passes"]
    for key in object.keys where !known.contains(key) {
      throw document.refusal(
        ValuePath([.key(key)]), key, "is not a key of recipes",
        remedy: NameSuggestion.remedy(for: key, among: known, known: "known are \(known.joined(separator: ", "))"))
    }
    if let version = object["version"], version != 1 {
      throw document.refusal(
        ValuePath([.key("version")]), "version", "is \(version.text(pretty: false))", remedy: "this program reads version 1")
    }
    self.init(
      passes: try Self.passes(object["passes"], of: document), format: try Self.format(object["format"], of: document),
      seed: try Self.seed(object["seed"], of: document),
      calibration: try object["calibration"].map { try CalibrationPlan(json: $0, of: document) })
  }

  private static func format(_ value: JSONValue?, of document: RecipeDocument) throws -> OutputFormat {
    guard let value else { return .compressedTensors }
    if let format = value.string.flatMap(OutputFormat.init(rawValue:)) { return format }
    let names = OutputFormat.allCases.map(\.rawValue)
    throw document.refusal(
      ValuePath([.key("format")]), "format", "\(value.text(pretty: false)) is not a format this version writes",
      remedy: NameSuggestion.remedy(for: value.string ?? "", among: names, known: "use \(names.joined(separator: ", "))"))
  }

  private static func seed(_ value: JSONValue?, of document: RecipeDocument) throws -> UInt64 {
    let value = value ?? 0
    // Seeds beyond a signed integer are written, and read, as they are in digits.
    guard let seed = value.integer.flatMap(UInt64.init(exactly:)) ?? value.string.flatMap({ UInt64($0) }) else {
      throw document.refusal(ValuePath([.key("seed")]), "seed", "is not a whole number from 0 to 2^64 - 1")
    }
    return seed
  }

  private static func passes(_ value: JSONValue?, of document: RecipeDocument) throws -> [any RecipePass] {
    let place = ValuePath([.key("passes")])
    guard let entries = value?.array else {
      throw document.refusal(place, "passes", "is not a list", remedy: "write `passes:` and a line `- round-to-nearest: {bits: 8}`")
    }
    return try entries.enumerated().map { index, entry in
      let place = place + .index(index)
      if let name = entry.string { return try pass(name, [:], at: place, of: document) }
      guard let members = entry.object?.members, members.count == 1, let member = members.first,
        let options = member.value.isNull ? [:] : member.value.object
      else {
        throw document.refusal(place, "passes", "an entry is not `name: {options}`")
      }
      return try pass(member.key, options, at: place + .key(member.key), of: document)
    }
  }

  private static func pass(
    _ name: String, _ options: JSONObject, at place: ValuePath, of document: RecipeDocument
  ) throws -> any RecipePass {
    do throws(OptionProblem) {
      return try PassCatalog.type(name).init(checking: options)
    } catch {
      throw document.refusal(place + error.path, error.subject, error.problem, remedy: error.remedy)
    }
  }
}
