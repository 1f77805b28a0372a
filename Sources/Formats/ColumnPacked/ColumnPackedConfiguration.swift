import Diagnostics
import StructuredData
import Tensors

/// The `quantization_config` of GPTQ and of AWQ: which widths, groups and zero points, for all modules or for those that a rule names.
struct ColumnPackedConfiguration: Sendable {
  let encoding: ColumnPackedEncoding
  private let base: QuantizationScheme
  private let rules: [Rule]

  /// An entry of `dynamic`; of those that match the first decides.
  private struct Rule: Sendable {
    let pattern: NamePattern
    /// Nil for what it leaves dense.
    let scheme: QuantizationScheme?
  }

  /// - Parameter settings: with "gptq" or "awq" as `quant_method`. What would change the values and is not supported is refused by name.
  init(parsing settings: JSONValue) throws(CheckpointError) {
    switch settings["quant_method"]?.string {
    case "awq":
      encoding = .awq
      base = try Self.awqScheme(settings)
      rules = []
    default:
      encoding = try Self.gptqEncoding(settings)
      let scheme = try Self.scheme(settings, over: nil)
      base = scheme
      rules = try Self.rules(settings["dynamic"], over: scheme)
    }
  }

  /// Nil for a module that stays dense.
  func scheme(of module: String) -> QuantizationScheme? {
    for rule in rules where rule.pattern.matches(module) { return rule.scheme }
    return base
  }

  private static func refused(_ key: String, _ value: JSONValue?, remedy: String) -> CheckpointError {
    CheckpointError(
      kind: .badData, subject: "config.json, quantization_config \(CheckpointError.shortened(key))",
      problem: value.map { "\(CheckpointError.shortened($0.text(pretty: false))) is not supported" } ?? "it is missing", remedy: remedy)
  }

  private static func gptqEncoding(_ settings: JSONValue) throws(CheckpointError) -> ColumnPackedEncoding {
    let key = settings["checkpoint_format"].map { $0.isNull } == false ? "checkpoint_format" : "format"
    guard settings["is_marlin_format"]?.bool != true else {
      throw refused("is_marlin_format", settings["is_marlin_format"], remedy: "use a checkpoint in the format gptq or gptq_v2")
    }
    switch settings[key]?.string {
    case nil where settings[key].map({ $0.isNull }) ?? true: return .gptq(version: 1)
    case "gptq": return .gptq(version: 1)
    case "gptq_v2": return .gptq(version: 2)
    default: throw refused(key, settings[key], remedy: "supported are gptq and gptq_v2")
    }
  }

  /// What an object says of the codes; what it leaves out stays as in `scheme`.
  private static func scheme(_ settings: JSONValue, over scheme: QuantizationScheme?) throws(CheckpointError) -> QuantizationScheme {
    func integer(_ key: String) throws(CheckpointError) -> Int? {
      guard let value = settings[key], !value.isNull else { return nil }
      guard let number = value.integer else { throw refused(key, value, remedy: "use a whole number") }
      return number
    }
    guard let bits = try integer("bits") ?? scheme?.bits else { throw refused("bits", nil, remedy: "supported are 2, 3, 4 and 8") }
    guard [2, 3, 4, 8].contains(bits) else { throw refused("bits", settings["bits"], remedy: "supported are 2, 3, 4 and 8") }
    var granularity = scheme?.granularity ?? .group(128)
    if let size = try integer("group_size") {
      guard size == -1 || (1...CompressedTensorsFormat.maximumGroupSize).contains(size) else {
        throw refused("group_size", settings["group_size"], remedy: "use a positive size, or -1 for one scale per output")
      }
      granularity = size == -1 ? .channel : .group(size)
    }
    var symmetric = scheme?.symmetric ?? true
    if let value = settings["sym"], !value.isNull {
      guard let flag = value.bool else { throw refused("sym", value, remedy: "use true or false") }
      symmetric = flag
    }
    return QuantizationScheme(bits: bits, symmetric: symmetric, granularity: granularity)
  }

  private static func rules(_ dynamic: JSONValue?, over base: QuantizationScheme) throws(CheckpointError) -> [Rule] {
    guard let dynamic, !dynamic.isNull else { return [] }
    guard let object = dynamic.object else { throw refused("dynamic", dynamic, remedy: "use an object of rules by expression") }
    var rules: [Rule] = []
    for member in object.members {
      let expression = member.key.hasPrefix("-:") || member.key.hasPrefix("+:") ? String(member.key.dropFirst(2)) : member.key
      let pattern: NamePattern
      do { pattern = try NamePattern(expression) } catch {
        throw CheckpointError(
          kind: .badData, subject: "config.json, quantization_config dynamic: \(CheckpointError.shortened(error.subject))",
          problem: error.problem, remedy: error.remedy)
      }
      rules.append(Rule(pattern: pattern, scheme: member.key.hasPrefix("-:") ? nil : try scheme(member.value, over: base)))
    }
    return rules
  }

  private static func awqScheme(_ settings: JSONValue) throws(CheckpointError) -> QuantizationScheme {
    let version = (settings["version"] ?? settings["format"]).flatMap { $0.isNull ? nil : $0 }
    if let version, version.string?.lowercased() != "gemm" { throw refused("version", version, remedy: "supported is gemm") }
    if let points = settings["zero_point"], !points.isNull, points.bool != true {
      throw refused("zero_point", points, remedy: "supported are checkpoints with zero points")
    }
    guard let bits = settings["bits"] ?? settings["w_bit"] else { throw refused("bits", nil, remedy: "supported is 4") }
    guard bits.integer == 4 else { throw refused("bits", bits, remedy: "supported is 4") }
    guard let size = settings["group_size"] ?? settings["q_group_size"] else {
      throw refused("group_size", nil, remedy: "supported are 32, 64, 128")
    }
    guard let count = size.integer, [32, 64, 128].contains(count) else {
      throw refused("group_size", size, remedy: "supported are 32, 64, 128")
    }
    return QuantizationScheme(bits: 4, symmetric: false, granularity: .group(count))
  }
}
