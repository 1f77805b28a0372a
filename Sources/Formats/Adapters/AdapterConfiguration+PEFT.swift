import Diagnostics
import Foundation
import StructuredData

extension AdapterConfiguration {
  /// Reads PEFT's `adapter_config.json`. Settings that would change what the adapter computes, or what the base model must be, and that
  /// are not supported are refused by name.
  init(peft settings: AdapterSettings) throws(CheckpointError) {
    var settings = settings
    guard let type = try settings.text("peft_type") else {
      throw settings.malformed("peft_type", "is missing", remedy: "a low-rank adapter says \"LORA\"")
    }
    guard type == "LORA" else {
      throw settings.malformed(
        "peft_type", "is \"\(CheckpointError.shortened(type))\", which is not supported",
        remedy: "merge the adapter into its model with PEFT")
    }
    try Self.refuseVariants(&settings)
    origin = .peft
    // PEFT's own defaults, which count when the file leaves them out.
    rank = try settings.rank("r") ?? 8
    alpha = try settings.factor("lora_alpha") ?? 8
    isRankStabilized = try settings.flag("use_rslora")
    isWeightDecomposed = try settings.flag("use_dora")
    targets = try Self.targets(&settings)
    rankOverrides = try Self.overrides("rank_pattern", &settings) { (reader, value, key) throws(CheckpointError) in
      try reader.rank(value, key)
    }
    alphaOverrides = try Self.overrides("alpha_pattern", &settings) { (reader, value, key) throws(CheckpointError) in
      try reader.factor(value, key)
    }
    baseModel = try settings.text("base_model_name_or_path")
    dropout = try settings.number("lora_dropout") ?? 0
    taskType = try settings.text("task_type")
    bias = try settings.text("bias") ?? "none"
    otherKeys = settings.rest
  }

  /// Settings that leave a plain adapter only when they are off.
  private static let variants = [
    "alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "lora_bias", "modules_to_save", "monteclora_config",
    "target_modules_to_tie", "target_parameters", "trainable_token_indices", "use_bdlora", "use_qalora",
  ]

  private static func refuseVariants(_ settings: inout AdapterSettings) throws(CheckpointError) {
    for key in variants {
      guard let value = settings.take(key), !value.isOff else { continue }
      throw settings.malformed(
        key, "is set, which is not supported", remedy: "merge the adapter into its model with PEFT (merge_and_unload)")
    }
    // A switch of a later version: what it does is not known, but that it does something is.
    for member in settings.rest.members
    where member.key.hasPrefix("use_") && !["use_rslora", "use_dora"].contains(member.key) && !member.value.isOff {
      throw settings.malformed(member.key, "is set, which is not supported", remedy: "merge the adapter into its model with PEFT")
    }
    guard let start = settings.rest["init_lora_weights"]?.string?.lowercased() else { return }
    if ["pissa", "corda", "olora", "loftq", "lora_ga"].contains(where: start.hasPrefix) {
      throw settings.malformed(
        "init_lora_weights", "is \"\(CheckpointError.shortened(start))\": the adapter goes with a base model whose weights were changed",
        remedy: "save it again with path_initial_model_for_weight_conversion, which makes a plain adapter of it")
    }
  }

  private static func targets(_ settings: inout AdapterSettings) throws(CheckpointError) -> AdapterTargets {
    guard let modules = try modules("target_modules", &settings) else {
      throw settings.malformed(
        "target_modules", "is missing: PEFT would take a default for the model's family",
        remedy: "write the list of the adapted modules, such as [\"q_proj\", \"v_proj\"]")
    }
    var targets = AdapterTargets(modules: modules, excluded: try Self.modules("exclude_modules", &settings))
    switch settings.take("layers_to_transform") {
    case .none: break
    case .array(let elements)?:
      let layers = elements.compactMap(\.integer)
      guard layers.count == elements.count else { throw settings.malformed("layers_to_transform", "is not a list of numbers") }
      targets.layers = layers.isEmpty ? nil : layers
    case let value?:
      guard let layer = value.integer else { throw settings.malformed("layers_to_transform", "is not a list of numbers") }
      targets.layers = [layer]
    }
    switch settings.take("layers_pattern") {
    case .none: break
    case .string(let list)?: targets.layerLists = list.isEmpty ? [] : [list]
    case let value?:
      guard let lists = value.array.flatMap(AdapterSettings.strings) else {
        throw settings.malformed("layers_pattern", "is not a list of names")
      }
      targets.layerLists = lists
    }
    guard targets.layerLists.count <= 64 else { throw settings.malformed("layers_pattern", "has more than 64 names") }
    if let list = targets.layerLists.first(where: { $0.isEmpty || !$0.utf8.allSatisfy(\.isPlain) }) {
      throw settings.malformed(
        "layers_pattern", "holds \"\(CheckpointError.shortened(list))\", an expression where only plain names are supported",
        remedy: "write the name of the list of blocks, such as \"layers\"")
    }
    return targets
  }

  private static func modules(_ key: String, _ settings: inout AdapterSettings) throws(CheckpointError) -> AdapterTargets.Modules? {
    guard let value = settings.take(key), !value.isOff else { return nil }
    if let text = value.string { return text.lowercased() == "all-linear" ? .allLinear : .expression(text) }
    guard let names = value.array.flatMap(AdapterSettings.strings) else {
      throw settings.malformed(key, "is neither a list of names nor an expression")
    }
    return .names(names)
  }

  private static func overrides<Value: Sendable & Hashable>(
    _ key: String, _ settings: inout AdapterSettings,
    _ parse: (AdapterSettings, JSONValue, String) throws(CheckpointError) -> Value
  ) throws(CheckpointError) -> [Override<Value>] {
    guard let value = settings.take(key) else { return [] }
    guard let object = value.object else { throw settings.malformed(key, "is not an object of patterns") }
    var overrides: [Override<Value>] = []
    for member in object.members {
      overrides.append(Override(pattern: member.key, value: try parse(settings, member.value, "\(key).\(member.key)")))
    }
    return overrides
  }
}

extension JSONValue {
  /// Null, false, or an empty list, object or string: what Python takes for "not set".
  fileprivate var isOff: Bool {
    switch self {
    case .null, .bool(false): true
    case .array(let elements): elements.isEmpty
    case .object(let object): object.isEmpty
    case .string(let text): text.isEmpty
    default: false
    }
  }
}

extension UInt8 {
  /// Whether the byte is a letter, a digit, `_` or `-`: such text is its own regular expression.
  var isPlain: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "_"), UInt8(ascii: "-"): true
    default: false
    }
  }
}
