import DeepSeekOptimize
import Foundation

/// Progress on standard error: a bar that is redrawn on a terminal, a plain line every few seconds otherwise.
final class ProgressBar: @unchecked Sendable {
  private let lock = NSLock()
  private let isTerminal = Terminal.errorIsTerminal
  private let clock = ContinuousClock()
  private var stage = ""
  private var start: ContinuousClock.Instant
  private var lastDrawn: ContinuousClock.Instant?

  init() { start = clock.now }

  /// Nil when nothing should be shown.
  static func handler(quiet: Bool) -> ProgressHandler? {
    guard !quiet else { return nil }
    let bar = ProgressBar()
    return { bar.update($0) }
  }

  func update(_ progress: StageProgress) {
    lock.lock()
    defer { lock.unlock() }
    let now = clock.now
    if progress.stage != stage {
      stage = progress.stage
      start = now
      lastDrawn = nil
    }
    let isDone = progress.completed >= progress.total
    let interval: Duration = isTerminal ? .milliseconds(80) : .seconds(5)
    if let lastDrawn, !isDone, lastDrawn.duration(to: now) < interval { return }
    // Off a terminal a stage that takes no time needs no line of its own.
    if !isTerminal, lastDrawn == nil, !isDone {
      lastDrawn = now
      return
    }
    lastDrawn = now
    let share = progress.total > 0 ? Double(progress.completed) / Double(progress.total) : 1
    let seconds = start.duration(to: now).seconds
    let time = isDone ? "\(Self.clockText(seconds))" : share > 0.02 ? "\(Self.clockText(seconds / share - seconds)) left" : ""
    let name = progress.stage.padding(toLength: 21, withPad: " ", startingAt: 0)
    let percent = String(Int(share * 100)).leftPadded(to: 3) + " %"
    if isTerminal {
      let filled = Int(share * 32)
      let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 32 - filled)
      Terminal.write("\r\u{1B}[K\(name) \(bar) \(percent)  \(time)" + (isDone ? "\n" : ""), to: STDERR_FILENO)
    } else {
      Terminal.printError("\(name) \(percent)  \(time)")
    }
  }

  static func clockText(_ seconds: Double) -> String {
    if seconds < 10 { return String(format: "%.1f s", max(0, seconds)) }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}

extension String {
  func leftPadded(to width: Int) -> String {
    count >= width ? self : String(repeating: " ", count: width - count) + self
  }
}
