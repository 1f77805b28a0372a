import StructuredData
import Tensors

/// Decides for module names whether an adapter's settings select them, as PEFT (`check_target_module_exists`) or mlx-lm
/// (`linear_to_lora_layers`) does.
struct AdapterTargetMatcher {
  private enum Choice {
    case names(Set<TensorName>)
    case expression(NamePattern)
    case allLinear

    /// What a match can cost, as `MatchingBudget` counts; looking names up costs nothing to speak of.
    var weight: Int {
      if case .expression(let pattern) = self { MatchingBudget.weight(ofExpression: pattern.expression) } else { 0 }
    }

    init(_ modules: AdapterTargets.Modules) throws(NamePatternError) {
      switch modules {
      case .names(let names): self = .names(Set(names.map(TensorName.init)))
      case .expression(let text): self = .expression(try NamePattern("(?:\(text))\\Z"))
      case .allLinear: self = .allLinear
      }
    }
  }

  private let choice: Choice
  private let excluded: Choice?
  private let targets: AdapterTargets
  private let layerSet: Set<Int>?
  /// Blocks of the base model, for mlx-lm's "last n"; nil when it is not known.
  private let layerCount: Int?

  init(_ targets: AdapterTargets, layerCount: Int? = nil) throws(NamePatternError) {
    choice = try Choice(targets.modules)
    if let excluded = targets.excluded { self.excluded = try Choice(excluded) } else { excluded = nil }
    self.targets = targets
    layerSet = targets.layers.map(Set.init)
    self.layerCount = layerCount
  }

  /// Whether so many names can be looked at in a bounded time.
  func canMatch(_ names: [String]) -> Bool {
    MatchingBudget.allows(weight: choice.weight + (excluded?.weight ?? 0), names: names)
  }

  func selects(_ module: String) -> Bool {
    if let excluded, Self.matches(excluded, module) != .no { return false }
    if let count = targets.lastLayerCount { return selectsByLayer(module, lastCount: count) }
    switch Self.matches(choice, module) {
    case .no: return false
    case .whole: return true
    case .suffix: return isInLayers(module)
    }
  }

  private enum Match { case no, whole, suffix }

  private static func matches(_ choice: Choice, _ module: String) -> Match {
    switch choice {
    case .names(let names):
      if names.contains(TensorName(module)) { return .whole }
      return module.dottedSuffixes.contains { names.contains(TensorName($0)) } ? .suffix : .no
    case .expression(let pattern): return pattern.matches(module) ? .whole : .no
    case .allLinear:
      let leaf = module.leafName
      return AdapterTargets.headNames.contains(leaf) || AdapterTargets.embeddingNames.contains(leaf) ? .no : .whole
    }
  }

  private func isInLayers(_ module: String) -> Bool {
    guard let layerSet, !layerSet.isEmpty else { return true }
    let parts = module.split(separator: ".", omittingEmptySubsequences: false)
    // A block's number has a component after it. PEFT wants one before it, or two where it takes any.
    let numbered = parts.indices.dropLast().filter { $0 >= 1 && parts[$0].blockNumber != nil }
    var index = numbered.first { $0 >= 2 }
    if !targets.layerLists.isEmpty {
      index = targets.layerLists.lazy.compactMap { list in numbered.first { parts[$0 - 1] == list } }.first
    }
    return index.flatMap { parts[$0].blockNumber }.map(layerSet.contains) ?? false
  }

  private func selectsByLayer(_ module: String, lastCount: Int) -> Bool {
    let block = module.blockPath
    if case .names(let names) = choice {
      if names.contains(TensorName(module)) { return true }
      guard let block, names.contains(TensorName(block.inner)) else { return false }
    }
    guard let block else { return false }
    guard lastCount > 0, let layerCount else { return true }
    // Numbers are from names, and may be the largest there is.
    return block.number >= max(0, layerCount) - lastCount
  }
}

extension StringProtocol {
  /// The component as a block's number: decimal digits that fit.
  var blockNumber: Int? {
    guard !isEmpty, utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    return Int(self)
  }
}

extension String {
  /// The last component of a module's name.
  var leafName: String { utf8.lastIndex(of: UInt8(ascii: ".")).map { String(self[utf8.index(after: $0)...]) } ?? self }

  /// What follows each dot, longest first.
  var dottedSuffixes: [String] {
    utf8.indices.filter { utf8[$0] == UInt8(ascii: ".") }.map { String(self[utf8.index(after: $0)...]) }
  }

  /// What stands before each dot, shortest first: the containers of a module.
  var dottedPrefixes: [String] {
    utf8.indices.filter { utf8[$0] == UInt8(ascii: ".") }.map { String(self[..<$0]) }
  }

  /// The block that a module lies in and its name there: 3 and `mlp.up_proj` of `model.layers.3.mlp.up_proj`; nil outside of blocks.
  var blockPath: (number: Int, inner: String)? {
    let parts = split(separator: ".", omittingEmptySubsequences: false)
    guard let index = parts.indices.first(where: { parts[$0].blockNumber != nil }), index + 1 < parts.count,
      let number = parts[index].blockNumber
    else { return nil }
    return (number, parts[(index + 1)...].joined(separator: "."))
  }
}
