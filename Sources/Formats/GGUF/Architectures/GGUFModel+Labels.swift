import Foundation

extension GGUFModel {
  /// How large a model is, in the few letters that listings of files show: `7.2B`, or `8x7.3B` for eight experts that a token takes one of each.
  /// It is rounded as the reference converter does: two digits at least.
  /// - Parameter tensors: of the file, shapes outermost axis first; stacked experts are known by their names.
  public static func sizeLabel(of tensors: [(name: String, shape: [Int])]) -> String {
    var (elements, stacks, experts) = (0.0, 0, 0)
    for tensor in tensors {
      let size = tensor.shape.reduce(1.0) { $0 * Double($1) }
      if tensor.name.contains("_exps."), let count = tensor.shape.first, count > 0 {
        elements += size / Double(count)
        (stacks, experts) = (stacks + 1, experts + count)
      } else {
        elements += size
      }
    }
    return (stacks > 0 ? "\(experts / stacks)x" : "") + rounded(elements)
  }

  private static func rounded(_ count: Double) -> String {
    let units = [(1e12, "T"), (1e9, "B"), (1e6, "M")]
    let (unit, letter) = units.first { count > $0.0 } ?? (1e3, "K")
    let scaled = count / unit
    let digits = scaled.rounded(.toNearestOrEven) < 1 ? 2 : scaled.rounded(.toNearestOrEven) < 10 ? 1 : 0
    return String(format: "%.\(digits)f", scaled) + letter
  }
}

/// How programs make one embedding of an encoder's states, by llama.cpp's numbers.
public enum GGUFPooling: UInt32, Sendable, Hashable {
  case mean = 1
  /// The state of the first token.
  case first = 2
  case last = 3

  static let key = "pooling_type"
}

extension GGUFMetadata {
  /// What a file says of embeddings; nil where it says nothing that is known.
  public var pooling: GGUFPooling? {
    guard let architecture = string("general.architecture"), let number = integer("\(architecture).\(GGUFPooling.key)") else { return nil }
    return UInt32(exactly: number).flatMap(GGUFPooling.init)
  }
}
