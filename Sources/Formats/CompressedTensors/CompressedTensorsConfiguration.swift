import StructuredData
import Tensors

/// The `quantization_config` of a config.json in the form of compressed-tensors: which modules are quantized, and how.
public struct CompressedTensorsConfiguration: Sendable {
  /// Modules that share a scheme.
  public struct Group: Sendable {
    /// Its key in `config_groups`.
    public var name: String
    /// Module names, `re:` expressions, or class names (`Linear`).
    public var targets: [String]
    /// Nil when the group leaves its weights dense.
    public var scheme: QuantizationScheme?
    /// Nil when the group does not say.
    public var format: CompressedTensorsFormat?
  }

  /// A quantized module, for writing.
  public struct Module: Sendable {
    public var name: String
    public var scheme: QuantizationScheme
    public var format: CompressedTensorsFormat

    public init(name: String, scheme: QuantizationScheme, format: CompressedTensorsFormat) {
      self.name = name
      self.scheme = scheme
      self.format = format
    }
  }

  public let groups: [Group]
  /// Modules that stay dense although a target matches them.
  public let ignore: [String]
  let matcher: Matcher

  /// The version of compressed-tensors whose layouts are written.
  static let writtenVersion = "0.20.0"
  /// The top-level key for what this tool has to say; loaders skip it.
  public static let toolKey = "deepseek_optimize"

  init(groups: [Group], ignore: [String]) throws(NamePatternError) {
    self.groups = groups
    self.ignore = ignore
    matcher = try Matcher(groups: groups, ignore: ignore)
  }

  /// A configuration for modules that were quantized.
  ///
  /// With one scheme the target is `Linear`. With several, each module is targeted by name or by an expression that matches the modules
  /// of its group and no other: loaders that fuse layers would let a class name win over the names of the parts.
  ///
  /// - Parameters:
  ///   - modules: every quantized linear layer.
  ///   - dense: every linear layer that stays dense, `lm_head` and the gates of mixtures included. All of them are listed in
  ///     `ignore`: a loader replaces the weights of any that is missing by garbage.
  public init(modules: [Module], dense: [String]) throws(NamePatternError) {
    var kinds: [(scheme: QuantizationScheme, format: CompressedTensorsFormat)] = []
    var members: [[String]] = []
    var positions: [QuantizationScheme: [CompressedTensorsFormat: Int]] = [:]
    for module in modules {
      if let position = positions[module.scheme]?[module.format] {
        members[position].append(module.name)
      } else {
        positions[module.scheme, default: [:]][module.format] = kinds.count
        kinds.append((module.scheme, module.format))
        members.append([module.name])
      }
    }
    let universe = modules.map(\.name) + dense
    // The routed experts' group comes first: transformers 5 falls back on that where it finds none that names them.
    let isRouted = members.map { $0.contains(where: CompressedTensorsEncoding.isExpert) }
    let order = kinds.indices.filter { isRouted[$0] } + kinds.indices.filter { !isRouted[$0] }
    let groups = order.enumerated().map { position, index in
      let targets = kinds.count == 1 ? ["Linear"] : TargetPatterns.covering(members[index], among: universe)
      return Group(name: "group_\(position)", targets: targets, scheme: kinds[index].scheme, format: kinds[index].format)
    }
    try self.init(groups: groups, ignore: dense)
  }

  /// What a user should know of the loaders, one sentence each.
  public var caveats: [String] {
    var caveats: [String] = []
    for group in groups {
      guard let scheme = group.scheme, let format = group.format else { continue }
      for caveat in format.caveats(for: scheme) where !caveats.contains(caveat) { caveats.append(caveat) }
    }
    if splitsExperts {
      caveats.append("routed experts have several schemes: transformers 5 decodes all of them by the first")
    }
    if groups.count > 1 {
      caveats.append(
        "several schemes in one checkpoint: transformers decodes them by default, but not with CompressedTensorsConfig(dequantize=True)")
    }
    return caveats
  }

  /// Whether routed experts have several schemes.
  private var splitsExperts: Bool {
    groups.count { $0.targets.contains { $0.contains(".experts.") || $0.contains("\\.experts\\.") } } > 1
  }

  /// Of mixtures, what transformers 5.23 does not load: it joins the experts of a layer, which leaves NVFP4's divisors of each and the grids of
  /// blocks behind. One sentence; nil where it takes them.
  public var expertCaveat: String? {
    let schemes = groups.compactMap(\.scheme)
    if schemes.contains(where: { $0.scales == .float8 }) {
      return "NVFP4 in a mixture of experts: transformers 5 decodes it wrongly, or not at all"
    }
    let isBlocked = schemes.contains { if case .block = $0.granularity { true } else { false } }
    return isBlocked ? "routed experts with scales per block: transformers 5 does not load them" : nil
  }

  /// How transformers is asked for the model.
  public enum TransformersLoading: Sendable { case asItIs, dequantized, notAtAll }

  public var transformersLoading: TransformersLoading {
    if splitsExperts { return .notAtAll }
    let isDequantized = groups.contains { group in group.scheme.map { group.format?.needsDequantizing($0) ?? false } ?? false }
    return !isDequantized ? .asItIs : groups.count == 1 ? .dequantized : .notAtAll
  }

  /// Whether vLLM is known to run the model: one scheme that it takes.
  public var isRunByVLLM: Bool {
    guard groups.count == 1, let scheme = groups[0].scheme, let format = groups[0].format else { return false }
    return format.isRunByVLLM(scheme)
  }
}

extension CompressedTensorsConfiguration {
  /// The value of `quantization_config`.
  /// - Parameter tool: kept under `toolKey`, where loaders do not look; nil writes none.
  public func json(tool: JSONValue? = nil) -> JSONValue {
    var formats: [CompressedTensorsFormat] = []
    for format in groups.compactMap(\.format) where !formats.contains(format) { formats.append(format) }
    var document: JSONObject = [
      "quant_method": "compressed-tensors",
      "version": .string(Self.writtenVersion),
      "format": .string(formats.count == 1 ? formats[0].rawValue : "mixed-precision"),
      // Without this status loaders fill the model with random weights.
      "quantization_status": "compressed",
      "global_compression_ratio": nil,
      "kv_cache_scheme": nil,
      "ignore": .array(ignore.map(JSONValue.string)),
      "sparsity_config": [:],
      "transform_config": [:],
      "config_groups": .object(groups.reduce(into: JSONObject()) { $0[$1.name] = $1.json }),
    ]
    if let tool { document[Self.toolKey] = tool }
    return .object(document)
  }
}

extension CompressedTensorsConfiguration.Group {
  var json: JSONValue {
    [
      "targets": .array(targets.map(JSONValue.string)),
      "format": format.map { .string($0.rawValue) } ?? .null,
      "input_activations": scheme.map(Self.activations) ?? .null,
      "output_activations": nil,
      "weights": scheme.map(Self.weights) ?? .null,
    ]
  }

  private static func weights(_ scheme: QuantizationScheme) -> JSONValue {
    var size: JSONValue = .null
    if case .group(let count) = scheme.granularity { size = .integer(Int64(count)) }
    var object: JSONObject = [
      "num_bits": .integer(Int64(scheme.bits)),
      "type": scheme.levels == .even ? "int" : "float",
      "symmetric": .bool(scheme.symmetric),
      "strategy": .string(strategy(scheme)),
      "group_size": size,
      "dynamic": false,
    ]
    if case .block(let side) = scheme.granularity { object["block_structure"] = [.integer(Int64(side)), .integer(Int64(side))] }
    switch scheme.scales {
    case .float8: object["scale_dtype"] = "torch.float8_e4m3fn"
    case .powerOfTwo: object["scale_dtype"] = "torch.uint8"
    case .direct, .superblock: break
    }
    return .object(object)
  }

  private static func strategy(_ scheme: QuantizationScheme) -> String {
    switch scheme.granularity {
    case .channel: "channel"
    case .group: scheme.scales == .float8 ? "tensor_group" : "group"
    case .tensor: "tensor"
    case .block: "block"
    }
  }

  private static func activations(_ scheme: QuantizationScheme) -> JSONValue {
    if scheme.activations == .none { return nil }
    if scheme.activations == .float8 {
      var size: JSONValue = .null
      if case .block(let side) = scheme.granularity { size = .integer(Int64(side)) }
      return [
        "num_bits": 8, "type": "float", "symmetric": true, "strategy": size.isNull ? "token" : "group", "dynamic": true, "group_size": size,
      ]
    }
    let isDynamic = scheme.activations == .int8
    return [
      "num_bits": 8, "type": "int", "symmetric": true, "strategy": isDynamic ? "token" : "tensor", "dynamic": .bool(isDynamic),
      "group_size": nil,
    ]
  }
}
