import Tensors

/// MLX keeps the weights of all experts of a layer in one tensor each, `….mlp.switch_mlp.up_proj.weight` `[experts, …]`, where a model's own
/// checkpoint has `….mlp.experts.17.up_proj.weight`.
public struct ExpertStack: Sendable, Hashable {
  /// `model.layers.3.mlp.switch_mlp.up_proj`.
  public let path: String
  /// Which expert's the weight is.
  public let index: Int

  /// More experts than any model has: larger counts come from damaged files.
  static let maximumCount = 1 << 16

  private static let name = "switch_mlp"
  /// Mixtral's names of the three projections.
  private static let mixtral = [("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj")]
  private static let mixtralBlock = "block_sparse_moe"

  /// Nil for a module that is no expert's.
  /// - Parameter module: `model.layers.3.mlp.experts.17.up_proj`.
  public init?(of module: String) {
    let parts = module.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count >= 4, parts[parts.count - 3] == "experts", let index = Int(parts[parts.count - 2]), index >= 0,
      parts[parts.count - 2] == String(index)
    else { return nil }
    var projection = String(parts[parts.count - 1])
    if parts[parts.count - 4] == Self.mixtralBlock { projection = Self.mixtral.first { $0.0 == projection }?.1 ?? projection }
    path = (parts.dropLast(3).map(String.init) + [Self.name, projection]).joined(separator: ".")
    self.index = index
  }

  /// The modules that a stack stands for: what is before and behind the number of the expert. Nil for a path that is no stack's.
  static func modules(of path: String) -> (before: String, behind: String)? {
    let parts = path.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count >= 3, parts[parts.count - 2] == Self.name else { return nil }
    var projection = String(parts[parts.count - 1])
    if parts[parts.count - 3] == mixtralBlock { projection = mixtral.first { $0.1 == projection }?.0 ?? projection }
    return (parts.dropLast(2).joined(separator: ".") + ".experts.", "." + projection)
  }
}
