import Diagnostics
import StructuredData
import Tensors

extension CompressedTensorsConfiguration {
  /// Reads the value of `quantization_config`. As strict as compressed-tensors: unknown keys of a group or of its arguments are refused,
  /// unknown keys at the top are not. What would change the values and is not supported is refused by name.
  public init(parsing document: JSONValue) throws(CheckpointError) {
    guard let object = document.object, let members = object["config_groups"]?.object, !members.isEmpty else {
      throw Self.malformed("config_groups", "it is missing, so nothing says how the weights are quantized")
    }
    try Self.checkTop(object)
    let fallback = try Self.format(object["format"], at: "format")
    var groups: [Group] = []
    for member in members.members {
      var group = try Self.group(member.value, name: member.key)
      if group.format == nil { group.format = fallback }
      groups.append(group)
    }
    let ignore = try Self.strings(object["ignore"] ?? .null, at: "ignore")
    do throws(NamePatternError) {
      try self.init(groups: groups, ignore: ignore)
    } catch {
      throw Self.malformed(error.subject, error.problem, remedy: error.remedy)
    }
  }

  static func malformed(_ key: String, _ problem: String, remedy: String = "") -> CheckpointError {
    CheckpointError(
      kind: .badData, subject: "config.json, quantization_config \(CheckpointError.shortened(key))", problem: problem, remedy: remedy)
  }

  private static func checkTop(_ object: JSONObject) throws(CheckpointError) {
    let status = object["quantization_status"]?.string ?? "absent"
    guard status == "compressed" else {
      throw malformed(
        "quantization_status", "it is \(CheckpointError.shortened(status)): only \"compressed\" checkpoints hold codes",
        remedy: "save the checkpoint in compressed form")
    }
    for key in ["kv_cache_scheme", "sparsity_config", "transform_config", "moe_sparsity_config"] {
      guard let value = object[key], !value.isNull, value.object?.isEmpty != true else { continue }
      if key == "sparsity_config", value["format"]?.string == "dense" { continue }
      throw malformed(key, "it is not supported", remedy: "use a checkpoint that is quantized in its weights only")
    }
  }

  private static func format(_ value: JSONValue?, at key: String) throws(CheckpointError) -> CompressedTensorsFormat? {
    guard let value, !value.isNull, value.string != "mixed-precision" else { return nil }
    guard let format = value.string.flatMap(CompressedTensorsFormat.init(rawValue:)) else {
      let supported = CompressedTensorsFormat.allCases.map(\.rawValue).joined(separator: ", ")
      throw malformed(
        key, "the format \(CheckpointError.shortened(value.text(pretty: false))) is not supported", remedy: "supported are \(supported)")
    }
    return format
  }

  private static func strings(_ value: JSONValue, at key: String) throws(CheckpointError) -> [String] {
    if value.isNull { return [] }
    let texts = value.array?.compactMap(\.string)
    guard let texts, texts.count == value.array?.count else { throw malformed(key, "it is not a list of strings") }
    return texts
  }

  private static func group(_ value: JSONValue, name: String) throws(CheckpointError) -> Group {
    let key = "config_groups.\(name)"
    if value.array != nil {
      // A preset's name with a list of targets.
      guard let scheme = preset(name) else {
        throw malformed(key, "the preset is not supported", remedy: "supported are W4A16, W8A8 and the like")
      }
      return Group(name: name, targets: try strings(value, at: key), scheme: scheme, format: nil)
    }
    guard let object = value.object else { throw malformed(key, "it is not an object") }
    let known = ["targets", "weights", "input_activations", "output_activations", "format"]
    if let unknown = object.keys.first(where: { !known.contains($0) }) {
      throw malformed("\(key).\(unknown)", "the key is unknown", remedy: "compressed-tensors refuses it too")
    }
    guard let output = object["output_activations"], !output.isNull else {
      return Group(
        name: name, targets: try strings(object["targets"] ?? .null, at: "\(key).targets"),
        scheme: try scheme(weights: object["weights"], inputs: object["input_activations"], at: key),
        format: try format(object["format"], at: "\(key).format"))
    }
    throw malformed("\(key).output_activations", "quantized outputs are not supported")
  }

  private static func scheme(
    weights: JSONValue?, inputs: JSONValue?, at key: String
  ) throws(CheckpointError) -> QuantizationScheme? {
    let activations = try QuantizationArguments(inputs, at: "\(key).input_activations")
    guard let arguments = try QuantizationArguments(weights, at: "\(key).weights") else {
      if activations == nil { return nil }
      throw malformed(key, "it quantizes activations but no weights, which is not supported")
    }
    var scheme = try arguments.weightScheme()
    scheme.activations = try activations?.activationQuantization(with: scheme.levels == .float8 ? scheme.granularity : nil) ?? .none
    guard scheme.isConsistent else {
      throw malformed(key, "activations of that kind are not supported with \(scheme.name)", remedy: "weights alone are")
    }
    return scheme
  }

  /// The presets of compressed-tensors with weights of 2 to 8 bits and activations of 8 or 16.
  private static func preset(_ name: String) -> QuantizationScheme? {
    let name = name.uppercased()
    if name == "W8A8" || name == "INT8" { return QuantizationScheme(bits: 8, activations: .int8) }
    func float8(_ granularity: Granularity) -> QuantizationScheme {
      QuantizationScheme(bits: 8, offset: .none, granularity: granularity, activations: .float8, levels: .float8)
    }
    if name == "FP8_DYNAMIC" { return float8(.channel) }
    if name == "FP8_BLOCK" { return float8(.block(128)) }
    if name == "NVFP4A16" { return QuantizationScheme(bits: 4, offset: .none, granularity: .group(16), levels: .float4, scales: .float8) }
    if name == "MXFP4A16" {
      return QuantizationScheme(bits: 4, offset: .none, granularity: .group(32), levels: .float4, scales: .powerOfTwo)
    }
    if name == "W4A16_ASYM" { return QuantizationScheme(bits: 4, symmetric: false, granularity: .group(128)) }
    for bits in 2...8 {
      if name == "W\(bits)A16" { return QuantizationScheme(bits: bits, granularity: .group(128)) }
      if name == "W\(bits)A8" { return QuantizationScheme(bits: bits, granularity: .group(128), activations: .int8) }
    }
    return nil
  }
}
