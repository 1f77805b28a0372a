import DeepSeekOptimize
import Foundation

/// How training goes: the bar with the last loss behind it on a terminal, a line now and then elsewhere.
final class FinetuneProgressLine: @unchecked Sendable {
  private let lock = NSLock()
  private let bar: ProgressBar?
  private let telemetry = RunTelemetry.current

  private init(quiet: Bool) { bar = quiet ? nil : ProgressBar() }

  /// - Returns: nil when nobody listens.
  static func handler(quiet: Bool) -> FinetuneRun.FinetuneProgress? {
    if quiet, RunTelemetry.current == nil { return nil }
    let line = FinetuneProgressLine(quiet: quiet)
    return { line.show($0) }
  }

  private func show(_ event: FinetuneEvent) {
    lock.lock()
    defer { lock.unlock() }
    telemetry?.update(event)
    guard let bar else { return }
    switch event {
    case .starting(let layer, let layers):
      bar.update(StageProgress(stage: "Finding a start", completed: layer, total: layers))
    case .started(let parameters, let examples, let heldOut, let steps, let resumedAt):
      let resumed = resumedAt > 0 ? ", going on from step \(resumedAt)" : ""
      let held = heldOut > 0 ? ", \(heldOut) rows held out" : ""
      say("training \(parameters) parameters on \(examples) rows\(held), \(steps) steps\(resumed)")
    case .step(let step, let steps, let rate, _):
      let skipped = step.isSkipped ? "  no finite gradient: skipped" : ""
      detail = String(
        format: "step %d of %d  loss %.4f  learning rate %.2e  %.0f tokens/s%@", step.index + 1, steps, step.loss,
        Double(step.learningRate), rate, skipped)
    case .working(let progress): bar.update(progress, detail: detail)
    case .evaluated(let loss, let step, let isBest):
      say(
        String(format: "evaluation after %d steps: loss %.4f, perplexity %.4f%@", step, loss, exp(loss), isBest ? ", the best so far" : ""))
    }
  }

  private var detail = ""

  private func say(_ message: String) {
    Terminal.clearLine()
    Terminal.printError(message)
  }
}
