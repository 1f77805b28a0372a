import Compression
import Diagnostics
import StructuredData
import Yams

extension Recipe {
  /// The recipe as YAML, every option written out, so that it means the same when defaults change.
  public func yaml() -> String {
    var lines = ["version: 1", "format: \(format.rawValue)", seed > UInt64(Int64.max) ? "seed: '\(seed)'" : "seed: \(seed)"]
    if let calibration, isCalibrated { lines.append("calibration: \(calibration.json.text(pretty: false))") }
    lines.append(passes.isEmpty ? "passes: []" : "passes:")
    for pass in passes {
      lines.append("- \(type(of: pass).identifier):")
      for (key, value) in pass.options.members.map({ ($0.key, $0.value) }) {
        // JSON is YAML: nested values stay on one line, in a form that both read alike.
        lines.append("    \(key): \(value.text(pretty: false))")
      }
    }
    return lines.joined(separator: "\n") + "\n"
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
    guard text.utf8.count <= 1 << 20 else { throw RecipeError(file, "is larger than 1 MB", kind: .badConfiguration) }
    // The parser expands aliases before anyone can look: they are found in the text.
    guard !holdsAnchorOrAlias(text) else {
      throw RecipeError(file, "uses an anchor or an alias", remedy: "write values out", kind: .badConfiguration)
    }
    let document: JSONValue
    do {
      guard let node = try Yams.compose(yaml: text) else { throw RecipeError(file, "is empty", kind: .badConfiguration) }
      document = try JSONValue(yaml: node, file: file)
    } catch let error as YamlError {
      throw RecipeError(file, "is not YAML: \(error)", kind: .badConfiguration)
    }
    guard let object = document.object else { throw RecipeError(file, "is not a mapping", kind: .badConfiguration) }
    for key in object.keys where !["version", "format", "seed", "calibration", "passes"].contains(key) {
      throw RecipeError(
        file, "has the unknown key \"\(key)\"", remedy: "known are version, format, seed, calibration and passes", kind: .badConfiguration)
    }
    if let version = object["version"], version != 1 {
      throw RecipeError(
        file, "has the version \(version.text(pretty: false))", remedy: "this program reads version 1", kind: .badConfiguration)
    }
    var format = OutputFormat.compressedTensors
    if let name = object["format"] {
      guard let known = name.string.flatMap(OutputFormat.init(rawValue:)) else {
        throw RecipeError(
          "\(file): format", "\(name.text(pretty: false)) is not a format this version writes",
          remedy: "use \(OutputFormat.allCases.map(\.rawValue).joined(separator: ", "))", kind: .badConfiguration)
      }
      format = known
    }
    let seed = object["seed"] ?? 0
    // Seeds beyond a signed integer are written, and read, as they are in digits.
    guard let seed = seed.integer.flatMap(UInt64.init(exactly:)) ?? seed.string.flatMap({ UInt64($0) }) else {
      throw RecipeError("\(file): seed", "is not a whole number from 0 to 2^64 - 1", kind: .badConfiguration)
    }
    let calibration = try object["calibration"].map { try CalibrationPlan(json: $0, file: file) }
    guard let entries = object["passes"]?.array else {
      throw RecipeError(
        "\(file): passes", "is not a list", remedy: "write `passes:` and a line `- round-to-nearest: {bits: 8}`", kind: .badConfiguration)
    }
    var passes: [any RecipePass] = []
    for entry in entries {
      if let name = entry.string {
        passes.append(try PassCatalog.pass(name, options: [:]))
        continue
      }
      guard let members = entry.object?.members, members.count == 1, let member = members.first,
        let options = member.value.isNull ? [:] : member.value.object
      else {
        throw RecipeError("\(file): passes", "an entry is not `name: {options}`", kind: .badConfiguration)
      }
      passes.append(try PassCatalog.pass(member.key, options: options))
    }
    self.init(passes: passes, format: format, seed: seed, calibration: calibration)
  }
}

/// Whether a node of the text starts with `&` or `*`. A recipe needs neither, and nested aliases grow without bound.
/// Quoted text and comments do not count; inside a plain word (`re:.*up_proj`) neither character starts anything.
private func holdsAnchorOrAlias(_ text: String) -> Bool {
  let bytes = Array(text.utf8)
  var index = 0
  var startsNode = true
  while index < bytes.count {
    let byte = bytes[index]
    switch byte {
    case UInt8(ascii: "&"), UInt8(ascii: "*"):
      if startsNode { return true }
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      guard startsNode else { break }
      index += 1
      while index < bytes.count, bytes[index] != byte {
        if byte == UInt8(ascii: "\""), bytes[index] == UInt8(ascii: "\\") { index += 1 }
        index += 1
      }
    case UInt8(ascii: "#"):
      guard startsNode else { break }
      while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
    default: break
    }
    if index < bytes.count {
      startsNode = [0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ",")].contains(bytes[index])
    }
    index += 1
  }
  return false
}

extension JSONValue {
  /// A YAML node as a JSON value.
  init(yaml node: Node, file: String, depth: Int = 0) throws {
    guard depth < 32 else { throw RecipeError(file, "is nested too deeply", kind: .badConfiguration) }
    switch node {
    case .scalar(let scalar):
      if scalar.style == .doubleQuoted || scalar.style == .singleQuoted {
        self = .string(scalar.string)
      } else if let value = node.int {
        self = .integer(Int64(value))
      } else if let value = node.float, value.isFinite {
        self = .number(value)
      } else if let value = node.bool, scalar.string == "true" || scalar.string == "false" {
        self = .bool(value)
      } else if node.null != nil {
        self = .null
      } else {
        self = .string(scalar.string)
      }
    case .sequence(let sequence):
      self = .array(try sequence.map { try JSONValue(yaml: $0, file: file, depth: depth + 1) })
    case .mapping(let mapping):
      var object = JSONObject()
      for (key, value) in mapping {
        guard let name = key.string else { throw RecipeError(file, "has a key that is not a word", kind: .badConfiguration) }
        guard object[name] == nil else { throw RecipeError(file, "has the key \"\(name)\" twice", kind: .badConfiguration) }
        object[name] = try JSONValue(yaml: value, file: file, depth: depth + 1)
      }
      self = .object(object)
    case .alias: throw RecipeError(file, "uses an alias", remedy: "write values out", kind: .badConfiguration)
    }
  }
}
