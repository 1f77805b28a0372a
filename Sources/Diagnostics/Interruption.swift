import Synchronization

/// A wish to stop, noted by a signal handler and honoured between two pieces of work, so that what was begun is cleared away.
public enum Interruption {
  private static let isRequested = Atomic<Bool>(false)
  private static let isLeftToGroup = Atomic<Bool>(false)

  /// Asks for a stop. Safe to call from a signal handler.
  public static func request() { isRequested.store(true, ordering: .relaxed) }

  /// Whether a stop was asked for.
  package static var isWanted: Bool { isRequested.load(ordering: .relaxed) }

  /// Lets a stop wait for those places where several processes agree on it: one that stopped by itself would leave the others waiting.
  package static func leaveToGroup() { isLeftToGroup.store(true, ordering: .relaxed) }

  /// Throws when a stop was asked for.
  public static func check() throws(StoppedFailure) {
    if isWanted, !isLeftToGroup.load(ordering: .relaxed) { throw StoppedFailure() }
  }
}

/// The run was stopped before its end.
public struct StoppedFailure: Failure {
  public let kind = FailureKind.stopped
  public let subject = ""
  public let problem: String
  public let remedy: String
  /// Whether what was done is kept, for `--resume` to go on from.
  public let isResumable: Bool

  /// - Parameter isResumable: whether a journal was kept.
  public init(isResumable: Bool = false) {
    self.isResumable = isResumable
    problem = isResumable ? "stopped before the end; what was done is kept" : "stopped before the end; nothing was written"
    remedy = isResumable ? "the same command with --resume continues" : "run the same command again"
  }
}
