/// Attention that looks at some blocks of keys only: keys in blocks of equal length, counted from the start of the sequence. A query sees those of
/// its own block up to itself, and of the whole blocks before it the ones whose mean key has the largest product with the query, head by head
/// (MoBA, Lu et al. 2025; Quest, Tang et al. 2024, ranks blocks by bounds of their keys instead). With blocks of one key these are the tokens
/// with the largest scores.
public struct BlockSelection: Sendable, Hashable {
  /// Keys of a block.
  public var block: Int
  /// Blocks that a query sees, its own included.
  public var count: Int

  public init(block: Int, count: Int) { (self.block, self.count) = (block, count) }

  /// The most keys that a query sees.
  public var tokens: Int { block * count }

  /// The largest blocks, and the largest number of them, that a graph may hold; what lies beyond comes from damaged files.
  public static let limit = 1 << 20

  /// Whether it can be at all.
  public var isConsistent: Bool { (1...Self.limit).contains(block) && (1...Self.limit).contains(count) && tokens <= 1 << 28 }

  /// The same choice among this many keys: no more blocks are chosen than there are.
  public func among(keys: Int) -> BlockSelection { BlockSelection(block: block, count: max(1, min(count, keys / block + 1))) }
}

/// Which keys a query of an attention sees.
public enum AttentionReach: Sendable, Hashable {
  /// All of its sequence, or all up to itself.
  case full
  /// This many last ones, itself included.
  case window(Int)
  /// Those of some blocks.
  case blocks(BlockSelection)

  /// In words, for listings: `sliding window 256`.
  public var text: String {
    switch self {
    case .full: "global"
    case .window(let size): "sliding window \(size)"
    case .blocks(let selection):
      selection.block == 1 ? "top \(selection.count) tokens" : "top \(selection.tokens) tokens in blocks of \(selection.block)"
    }
  }
}

extension Attention {
  /// Which keys a query sees.
  public var reach: AttentionReach {
    get { selection.map { .blocks($0) } ?? slidingWindow.map { .window($0) } ?? .full }
    set {
      (slidingWindow, selection) = (nil, nil)
      switch newValue {
      case .full: break
      case .window(let size): slidingWindow = size
      case .blocks(let blocks): selection = blocks
      }
    }
  }

  /// Whether what it says of its reach can be: blocks are chosen among those behind a query only, and not within a window.
  var reachIsConsistent: Bool {
    guard let selection else { return (slidingWindow ?? 1) > 0 }
    return selection.isConsistent && slidingWindow == nil && isCausal
  }
}

/// How the rows of a decoder's residual stream are normalised.
public enum StreamNormalization: String, Sendable, Hashable, CaseIterable, Codable {
  case rmsNorm = "rms-norm"
  case layerNorm = "layer-norm"
  /// Without statistics of the row (DyT, Zhu et al. 2025).
  case dynamicTanh = "dynamic-tanh"
}
