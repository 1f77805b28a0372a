import StructuredData
import Tensors

extension AdapterCheckpoint {
  func peftTensors() -> [(name: String, tensor: Tensor)] {
    modules.flatMap { module -> [(name: String, tensor: Tensor)] in
      let prefix = AdapterTensorKey.peftPrefix + module.name
      let isLinear = module.kind == .linear
      var tensors = [
        (prefix + (isLinear ? ".lora_A.weight" : ".lora_embedding_A"), module.a),
        (prefix + (isLinear ? ".lora_B.weight" : ".lora_embedding_B"), module.b),
      ]
      if let magnitude = module.magnitude { tensors.append((prefix + ".lora_magnitude_vector", magnitude)) }
      return tensors
    }
  }

  /// The settings that PEFT needs, each said and none left to a default.
  func peftConfiguration(among modelModules: [String]?) -> JSONObject {
    let ranks = PatternTable(modules.map { ($0.name, $0.rank) })
    let alphas = PatternTable(modules.map { ($0.name, configuration.alpha(givingScaling: $0.scaling, rank: $0.rank)) })
    let (rank, rankPattern) = ranks.summary(preferring: configuration.rank)
    let (alpha, alphaPattern) = alphas.summary(preferring: configuration.alpha)
    var document: JSONObject = [
      "peft_type": "LORA",
      "task_type": .string(configuration.taskType ?? "CAUSAL_LM"),
      "base_model_name_or_path": configuration.baseModel.map(JSONValue.string) ?? .null,
      "inference_mode": true,
      "r": .integer(Int64(rank)),
      "lora_alpha": Self.number(alpha),
      "lora_dropout": Self.number(configuration.dropout),
      "bias": "none",
      "use_rslora": .bool(configuration.isRankStabilized),
      "use_dora": .bool(configuration.isWeightDecomposed),
      "target_modules": .array(targetNames(among: modelModules).map(JSONValue.string)),
      "rank_pattern": .object(rankPattern.reduce(into: JSONObject()) { $0[$1.pattern] = .integer(Int64($1.value)) }),
      "alpha_pattern": .object(alphaPattern.reduce(into: JSONObject()) { $0[$1.pattern] = Self.number($1.value) }),
    ]
    for member in keptKeys(.peft, besides: document, dropping: ["peft_version"]) { document[member.key] = member.value }
    return document
  }

  /// Whole numbers without a fraction, as loaders that want an integer expect.
  static func number(_ value: Double) -> JSONValue { Int64(exactly: value).map(JSONValue.integer) ?? .number(value) }

  /// The leaf names of the adapted modules when these select just them, else every name in full.
  func targetNames(among modelModules: [String]?) -> [String] {
    let names = modules.map(\.name)
    guard let modelModules else { return names }
    let leaves = Set(names.map { TensorName($0.leafName) })
    let adapted = Set(names.map(TensorName.init))
    // A name of several components may be a container of modules, which the leaf name must not select either.
    let paths = Set(modelModules.flatMap { $0.dottedPrefixes + [$0] }.map(TensorName.init))
    let isExact = paths.allSatisfy { adapted.contains($0) || !leaves.contains(TensorName($0.text.leafName)) }
    return isExact ? leaves.map(\.text).sorted { compareBytes($0, $1) < 0 } : names
  }
}

/// A value for each module, told as a default and patterns for the modules that differ.
private struct PatternTable<Value: Hashable & Comparable> {
  private let values: [(module: String, value: Value)]

  init(_ values: [(String, Value)]) { self.values = values.map { (module: $0.0, value: $0.1) } }

  /// The commonest value (the preferred one among equals, then the smallest), and patterns for the others: a leaf name where all its
  /// modules agree, the full name otherwise. No two of them match the same module.
  func summary(preferring preferred: Value) -> (value: Value, patterns: [(pattern: String, value: Value)]) {
    let counts = Dictionary(values.map { ($0.value, 1) }, uniquingKeysWith: +)
    let most = counts.values.max() ?? 0
    let candidates = counts.filter { $0.value == most }.keys
    let common = candidates.contains(preferred) ? preferred : candidates.min() ?? preferred
    guard counts.count > 1 else { return (common, []) }

    var leaves: [TensorName: (value: Value, isUnanimous: Bool)] = [:]
    for entry in values {
      leaves[TensorName(entry.module.leafName), default: (entry.value, true)].isUnanimous =
        leaves[TensorName(entry.module.leafName)].map { $0.isUnanimous && $0.value == entry.value } ?? true
    }
    var patterns: [(pattern: String, value: Value)] = []
    for (leaf, entry) in leaves where entry.isUnanimous && entry.value != common {
      patterns.append((AdapterPattern.escaped(leaf.text), entry.value))
    }
    // A name that another one ends in would claim that one, too: the anchor keeps it out.
    let endings = Set(values.flatMap { $0.module.dottedSuffixes.map(TensorName.init) })
    for entry in values where leaves[TensorName(entry.module.leafName)]?.isUnanimous == false && entry.value != common {
      let anchor = endings.contains(TensorName(entry.module)) ? "^" : ""
      patterns.append((anchor + AdapterPattern.escaped(entry.module), entry.value))
    }
    return (common, patterns.sorted { compareBytes($0.pattern, $1.pattern) < 0 })
  }
}
