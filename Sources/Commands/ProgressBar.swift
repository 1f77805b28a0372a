import DeepSeekOptimize
import Dispatch
import Foundation

/// Progress on standard error: a bar that is redrawn on a terminal, a plain line every few seconds otherwise.
final class ProgressBar: @unchecked Sendable {
  private let lock = NSLock()
  private let isTerminal = Terminal.errorTakesBars
  private let clock = ContinuousClock()
  private var stage: StageClock?
  private var detail = ""
  private var lastDrawn: ContinuousClock.Instant?
  private var ticker: (any DispatchSourceTimer)?

  /// Receives the progress of a command: for the bar, unless it is to be quiet, and for the metrics, where they are served.
  /// - Returns: nil when nobody listens.
  static func handler(quiet: Bool) -> ProgressHandler? {
    let telemetry = RunTelemetry.current
    guard !quiet || telemetry != nil else { return nil }
    guard !quiet else { return { progress in telemetry?.update(progress) } }
    let bar = ProgressBar()
    return { progress in
      bar.update(progress)
      telemetry?.update(progress)
    }
  }

  /// - Parameter detail: what stands behind the time: a loss, say.
  func update(_ progress: StageProgress, detail: String? = nil) {
    lock.lock()
    defer { lock.unlock() }
    let now = clock.now
    if StageClock.follow(&stage, progress, at: now) { (lastDrawn, self.detail) = (nil, "") }
    if let detail { self.detail = detail }
    if isTerminal { tick(!progress.isDone) }
    if isDue(at: now) { draw(at: now) }
  }

  /// Whether it is time for a line: not too soon behind the last one, and not at all for a stage that takes but a moment.
  private func isDue(at now: ContinuousClock.Instant) -> Bool {
    guard let stage else { return false }
    guard let lastDrawn else {
      return stage.seconds(at: now) >= (stage.progress.isDone || isTerminal ? Self.shortStage : Self.lineInterval)
    }
    return stage.progress.isDone || lastDrawn.duration(to: now).seconds >= (isTerminal ? Self.drawInterval : Self.lineInterval)
  }

  /// Seconds below which a stage is not mentioned.
  private static let shortStage = 0.5
  private static let drawInterval = 0.08
  private static let lineInterval = 5.0

  private func draw(at now: ContinuousClock.Instant) {
    guard let stage else { return }
    lastDrawn = now
    let (share, isDone) = (stage.progress.share, stage.progress.isDone)
    let left = stage.secondsLeft(at: now).map { "\($0 < 1 ? "<1 s" : NumberText.estimate($0)) left" }
    var time = isDone ? NumberText.estimate(stage.seconds(at: now)) : left ?? ""
    if !detail.isEmpty { time += time.isEmpty ? detail : "  \(detail)" }
    let name = stage.progress.stage.padding(toLength: max(21, stage.progress.stage.count), withPad: " ", startingAt: 0)
    // Rounded down: 100 % is the end.
    let percent = String(Int(share * 100)).leftPadded(to: 3) + " %"
    guard isTerminal else { return Terminal.printError("\(name) \(percent)  \(time)") }
    Terminal.draw(Self.line(name, share, "\(percent)  \(time)", width: Terminal.errorWidth), isLast: isDone)
  }

  /// A line that fits the terminal, for one that wraps cannot be drawn over: the bar gives way first, then the end of the text.
  static func line(_ name: String, _ share: Double, _ text: String, width: Int) -> String {
    let length = max(8, min(32, width - name.count - text.count - 3))
    let filled = Int(share * Double(length))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: length - filled)
    return String("\(name) \(bar) \(text)".prefix(max(1, width - 1)))
  }

  /// Draws now and then although there is no news, so that the time left runs down.
  private func tick(_ isRunning: Bool) {
    guard isRunning else {
      ticker?.cancel()
      ticker = nil
      return
    }
    guard ticker == nil else { return }
    let timer = DispatchSource.makeTimerSource(queue: .global(qos: .utility))
    timer.schedule(deadline: .now() + 1, repeating: 1)
    timer.setEventHandler { [weak self] in
      guard let self else { return }
      lock.lock()
      defer { lock.unlock() }
      let now = clock.now
      guard let stage, !stage.progress.isDone, ticker != nil else { return }
      // What was printed meanwhile stays; the bar comes back with the next news.
      if let lastDrawn, lastDrawn.duration(to: now).seconds < 0.9 || !Terminal.hasOpenLine { return }
      if isDue(at: now) { draw(at: now) }
    }
    timer.resume()
    ticker = timer
  }
}

extension String {
  func leftPadded(to width: Int) -> String {
    count >= width ? self : String(repeating: " ", count: width - count) + self
  }
}
