import Diagnostics

/// The names of a model's parameters and those of a GGUF file's tensors, as a table that reads both ways.
struct GGUFTensorMap: Sendable {
  /// Stacked experts: `mlp.experts` of a layer, and what its projections are called.
  struct Experts: Sendable {
    var scope: String
    var projections: KeyValuePairs<String, String>
    var count: Int
  }

  /// What stands before the number of a layer in the model: `model.layers.`
  let layerPrefix: String
  let layers: Int
  /// Blocks of the file that are no layers of the model: they predict further tokens.
  var extraBlocks = 0
  var experts: Experts?
  var latent: GGUFLatentHeads?
  /// Heads whose features turn, by the module in a layer.
  var rotatedHeads: [String: Int] = [:]
  /// What may stand before every name of the model, as where a model with a head keeps its encoder.
  var ignoredPrefix = ""
  /// What beginnings of names outside layers a file has no place for, and does without.
  var leftOut: [String] = []
  /// Tensors of the file that say what the configuration says.
  var synthesized: Set<String> = []
  private var outer = Pairs()
  private var inner = Pairs()

  private struct Pairs: Sendable {
    var tensors: [String: String] = [:]
    var parameters: [String: String] = [:]

    mutating func add(_ parameter: String, _ tensor: String) {
      tensors[parameter] = tensor
      parameters[tensor] = parameter
    }
  }

  init(layerPrefix: String = "model.layers.", layers: Int) {
    self.layerPrefix = layerPrefix
    self.layers = layers
  }

  /// Adds modules outside layers.
  mutating func addOuter(_ modules: KeyValuePairs<String, String>, _ kinds: [String] = ["weight"]) {
    for (module, tensor) in modules { for kind in kinds { outer.add("\(module).\(kind)", "\(tensor).\(kind)") } }
  }

  /// Adds modules of a layer.
  mutating func add(_ modules: KeyValuePairs<String, String>, _ kinds: [String] = ["weight"]) {
    for (module, tensor) in modules { for kind in kinds { inner.add("\(module).\(kind)", "\(tensor).\(kind)") } }
  }

  /// Adds a parameter of a layer by its whole name.
  mutating func add(parameter: String, tensor: String) { inner.add(parameter, tensor) }

  /// The name that a parameter or a module comes back under: without what may stand before it, and with the new words for old ones.
  func ownName(of name: String) -> String {
    var parameter = name.hasPrefix(ignoredPrefix) ? String(name.dropFirst(ignoredPrefix.count)) : name
    for (old, new) in [(".LayerNorm.gamma", ".LayerNorm.weight"), (".LayerNorm.beta", ".LayerNorm.bias")] where parameter.hasSuffix(old) {
      parameter = parameter.dropLast(old.count) + new
    }
    return parameter
  }

  /// Where the parameter lies in a file; nowhere, when a file does without it.
  func placements(of name: String) throws(CheckpointError) -> [GGUFPlacement] {
    let parameter = ownName(of: name)
    if let tensor = outer.tensors[parameter] { return [GGUFPlacement(tensor: tensor, transform: .asItIs)] }
    if leftOut.contains(where: parameter.hasPrefix) || parameter.hasSuffix(".rotary_emb.inv_freq") { return [] }
    guard let (layer, rest) = Self.split(parameter, behind: layerPrefix) else { throw unknown(name) }
    guard layer < layers else { return [] }
    let block = "blk.\(layer)."
    if let tensor = inner.tensors[rest] {
      return [GGUFPlacement(tensor: block + tensor, transform: transform(rest))]
    }
    if let latent, rest == "self_attn.kv_b_proj.weight" {
      return [
        GGUFPlacement(tensor: block + "attn_k_b.weight", transform: .latentKeys(latent)),
        GGUFPlacement(tensor: block + "attn_v_b.weight", transform: .latentValues(latent)),
      ]
    }
    if let experts, let (index, last) = Self.split(rest, behind: experts.scope + "."), index < experts.count, last.hasSuffix(".weight"),
      let tensor = experts.projections.first(where: { last.dropLast(".weight".count) == $0.key })?.value
    {
      return [GGUFPlacement(tensor: "\(block)\(tensor).weight", transform: .slice(index: index, of: experts.count))]
    }
    throw unknown(name)
  }

  /// What a tensor of the file holds; nothing, when it is no parameter of the model.
  func origins(of tensor: String) throws(CheckpointError) -> [GGUFOrigin] {
    if let parameter = outer.parameters[tensor] { return [GGUFOrigin(parameter: parameter, transform: .asItIs)] }
    if synthesized.contains(tensor) { return [] }
    guard let (block, rest) = Self.split(tensor, behind: "blk.") else { throw unknown(tensor) }
    guard block < layers else {
      guard block - layers < extraBlocks else { throw unknown(tensor) }
      return []
    }
    let layer = "\(layerPrefix)\(block)."
    if let parameter = inner.parameters[rest] { return [GGUFOrigin(parameter: layer + parameter, transform: transform(parameter))] }
    if let latent {
      let whole = layer + "self_attn.kv_b_proj.weight"
      if rest == "attn_k_b.weight" { return [GGUFOrigin(parameter: whole, transform: .latentKeys(latent))] }
      if rest == "attn_v_b.weight" { return [GGUFOrigin(parameter: whole, transform: .latentValues(latent))] }
    }
    if let experts, rest.hasSuffix(".weight"),
      let projection = experts.projections.first(where: { rest.dropLast(".weight".count) == $0.value })?.key
    {
      return (0..<experts.count).map {
        GGUFOrigin(parameter: "\(layer)\(experts.scope).\($0).\(projection).weight", transform: .slice(index: $0, of: experts.count))
      }
    }
    throw unknown(tensor)
  }

  private func transform(_ parameter: String) -> GGUFTransform {
    guard !rotatedHeads.isEmpty, let end = parameter.lastIndex(of: "."), let heads = rotatedHeads[String(parameter[..<end])] else {
      return .asItIs
    }
    return .rotaryPermutation(heads: heads)
  }

  /// The number behind a prefix, and what follows its dot. Numbers are written one way alone: without zeros before them.
  static func split(_ name: String, behind prefix: String) -> (number: Int, rest: String)? {
    guard name.hasPrefix(prefix) else { return nil }
    let tail = name.dropFirst(prefix.count)
    guard let dot = tail.firstIndex(of: "."), tail[..<dot].utf8.count <= 9, let number = Int(tail[..<dot]), String(number) == tail[..<dot],
      number >= 0
    else { return nil }
    return (number, String(tail[tail.index(after: dot)...]))
  }

  private func unknown(_ name: String) -> CheckpointError {
    CheckpointError(
      kind: .badData, subject: "tensor \(CheckpointError.shortened(name))", problem: "has no place in a model of this architecture",
      remedy: "check that it belongs to the model; fused or split tensors are written apart by converting again without that option")
  }
}
