/// How far a stage of a run has come.
public struct StageProgress: Sendable, Hashable {
  /// What is being done, as a person reads it: `Quantizing`, `Measuring the reference`.
  public let stage: String
  /// In a unit of the stage's own, which should stand for time: bytes or operations rather than files or blocks, which differ in size.
  public let completed: Int
  public let total: Int
  /// Tokens of text that the stage has worked through; 0 where it works on none.
  public let tokens: Int

  public init(stage: String, completed: Int, total: Int, tokens: Int = 0) {
    self.stage = stage
    self.completed = completed
    self.total = total
    self.tokens = tokens
  }

  /// The share that is done, from 0 to 1.
  public var share: Double { total > 0 ? min(1, max(0, Double(completed) / Double(total))) : 1 }
  public var isDone: Bool { completed >= total }
}

/// Receives progress; called from the thread that does the work, so it should return quickly.
public typealias ProgressHandler = @Sendable (StageProgress) -> Void
