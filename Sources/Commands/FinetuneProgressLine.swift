import DeepSeekOptimize
import Foundation

/// A line on standard error that tells how training goes: rewritten in place on a terminal, one now and then elsewhere.
final class FinetuneProgressLine: @unchecked Sendable {
  private let lock = NSLock()
  private let isTerminal = Terminal.errorIsTerminal
  private let clock = ContinuousClock()
  private var lastDrawn: ContinuousClock.Instant?
  private var isOpen = false

  static func handler(quiet: Bool) -> FinetuneRun.FinetuneProgress? {
    if quiet { return nil }
    let line = FinetuneProgressLine()
    return { line.show($0) }
  }

  private func show(_ event: FinetuneEvent) {
    lock.lock()
    defer { lock.unlock() }
    switch event {
    case .starting(let layer, let layers):
      let now = clock.now
      if let lastDrawn, lastDrawn.duration(to: now) < (isTerminal ? .milliseconds(80) : .seconds(5)) { return }
      lastDrawn = now
      let text = "finding where adapters start: layer \(layer + 1) of \(layers)"
      if isTerminal { Terminal.write("\r\u{1B}[K\(text)", to: STDERR_FILENO) } else { Terminal.printError(text) }
      isOpen = isTerminal
    case .started(let parameters, let examples, let heldOut, let steps, let resumedAt):
      let resumed = resumedAt > 0 ? ", going on from step \(resumedAt)" : ""
      if isOpen { Terminal.write("\r\u{1B}[K", to: STDERR_FILENO) }
      isOpen = false
      let held = heldOut > 0 ? ", \(heldOut) rows held out" : ""
      Terminal.printError("training \(parameters) parameters on \(examples) rows\(held), \(steps) steps\(resumed)")
    case .step(let step, let steps, let rate, let left):
      let now = clock.now
      let interval: Duration = isTerminal ? .milliseconds(80) : .seconds(5)
      let isLast = step.index + 1 == steps
      if let lastDrawn, !isLast, lastDrawn.duration(to: now) < interval { return }
      lastDrawn = now
      let skipped = step.isSkipped ? "  no finite gradient: skipped" : ""
      let text = String(
        format: "step %d of %d  loss %.4f  learning rate %.2e  %.0f tokens/s  %@ left%@", step.index + 1, steps, step.loss,
        Double(step.learningRate), rate, ProgressBar.clockText(left), skipped)
      if isTerminal {
        Terminal.write("\r\u{1B}[K\(text)" + (isLast ? "\n" : ""), to: STDERR_FILENO)
        isOpen = !isLast
      } else {
        Terminal.printError(text)
      }
    case .evaluated(let loss, let step, let isBest):
      if isOpen { Terminal.write("\r\u{1B}[K", to: STDERR_FILENO) }
      isOpen = false
      Terminal.printError(
        String(format: "evaluation after %d steps: loss %.4f, perplexity %.4f%@", step, loss, exp(loss), isBest ? ", the best so far" : ""))
    }
  }
}
