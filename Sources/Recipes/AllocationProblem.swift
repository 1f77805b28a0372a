import Compression
import Diagnostics
import Formats
import ModelGraph
import Tensors

/// Which bits there are to choose from for every group of fused layers, and what each choice takes.
struct AllocationProblem {
  /// One way to quantize a group: the place of its targets in `ways`, and what it comes to.
  struct Option {
    let way: Int
    let schemes: [QuantizationScheme]
    /// Codes, scales and zero points.
    let bytes: Int
  }

  /// The targets of a recipe at each width that there is; the last one has one scale per output channel at 8 bits.
  let ways: [QuantizationTargets]
  let groups: [FusedGroup]
  /// At least one for each group; layers whose override gives both bits and a group size have no other.
  let options: [[Option]]
  /// Weights of each group.
  let weights: [Int]
  /// Widths that could not be chosen from.
  let warnings: [String]

  static let widths = [2, 3, 4, 5, 6, 8]

  init(ways: [QuantizationTargets], groups: [FusedGroup], options: [[Option]], weights: [Int], warnings: [String] = []) {
    self.ways = ways
    self.groups = groups
    self.options = options
    self.weights = weights
    self.warnings = warnings
  }

  /// - Parameters:
  ///   - targets: everything but the bits.
  ///   - graph: the model that the quantizing pass begins on.
  ///   - bytes: what a weight takes in a scheme; throws when the format cannot hold it. By default what compressed-tensors takes.
  ///   - stack: the tensor that a module shares with others in the format; those have the same bits.
  /// - Throws: what makes `targets` unusable, and a scheme that the format cannot hold at any width.
  init(
    _ targets: QuantizationTargets, for graph: ModelGraph,
    bytes: (Parameter, QuantizationScheme) throws -> Int = Self.bytes(in: CompressedTensorsOutput()),
    stack: (String) -> String? = { _ in nil }
  ) throws {
    var ways = Self.widths.map { bits in
      var way = targets
      way.bits = bits
      return way
    }
    if targets.groupSize != 0 {
      var way = targets
      (way.bits, way.groupSize) = (8, 0)
      ways.append(way)
    }
    let schemes = try ways.map { try $0.schemes(for: graph) }
    let groups = Self.joined(FusedGroup.all(in: graph, of: Set(schemes[0].keys)), by: stack)
    // Groups that the format refuses a way.
    var refused = [Int](repeating: 0, count: ways.count)
    var refusal: (any Error)?
    let options = try groups.map { group in
      var options: [Option] = []
      for (way, all) in schemes.enumerated() {
        let own = group.layers.compactMap { all[$0.weight] }
        guard !options.contains(where: { $0.schemes == own }) else { continue }
        do {
          let size = try zip(group.layers, own).reduce(0) { $0 + (try bytes(graph[$1.0.weight], $1.1)) }
          options.append(Option(way: way, schemes: own, bytes: size))
        } catch {
          refusal = error
          refused[way] += 1
        }
      }
      if options.isEmpty, let refusal { throw refusal }
      return options
    }
    var warnings: [String] = []
    if let refusal {
      let widths = zip(ways, refused).filter { $1 > 0 }.map { way, count in
        let perChannel = way.groupSize == 0 && targets.groupSize != 0 ? " per channel" : ""
        return "\(way.bits) bits\(perChannel) (\(count) of \(groups.count) groups of layers)"
      }
      let reason = (refusal as? any Failure)?.problem ?? "\(refusal)"
      warnings.append("the format refuses widths that were therefore not chosen from: \(widths.joined(separator: ", ")): \(reason)")
    }
    self.init(
      ways: ways, groups: groups, options: options,
      weights: groups.map { $0.layers.reduce(0) { $0 + graph[$1.weight].shape.elementCount } },
      warnings: warnings)
  }

  /// Groups whose layers share a tensor as one, in the place of the first.
  private static func joined(_ groups: [FusedGroup], by stack: (String) -> String?) -> [FusedGroup] {
    var members: [[FusedGroup.Layer]] = []
    var places: [String: Int] = [:]
    for group in groups {
      let stacks = group.layers.compactMap { stack($0.module) }
      let place = stacks.lazy.compactMap { places[$0] }.first ?? members.count
      if place == members.count { members.append([]) }
      members[place] += group.layers
      for stack in stacks { places[stack] = place }
    }
    return members.map { FusedGroup(layers: $0) }
  }

  /// What a weight takes in a format.
  static func bytes(in encoding: any OutputEncoding) -> (Parameter, QuantizationScheme) throws -> Int {
    { parameter, scheme in
      let weight = OutputLayout.Subject(
        name: parameter.name, shape: parameter.shape, storage: .quantized(scheme), scaleType: parameter.scaleType ?? .bfloat16)
      return try encoding.place(weight).tensors
        // The shape of a packed tensor is bookkeeping.
        .filter { !($0.dataType == .int64 && $0.shape == [2]) }.reduce(0) { $0 + ($1.byteCount ?? 0) }
    }
  }

  /// The error for a group whose bits cannot be chosen, because what they cost cannot be measured.
  func unmeasured(_ group: Int) -> RecipeError {
    RecipeError(
      groups.indices.contains(group) ? groups[group].name : "group \(group)", "has no measured cost to choose its bits by",
      remedy: ways.first?.type == .gguf ? "give it a type with --override" : "give it bits and a group size with --override", kind: .usage)
  }

  var weightCount: Int { weights.reduce(0, +) }

  /// Bits of every weight that is quantized, scales and zero points included.
  func bitsPerWeight(_ bytes: Int) -> Double { Double(bytes) * 8 / Double(max(1, weightCount)) }

  /// The targets that write a choice out: the width that most weights have, and an override for each layer that differs from it.
  func targets(choosing choices: [Int]) -> QuantizationTargets {
    let chosen = zip(options, choices).map { $0[$1] }
    var counts: [Int: Int] = [:]
    for (group, option) in chosen.enumerated() { counts[option.way, default: 0] += weights[group] }
    let base = counts.keys.sorted().max { (counts[$0] ?? 0) < (counts[$1] ?? 0) } ?? 0
    var targets = ways[base]
    for (group, option) in chosen.enumerated() {
      let usual = options[group].first { $0.way == base }?.schemes
      guard usual != option.schemes else { continue }
      for (layer, scheme) in zip(groups[group].layers, option.schemes) {
        let pattern = ModulePattern(layer.module)
        // Bits alone would lead to another type where superblocks do not divide the rows.
        if targets.type == .gguf, let type = WeightType(blocks: scheme) {
          targets.overrides.append(.init(pattern: pattern, type: type))
          continue
        }
        let size =
          switch scheme.granularity {
          case .group(let count), .block(let count): count
          case .channel, .tensor: 0
          }
        targets.overrides.append(.init(pattern: pattern, bits: scheme.bits, groupSize: size))
      }
    }
    return targets
  }
}
