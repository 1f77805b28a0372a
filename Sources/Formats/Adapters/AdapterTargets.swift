/// Which modules of the base model an adapter covers.
public struct AdapterTargets: Sendable, Hashable {
  public enum Modules: Sendable, Hashable {
    /// Full names, or last components of names (`q_proj`, `mlp.down_proj`).
    case names([String])
    /// A regular expression for the whole name.
    case expression(String)
    /// Every linear layer but the output head (`all-linear`).
    case allLinear
  }

  public var modules: Modules
  /// Modules to leave out all the same.
  public var excluded: Modules?
  /// Blocks by number; nil for all. Counts for modules named by their last components.
  public var layers: [Int]?
  /// Names of the component before a block's number (`layers`, `h`); empty for whatever stands there.
  public var layerLists: [String]
  /// mlx-lm: only so many of the last blocks; nil or not positive for all. Names then mean `<layers>.<number>.<name>`.
  public var lastLayerCount: Int?

  public init(
    modules: Modules, excluded: Modules? = nil, layers: [Int]? = nil, layerLists: [String] = [], lastLayerCount: Int? = nil
  ) {
    self.modules = modules
    self.excluded = excluded
    self.layers = layers
    self.layerLists = layerLists
    self.lastLayerCount = lastLayerCount
  }

  /// Leaf names of token embeddings: `all-linear` leaves them out, and mlx-lm's files do not tell them from linear layers.
  static let embeddingNames = ["embed_tokens", "wte", "tok_embeddings", "word_embeddings", "embed_in", "embeddings"]
  /// Leaf names of output heads.
  static let headNames = ["lm_head", "output", "embed_out"]
}
