import Diagnostics
import ModelGraph
import Tensors

/// Weight quantization as a recipe writes it, shared by every pass that quantizes: one scheme, what differs from it, what stays as it is.
public struct QuantizationTargets: Codable, Sendable, Hashable {
  /// How codes represent weights.
  public enum Method: String, Codable, Sendable, Hashable, CaseIterable { case symmetric, asymmetric }
  /// Roles that keep their precision as a whole.
  public enum MixedPrecision: String, Codable, Sendable, Hashable, CaseIterable {
    case off
    /// Attention's projections keep their stored type; only the MLP is quantized.
    case attentionFP16 = "attention-fp16"
    /// In a mixture of experts what every token uses, attention, shared experts and dense layers, has more bits than the experts that few tokens
    /// go to, which most of the weights are in.
    case roles

    /// The bits of what every token uses, beside experts of that many.
    static func widened(_ bits: Int) -> Int { bits >= 6 ? 8 : bits >= 4 ? 6 : bits + 2 }
  }

  /// What differs for some modules; −1 leaves a setting as it is.
  public struct Override: Codable, Sendable, Hashable {
    public var pattern: ModulePattern
    public var bits: Int
    public var groupSize: Int
    /// nil leaves it as it is.
    public var type: WeightType?

    private enum CodingKeys: String, CodingKey {
      case pattern, bits, type
      case groupSize = "group-size"
    }

    private struct AnyKey: CodingKey {
      let stringValue: String
      var intValue: Int? { nil }
      init(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }

    // What a recipe leaves out stays as it is; what it misspells is refused.
    public init(from decoder: any Decoder) throws {
      let known = ["pattern", "bits", "group-size", "type"]
      for key in try decoder.container(keyedBy: AnyKey.self).allKeys where !known.contains(key.stringValue) {
        let remedy = NameSuggestion.remedy(for: key.stringValue, among: known, known: "use \(known.joined(separator: ", "))")
        throw DecodingError.dataCorrupted(
          .init(
            codingPath: decoder.codingPath + [key], debugDescription: "is not a setting of an override; \(remedy)"))
      }
      let container = try decoder.container(keyedBy: CodingKeys.self)
      pattern = try container.decode(ModulePattern.self, forKey: .pattern)
      bits = try container.decodeIfPresent(Int.self, forKey: .bits) ?? -1
      groupSize = try container.decodeIfPresent(Int.self, forKey: .groupSize) ?? -1
      type = try container.decodeIfPresent(WeightType.self, forKey: .type)
    }

    public init(pattern: ModulePattern, bits: Int = -1, groupSize: Int = -1, type: WeightType? = nil) {
      self.pattern = pattern
      self.bits = bits
      self.groupSize = groupSize
      self.type = type
    }
  }

  public var bits = 8
  public var method = Method.symmetric
  /// What codes and their scales are; block types bring bits, method and group size along.
  public var type = WeightType.integer
  /// Weights that share a scale along the input axis; 0 for one scale per output channel.
  public var groupSize = 0
  public var activations = ActivationQuantization.none
  public var mixedPrecision = MixedPrecision.off
  /// Later ones win.
  public var overrides: [Override] = []
  /// Modules that stay as they are. The head and routers stay too unless an override names them.
  public var ignore: [ModulePattern] = []

  public init() {}

  private enum CodingKeys: String, CodingKey {
    case bits, method, type, activations, overrides, ignore
    case groupSize = "group-size"
    case mixedPrecision = "mixed-precision"
  }

  /// Widths of integer codes.
  private static let widths = [8, 6, 5, 4, 3, 2]

  /// What no model could do with.
  var mistake: OptionMistake? {
    if type == .integer || type == .affine, !Self.widths.contains(bits) {
      return OptionMistake("bits", "cannot be \(bits)", remedy: "use 8, 6, 5, 4, 3 or 2")
    }
    guard groupSize < 0 else { return nil }
    return OptionMistake("group-size", "cannot be \(groupSize)", remedy: "use 128, 64, 32, 16, or 0 for one scale per output channel")
  }

  /// The scheme of every weight that is to be quantized.
  ///
  /// Throws when a pattern matches nothing, a width is out of range, a group size does not divide a layer's inputs,
  /// or a named weight cannot be quantized.
  public func schemes(for graph: ModelGraph) throws(CompressionError) -> [ParameterID: QuantizationScheme] {
    try decisions(for: graph).compactMapValues(\.scheme)
  }

  /// What becomes of the weight of every linear layer, and why. Throws as `schemes` does.
  public func decisions(for graph: ModelGraph) throws(CompressionError) -> [ParameterID: Decision] {
    var decisions: [ParameterID: Decision] = [:]
    var isLeft = true
    var matchers: [(override: Override, matches: (String) -> Bool)] = []
    for override in overrides { matchers.append((override, try override.pattern.matcher())) }
    var ignored: [(pattern: ModulePattern, matches: (String) -> Bool)] = []
    for pattern in ignore { ignored.append((pattern, try pattern.matcher())) }
    var used = Set<ModulePattern>()
    let shared = graph.sharedParameters
    try checkType()
    if mixedPrecision == .roles, graph.routers.isEmpty {
      throw CompressionError(
        "--mixed-precision roles", "is for mixtures of experts, and the model has none", remedy: "use auto with --target-bpw", kind: .usage)
    }
    if mixedPrecision == .roles, MixedPrecision.widened(bits) == bits {
      throw CompressionError(
        "--mixed-precision roles", "gives nothing more than \(bits) bits", remedy: "use it with --bits 6 or fewer", kind: .usage)
    }
    for block in graph.blocks {
      for (node, weight) in graph.linears(of: block) {
        let ignoring = ignored.isEmpty ? [] : ignored.filter { $0.matches(node.scope) }.map(\.pattern)
        let applying = matchers.isEmpty ? [] : matchers.filter { $0.matches(node.scope) }.map(\.override)
        if !ignoring.isEmpty || !applying.isEmpty { used.formUnion(ignoring + applying.map(\.pattern)) }
        if let pattern = ignoring.last {
          decisions[weight] = Decision(scheme: nil, reason: .ignored(by: pattern.text))
          continue
        }
        let role = graph[weight].role
        // The head and routers decide between things that lie close together, and are small.
        let kept: StorageReason? =
          block.kind == .head
          ? .keptHead
          : role == .router
            ? .keptRouter
            : mixedPrecision == .attentionFP16 && role.isAttention
              ? .keptAttention : graph[weight].staysDense ? .keptByFormat : nil
        if applying.isEmpty, let kept {
          // A head that is tied is decided on where the embedding is.
          if decisions[weight] == nil { decisions[weight] = Decision(scheme: nil, reason: shared.contains(weight) ? .notLinear : kept) }
          continue
        }
        if shared.contains(weight) {
          throw CompressionError(
            node.scope, "shares its weight with the embedding, which stays as it is", remedy: "leave it out of --override", kind: .usage)
        }
        let isWidened = mixedPrecision == .roles && !role.isRoutedExpert
        let width = isWidened ? MixedPrecision.widened(bits) : bits
        let wanted = try wantedType(for: node.scope, applying, bits: width)
        let isSmaller = wanted.usesSuperblocks && graph[weight].shape[1] % ScaleEncoding.superblockSize != 0
        decisions[weight] = Decision(
          scheme: try scheme(for: node.scope, inputs: graph[weight].shape[1], applying, bits: width),
          reason: isSmaller
            ? .smallerBlocks(insteadOf: wanted.rawValue.uppercased())
            : applying.last.map { .overridden(by: $0.pattern.text) } ?? (isWidened ? .usedByEveryToken : .setting))
        isLeft = false
      }
    }
    for pattern in overrides.map(\.pattern) + ignore where !used.contains(pattern) {
      throw CompressionError(pattern.text, "matches no layer of the model", remedy: pattern.remedy(in: graph), kind: .usage)
    }
    guard !isLeft else {
      throw CompressionError("recipe", "leaves no layer to quantize", remedy: "ignore fewer layers", kind: .usage)
    }
    return decisions
  }

  private func scheme(
    for module: String, inputs: Int, _ overrides: [Override], bits: Int
  ) throws(CompressionError) -> QuantizationScheme {
    let bits = overrides.last { $0.bits >= 0 }?.bits ?? bits
    let size = overrides.last { $0.groupSize >= 0 }?.groupSize ?? groupSize
    if let scheme = try blockScheme(for: module, inputs: inputs, overrides, bits: bits) { return scheme }
    guard Self.widths.contains(bits) else {
      throw CompressionError(module, "cannot have \(bits) bits", remedy: "use 8, 6, 5, 4, 3 or 2", kind: .usage)
    }
    guard size >= 0, size == 0 || inputs % size == 0 else {
      let fitting = [256, 128, 64, 32, 16].filter { inputs % $0 == 0 }.map(String.init)
      throw CompressionError(
        module, "has \(inputs) inputs, which groups of \(size) do not divide",
        remedy: "use --group-size \((fitting + ["0"]).joined(separator: ", ")), or --override it", kind: .usage)
    }
    // Zero points would need the sums of every token's codes at run time: no runtime takes W8A8 with them.
    guard activations != .float8 else {
      throw CompressionError(
        "--activations float8", "needs weights that are eight-bit floats, which those of \(module) are not",
        remedy: "use --type fp8, or --activations int8", kind: .usage)
    }
    guard activations == .none || method == .symmetric else {
      throw CompressionError(
        "--activations int8", "needs symmetric weights", remedy: "use --method symmetric", kind: .usage)
    }
    let isAffine = (overrides.last { $0.type != nil }?.type ?? type) == .affine
    return QuantizationScheme(
      bits: bits, offset: isAffine ? .minimum : method == .symmetric ? .none : .zeroPoint,
      granularity: size == 0 ? .channel : .group(size), activations: activations)
  }

  /// The scheme where a type of blocks is asked for; nil where none is.
  private func blockScheme(
    for module: String, inputs: Int, _ overrides: [Override], bits: Int
  ) throws(CompressionError) -> QuantizationScheme? {
    var type = try wantedType(for: module, overrides, bits: bits)
    if type.usesSuperblocks, inputs % ScaleEncoding.superblockSize != 0 { type = type.inBlocksOf32 }
    guard var scheme = type.blockScheme else { return nil }
    if type.isFloat8, activations == .float8 { scheme.activations = .float8 }
    guard activations == scheme.activations else {
      throw CompressionError(
        "--activations \(activations.rawValue)", "does not go with \(scheme.name)",
        remedy: type.isFloat8 ? "use --activations float8, or leave it out" : "leave it out: runtimes of GGUF do so themselves",
        kind: .usage)
    }
    let size = scheme.granularity.groupSize(inputs: inputs)
    guard inputs % size == 0 || type == .fp8Block else {
      throw CompressionError(
        module, "has \(inputs) inputs, which blocks of \(size) do not divide", remedy: "--ignore it", kind: .usage)
    }
    return scheme
  }
}
