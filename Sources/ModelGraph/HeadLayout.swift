/// Features of every head that are picked.
public struct HeadSlice: Sendable, Hashable {
  public var heads: Int
  /// Features of a head.
  public var width: Int
  /// The first feature that is picked.
  public var start: Int
  public var count: Int

  public init(heads: Int = 1, width: Int, start: Int, count: Int) {
    (self.heads, self.width, self.start, self.count) = (heads, width, start, count)
  }

  /// Whether it lies within the heads.
  public var isConsistent: Bool { heads > 0 && count > 0 && start >= 0 && start + count <= width }
}

/// Two inputs that become the heads of one.
public struct HeadJoin: Sendable, Hashable {
  public var heads: Int
  /// Features of a left and of a right head.
  public var left: Int
  public var right: Int
  /// Whether there is one right head, which goes to all (the rotary key of multi-head latent attention, DeepSeek-V2 2024).
  public var sharesRight: Bool

  public init(heads: Int, left: Int, right: Int, sharesRight: Bool = false) {
    (self.heads, self.left, self.right, self.sharesRight) = (heads, left, right, sharesRight)
  }
}
