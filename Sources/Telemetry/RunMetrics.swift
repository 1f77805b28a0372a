import CoreMetrics
import Diagnostics
import Foundation
import Synchronization

/// What a command tells of its work while it is at it, by the names that [Docs/command-line.md] lists.
package final class RunMetrics: Sendable {
  package let registry: PrometheusRegistry
  private let stages: Counter
  private let tokens: Counter
  private let progress: Meter
  private let stageSeconds: Meter
  private let secondsLeft: Meter
  private let tokensPerSecond: Meter
  private let loss: Meter
  private let step: Meter
  private let resident: Meter
  private let peak: Meter
  private let processor: FloatingPointCounter
  private let processorSeconds = Mutex(0.0)

  private static let prefix = "deepseek_optimize_"

  private static let help: [String: String] = [
    "build_info": "The version of the program.",
    "command_info": "What it was started as.",
    "estimated_seconds_left": "Seconds until the stage at work is done; NaN while nothing can be said.",
    "peak_memory_bytes": "Bytes of memory that were in use at most.",
    "stage_info": "The stage at work.",
    "stage_progress_ratio": "The share of the stage at work that is done, from 0 to 1, weighed by work.",
    "stage_seconds": "Seconds that the stage at work has taken.",
    "stages_total": "Stages that were begun.",
    "tokens_per_second": "Tokens of text a second in the stage at work; NaN where it works on none.",
    "tokens_total": "Tokens of text that were worked through, in all stages.",
    "training_loss": "The loss of the last step of training.",
    "training_step": "Steps of training that are done.",
  ]

  private static let processHelp: [String: String] = [
    "process_cpu_seconds_total": "Seconds of processor time, of all threads.",
    "process_resident_memory_bytes": "Bytes of memory that are in use.",
    "process_start_time_seconds": "When the run began, in seconds since 1970.",
  ]

  /// - Parameters:
  ///   - command: `quant`, `train`.
  ///   - version: of the program.
  package init(command: String, version: String) {
    var help = Self.processHelp
    for (name, text) in Self.help { help[Self.prefix + name] = text }
    let registry = PrometheusRegistry(help: help)
    func meter(_ name: String, _ dimensions: [(String, String)] = []) -> Meter {
      Meter(label: Self.prefix + name, dimensions: dimensions, factory: registry)
    }
    self.registry = registry
    meter("build_info", [("version", version)]).set(1)
    meter("command_info", [("command", command)]).set(1)
    Meter(label: "process_start_time_seconds", factory: registry).set(Date().timeIntervalSince1970)
    stages = Counter(label: Self.prefix + "stages_total", factory: registry)
    tokens = Counter(label: Self.prefix + "tokens_total", factory: registry)
    progress = meter("stage_progress_ratio")
    stageSeconds = meter("stage_seconds")
    secondsLeft = meter("estimated_seconds_left")
    tokensPerSecond = meter("tokens_per_second")
    loss = meter("training_loss")
    step = meter("training_step")
    peak = meter("peak_memory_bytes")
    resident = Meter(label: "process_resident_memory_bytes", factory: registry)
    processor = FloatingPointCounter(label: "process_cpu_seconds_total", factory: registry)
  }

  /// A stage begins: the one before it is no longer named.
  /// - Returns: its name's gauge, to be destroyed when the stage ends.
  package func begin(stage: String) -> StageName {
    stages.increment()
    let info = Meter(label: Self.prefix + "stage_info", dimensions: [("stage", stage)], factory: registry)
    info.set(1)
    return StageName(info: info)
  }

  package func add(tokens count: Int) { if count > 0 { tokens.increment(by: count) } }

  package func set(training step: Int, loss value: Double) {
    self.step.set(step)
    loss.set(value)
  }

  /// What a scrape reads.
  /// - Parameters:
  ///   - progress: of the stage at work.
  ///   - secondsLeft: nil while nothing can be said.
  ///   - rate: tokens a second; nil for none.
  package func text(progress share: Double?, seconds: Double?, secondsLeft left: Double?, rate: Double?) -> String {
    if let share { progress.set(share) }
    if let seconds { stageSeconds.set(seconds) }
    secondsLeft.set(left ?? .nan)
    tokensPerSecond.set(rate ?? .nan)
    peak.set(Double(ProcessFigures.peakBytes))
    processorSeconds.withLock { known in
      let now = ProcessFigures.processorSeconds
      processor.increment(by: max(0, now - known))
      known = max(known, now)
    }
    if let bytes = ProcessFigures.residentBytes { resident.set(bytes) }
    return registry.text
  }

  /// The name of the stage at work, for as long as it is at work.
  package struct StageName: Sendable {
    fileprivate let info: Meter

    package func end() { info.destroy() }
  }
}
