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
  /// At least one for each group; layers with an override of their own have no other.
  let options: [[Option]]
  /// Weights of each group.
  let weights: [Int]

  static let widths = [2, 3, 4, 5, 6, 8]

  /// - Parameters:
  ///   - targets: everything but the bits.
  ///   - graph: the model that the quantizing pass begins on.
  /// - Throws: what makes `targets` unusable, and a scheme that the format cannot hold at any width.
  init(_ targets: QuantizationTargets, for graph: ModelGraph) throws {
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
    groups = FusedGroup.all(in: graph, of: Set(schemes[0].keys))
    weights = groups.map { $0.layers.reduce(0) { $0 + graph[$1.weight].shape.elementCount } }
    options = try groups.map { group in
      var options: [Option] = []
      var refusal: (any Error)?
      for (way, all) in schemes.enumerated() {
        let own = group.layers.compactMap { all[$0.weight] }
        guard !options.contains(where: { $0.schemes == own }) else { continue }
        do {
          let bytes = try zip(group.layers, own).reduce(0) { $0 + (try Self.bytes(of: graph[$1.0.weight], as: $1.1)) }
          options.append(Option(way: way, schemes: own, bytes: bytes))
        } catch { refusal = error }
      }
      if options.isEmpty, let refusal { throw refusal }
      return options
    }
    self.ways = ways
  }

  private static func bytes(of parameter: Parameter, as scheme: QuantizationScheme) throws -> Int {
    let type = parameter.nativeType.map { $0 == .float64 ? .float32 : $0 } ?? .bfloat16
    return try CompressedTensorsEncoding.descriptors(
      module: parameter.module, scheme: scheme, shape: parameter.shape, scaleType: type
    )
    // The shape of a packed tensor is bookkeeping.
    .filter { !($0.dataType == .int64 && $0.shape == [2]) }.reduce(0) { $0 + ($1.byteCount ?? 0) }
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
    for (group, option) in zip(groups, chosen) {
      let usual = options[groups.firstIndex(of: group) ?? 0].first { $0.way == base }?.schemes
      guard usual != option.schemes else { continue }
      for (layer, scheme) in zip(group.layers, option.schemes) {
        var size = 0
        if case .group(let count) = scheme.granularity { size = count }
        targets.overrides.append(.init(pattern: ModulePattern(layer.module), bits: scheme.bits, groupSize: size))
      }
    }
    return targets
  }
}
