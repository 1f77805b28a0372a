/// How a mixture of experts chooses, from the scores that its router gives every expert for a token.
public struct Routing: Sendable, Hashable {
  /// What makes weights of scores.
  public enum Scoring: String, Sendable, Hashable {
    /// Over all experts (Mixtral, Qwen3-MoE, DeepSeek-V2).
    case softmax
    /// Of each by itself (DeepSeek-V3).
    case sigmoid
  }

  /// Experts in groups of equal size, of which only some are looked at (device-limited routing, DeepSeek-V2 2024).
  public struct Groups: Sendable, Hashable {
    /// What a group is ranked by.
    public enum Rank: String, Sendable, Hashable {
      /// Its best expert (DeepSeek-V2).
      case best
      /// The sum of its two best ones (DeepSeek-V3).
      case bestTwo
    }

    public var count: Int
    /// Groups that stay.
    public var kept: Int
    public var rank: Rank

    public init(count: Int, kept: Int, rank: Rank) { (self.count, self.kept, self.rank) = (count, kept, rank) }
  }

  public var experts: Int
  /// Experts that a token goes to.
  public var selected: Int
  public var scoring: Scoring
  public var groups: Groups?
  /// Whether the weights of a token's experts are divided by their sum.
  public var normalized: Bool
  /// What weights are multiplied by in the end.
  public var scale: Float

  public init(
    experts: Int, selected: Int, scoring: Scoring = .softmax, groups: Groups? = nil, normalized: Bool, scale: Float = 1
  ) {
    self.experts = experts
    self.selected = selected
    self.scoring = scoring
    self.groups = groups
    self.normalized = normalized
    self.scale = scale
  }

  /// Whether every token finds as many experts as it is to go to.
  public var isConsistent: Bool {
    guard experts > 0, (1...experts).contains(selected), scale.isFinite else { return false }
    guard let groups else { return true }
    return groups.count > 0 && experts % groups.count == 0 && (1...groups.count).contains(groups.kept)
      && groups.kept * (experts / groups.count) >= selected && (groups.rank == .best || experts / groups.count >= 2)
  }
}
