import DeepSeekOptimize
import Foundation
import Telemetry

/// The work of this process as others watch it over the network, for as long as it lasts.
final class RunTelemetry: @unchecked Sendable {
  /// What `--metrics-port` started; nil without it.
  nonisolated(unsafe) private(set) static var current: RunTelemetry?

  private let lock = NSLock()
  private let clock = ContinuousClock()
  private let metrics: RunMetrics
  private var stage: StageClock?
  private var name: RunMetrics.StageName?
  private var countedTokens = 0
  /// Of training, which counts tokens better than rows do.
  private var trainingRate: Double?

  private init(_ metrics: RunMetrics) { self.metrics = metrics }

  /// Serves the metrics of this process from now on, and says where.
  /// - Throws: when the address cannot be had.
  static func serve(at address: MetricsAddress, command: String) throws {
    let telemetry = RunTelemetry(RunMetrics(command: command, version: Tool.version))
    let server = try MetricsServer(address) { telemetry.text }
    current = telemetry
    Terminal.printError("metrics: http://\(server.address)/metrics")
  }

  func update(_ progress: StageProgress) {
    lock.lock()
    defer { lock.unlock() }
    if StageClock.follow(&stage, progress, at: clock.now) {
      name?.end()
      name = metrics.begin(stage: progress.stage)
      (countedTokens, trainingRate) = (0, nil)
    }
    guard let tokens = stage?.tokens, tokens > countedTokens else { return }
    metrics.add(tokens: tokens - countedTokens)
    countedTokens = tokens
  }

  func update(_ event: FinetuneEvent) {
    switch event {
    case .working(let progress): update(progress)
    case .starting(let layer, let layers): update(StageProgress(stage: "Finding a start", completed: layer, total: layers))
    case .step(let step, _, let rate, _):
      metrics.set(training: step.index + 1, loss: Double(step.loss))
      lock.withLock { trainingRate = rate }
    case .started, .evaluated: break
    }
  }

  private var text: String {
    lock.lock()
    defer { lock.unlock() }
    let now = clock.now
    return metrics.text(
      progress: stage?.progress.share, seconds: stage?.seconds(at: now), secondsLeft: stage?.secondsLeft(at: now),
      rate: trainingRate ?? stage?.tokensPerSecond(at: now))
  }
}
