import Diagnostics
import StructuredData
import Tensors

/// What a checkpoint of GPTQ or AWQ says of itself, for transformers, vLLM and gptqmodel.
public struct ColumnPackedDescription: Sendable {
  /// The value of `quantization_config`.
  public let json: JSONValue
  /// What a user should know of the loaders, one sentence each.
  public private(set) var caveats: [String] = []

  /// - Parameters:
  ///   - modules: every quantized linear layer with its scheme.
  ///   - dense: every linear layer that stays as it is.
  ///   - tool: name and version of this program.
  public static func describing(
    _ modules: [(name: String, scheme: QuantizationScheme)], dense: [String], as encoding: ColumnPackedEncoding,
    tool: (name: String, version: String)
  ) throws(CheckpointError) -> ColumnPackedDescription {
    let base = try Self.base(modules.map(\.scheme), as: encoding)
    switch encoding {
    case .awq: return awq(base, modules: modules, dense: dense)
    case .gptq(let version): return gptq(base, modules: modules, dense: dense, version: version, tool: tool)
    }
  }

  /// The scheme of most modules.
  /// - Throws: of kind `usage` for several schemes that one file cannot hold.
  public static func base(_ schemes: [QuantizationScheme], as encoding: ColumnPackedEncoding) throws(CheckpointError) -> QuantizationScheme
  {
    var counts: [(scheme: QuantizationScheme, count: Int)] = []
    for scheme in schemes.map(encoding.stored) {
      if let at = counts.firstIndex(where: { $0.scheme == scheme }) { counts[at].count += 1 } else { counts.append((scheme, 1)) }
    }
    let most = counts.map(\.count).max() ?? 0
    guard let base = counts.first(where: { $0.count == most })?.scheme else {
      throw CheckpointError(
        kind: .usage, subject: "--format \(encoding.name)", problem: "there is no quantized layer to write",
        remedy: "quantize some, or use --format safetensors")
    }
    let names = counts.map(\.scheme.name).joined(separator: ", ")
    if encoding == .awq, counts.count > 1 {
      throw CheckpointError(
        kind: .usage, subject: "--format awq", problem: "holds one width and one group size for all layers, not \(names)",
        remedy: "leave --override out, or use --format gptq or compressed-tensors")
    }
    if Set(counts.map(\.scheme.symmetric)).count > 1 {
      throw CheckpointError(
        kind: .usage, subject: "--format gptq", problem: "keeps zero points of all layers in one way: symmetric or not, not \(names)",
        remedy: "use --format compressed-tensors")
    }
    return base
  }

  private static func groupSize(_ scheme: QuantizationScheme) -> JSONValue {
    if case .group(let size) = scheme.granularity { .integer(Int64(size)) } else { -1 }
  }

  private static func awq(
    _ base: QuantizationScheme, modules: [(name: String, scheme: QuantizationScheme)], dense: [String]
  ) -> ColumnPackedDescription {
    var description = ColumnPackedDescription(json: [
      "quant_method": "awq", "bits": .integer(Int64(base.bits)), "group_size": groupSize(base), "zero_point": true, "version": "gemm",
      // Names in full: vLLM looks for them anywhere in a name.
      "modules_to_not_convert": .array(dense.map(JSONValue.string)),
    ])
    description.addExpertCaveat(modules.map(\.name))
    return description
  }

  private static func gptq(
    _ base: QuantizationScheme, modules: [(name: String, scheme: QuantizationScheme)], dense: [String], version: Int,
    tool: (name: String, version: String)
  ) -> ColumnPackedDescription {
    let (names, universe) = (modules.map(\.name), modules.map(\.name) + dense)
    let blocks = LayerNames(names, dense: dense)
    let isHeadQuantized = names.contains("lm_head")
    var object: JSONObject = [
      "quant_method": "gptq", "bits": .integer(Int64(base.bits)), "group_size": groupSize(base), "desc_act": false,
      "sym": .bool(base.symmetric), "lm_head": .bool(isHeadQuantized), "checkpoint_format": .string(version == 1 ? "gptq" : "gptq_v2"),
      "modules_in_block_to_quantize": .array([.array(blocks.quantized.map(JSONValue.string))]),
    ]
    if let prefix = blocks.prefix, prefix != "model.layers" { object["block_name_to_quantize"] = .string(prefix) }
    var rules = JSONObject()
    var others: [QuantizationScheme] = []
    for scheme in modules.map(\.scheme) where scheme != base && !others.contains(scheme) { others.append(scheme) }
    for scheme in others {
      let setting: JSONValue = ["bits": .integer(Int64(scheme.bits)), "group_size": groupSize(scheme), "sym": .bool(scheme.symmetric)]
      for target in TargetPatterns.covering(modules.filter { $0.scheme == scheme }.map(\.name), among: universe) {
        rules["+:\(expression(target))"] = setting
      }
    }
    // What lies in blocks; the head has a key of its own.
    let denseInBlocks = dense.filter { LayerNames.split($0) != nil }
    for target in TargetPatterns.covering(denseInBlocks, among: universe) { rules["-:\(expression(target))"] = [:] }
    if !rules.isEmpty { object["dynamic"] = .object(rules) }
    object["meta"] = ["quantizer": [.string("\(tool.name):\(tool.version)")]]
    var description = ColumnPackedDescription(json: .object(object))
    if !others.isEmpty {
      description.caveats.append(
        "several widths in one GPTQ checkpoint: gptqmodel and vLLM read the rules of \"dynamic\", transformers 5 does not")
    }
    if isHeadQuantized { description.caveats.append("the head is quantized: gptqmodel and vLLM read that, transformers 5 does not") }
    if version == 2 {
      description.caveats.append("zero points are stored as GPTQ version 2: loaders that know version 1 only are off by one")
    }
    if base.bits != 4 && base.bits != 8 { description.caveats.append("\(base.name): vLLM's fast kernels read 4 and 8 bits only") }
    description.addExpertCaveat(names)
    return description
  }

  private mutating func addExpertCaveat(_ names: [String]) {
    guard names.contains(where: CompressedTensorsEncoding.isExpert) else { return }
    caveats.append(
      "routed experts are quantized: vLLM reads them, transformers 5 does not, which keeps experts as one tensor (--format compressed-tensors is read)"
    )
  }

  /// A target of compressed-tensors as an expression that is matched from the start: to the end of the name it goes itself.
  private static func expression(_ target: String) -> String {
    if target.hasPrefix("re:") { return String(target.dropFirst(3)) }
    return target.unicodeScalars.reduce(into: "") { $0 += ".^$*+?{}[]\\|()".unicodeScalars.contains($1) ? "\\\($1)" : "\($1)" } + "$"
  }
}

/// The quantized layers as `modules_in_block_to_quantize` lists them. transformers looks for these at the end of a name, vLLM anywhere in it.
private struct LayerNames {
  /// Where the blocks are: `model.layers`; nil when they are in several places.
  let prefix: String?
  private(set) var quantized: [String] = []

  init(_ names: [String], dense: [String]) {
    let placed = names.compactMap { name in Self.split(name).map { (name: name, prefix: $0.prefix, rest: $0.rest) } }
    let prefixes = Set(placed.map(\.prefix))
    prefix = prefixes.count == 1 ? prefixes.first : nil
    // A name within the block stands for all blocks, if no dense layer has it in its own.
    let restsOfDense = Set(dense.flatMap { Self.endings(of: $0) })
    var seen = Set<String>()
    for layer in placed {
      let listed = restsOfDense.contains(layer.rest) ? layer.name : layer.rest
      if seen.insert(listed).inserted { quantized.append(listed) }
    }
  }

  /// What of a name stands before and behind its first number.
  static func split(_ name: String) -> (prefix: String, rest: String)? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard let at = parts.firstIndex(where: { !$0.isEmpty && $0.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } })
    else { return nil }
    let rest = parts[(at + 1)...].joined(separator: ".")
    return rest.isEmpty ? nil : (parts[..<at].joined(separator: "."), rest)
  }

  /// The name without its first parts, one less each time.
  private static func endings(of name: String) -> [String] {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.indices.map { parts[$0...].joined(separator: ".") }
  }
}
