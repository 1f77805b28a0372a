import Diagnostics
import ModelGraph
import Tensors

/// Types of codes that bring bits, groups or method along, beside settings that say these, too.
extension QuantizationTargets {
  /// Refuses what the type for all layers does not go with: what is asked for must not be passed over.
  func checkType() throws(CompressionError) {
    let scheme = type.blockScheme
    guard scheme != nil || type == .gguf else { return }
    let given = "type \(type.rawValue)"
    guard groupSize == 0 || scheme?.granularity.isSaid(by: groupSize) == true else {
      throw CompressionError(given, "has groups of its own, not of \(groupSize)", remedy: "leave the group size out", kind: .usage)
    }
    guard let scheme else { return }
    // 8 is what bits are where nobody says.
    guard bits == 8 || bits == scheme.bits else {
      throw CompressionError(given, "has \(scheme.bits) bits, not \(bits)", remedy: "leave the bits out", kind: .usage)
    }
    guard method == .symmetric || scheme.offset != .none else {
      throw CompressionError(given, "is symmetric", remedy: "leave the method out", kind: .usage)
    }
    guard mixedPrecision != .roles else {
      throw CompressionError(
        "--mixed-precision roles", "widens bits, and \(given) has its own",
        remedy: type.isGGUF ? "use --bits without a type, or --override" : "use integers, or --override", kind: .usage)
    }
  }

  /// The type of one layer's codes: the last that is named, where no later rule names bits; a type of GGUF's for all gives way to the bits of a
  /// rule for some.
  /// - Parameter bits: those of the layer where no rule names them.
  func wantedType(for module: String, _ overrides: [Override], bits: Int) throws(CompressionError) -> WeightType {
    let typed = overrides.lastIndex { $0.type != nil }
    let asked = typed.flatMap { overrides[$0].type } ?? type
    let later = overrides.suffix(from: typed ?? 0)
    let width = later.last { $0.bits >= 0 }?.bits
    let size = later.last { $0.groupSize >= 0 }?.groupSize
    // MXFP4 is other containers' as well, which have none of its neighbours.
    let givesWay = typed == nil && asked.isGGUF && asked != .mxfp4 && width != nil && width != asked.bits
    let found = asked == .gguf || givesWay ? WeightType.leading(bits: width ?? bits) : asked
    guard let scheme = found.blockScheme else { return found }
    if let width, width != scheme.bits {
      throw CompressionError(
        module, "is to have \(width) bits, and \(found.rawValue) has \(scheme.bits)",
        remedy: "leave bits out of the override, or name a type of that width in it", kind: .usage)
    }
    if let size, !scheme.granularity.isSaid(by: size) {
      throw CompressionError(
        module, "is to have \(size == 0 ? "one scale per output" : "groups of \(size)"), and \(found.rawValue) has groups of its own",
        remedy: "leave group-size out of the override", kind: .usage)
    }
    return found
  }
}

extension Granularity {
  /// Whether a group size as recipes write it, 0 for one scale per output, means this.
  fileprivate func isSaid(by size: Int) -> Bool {
    switch self {
    case .group(let count), .block(let count): size == count
    case .channel, .tensor: size == 0
    }
  }
}
