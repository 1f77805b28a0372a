/// How far a stage of a run has come.
public struct StageProgress: Sendable, Hashable {
  /// What is being done, as a person reads it: `Quantizing`, `Measuring the reference`.
  public let stage: String
  public let completed: Int
  public let total: Int

  public init(stage: String, completed: Int, total: Int) {
    self.stage = stage
    self.completed = completed
    self.total = total
  }
}

/// Receives progress; called from the thread that does the work, so it should return quickly.
public typealias ProgressHandler = @Sendable (StageProgress) -> Void
