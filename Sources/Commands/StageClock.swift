import DeepSeekOptimize

/// The stage at work, as the bar and the metrics show it: how far it is, for how long it has run, and how long it still takes.
struct StageClock {
  private(set) var progress: StageProgress
  private let start: ContinuousClock.Instant
  private var estimate = TimeEstimate()
  /// Tokens that were worked through before this run took the stage up.
  private let firstTokens: Int
  private var end: ContinuousClock.Instant?

  init(_ progress: StageProgress, at now: ContinuousClock.Instant) {
    (self.progress, start, firstTokens) = (progress, now, progress.tokens)
    estimate.add(share: progress.share, at: 0)
    if progress.isDone { end = now }
  }

  /// Whether a piece of news is of this stage; one of the same name that begins again is another.
  private func continues(with next: StageProgress) -> Bool {
    next.stage == progress.stage && !progress.isDone && next.share >= progress.share - 0.05
  }

  private mutating func update(_ next: StageProgress, at now: ContinuousClock.Instant) {
    progress = next
    estimate.add(share: next.share, at: seconds(at: now))
    if next.isDone { end = now }
  }

  /// The clock of the stage that news is of: this one carried on, or another begun.
  /// - Returns: whether it is another.
  static func follow(_ clock: inout StageClock?, _ next: StageProgress, at now: ContinuousClock.Instant) -> Bool {
    if clock?.continues(with: next) == true {
      clock?.update(next, at: now)
      return false
    }
    clock = StageClock(next, at: now)
    return true
  }

  func seconds(at now: ContinuousClock.Instant) -> Double { start.duration(to: end ?? now).seconds }

  func secondsLeft(at now: ContinuousClock.Instant) -> Double? {
    progress.isDone ? 0 : estimate.secondsLeft(at: seconds(at: now))
  }

  /// Tokens that this run has worked through in the stage.
  var tokens: Int { max(0, progress.tokens - firstTokens) }

  func tokensPerSecond(at now: ContinuousClock.Instant) -> Double? {
    let seconds = seconds(at: now)
    return tokens > 0 && seconds > 0.05 ? Double(tokens) / seconds : nil
  }
}
