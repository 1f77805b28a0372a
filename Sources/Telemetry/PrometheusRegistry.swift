import CoreMetrics
import Foundation

/// What is measured, by the names and labels of swift-metrics: a factory whose metrics can be read as the text that Prometheus scrapes.
///
/// Counters are counters, meters and recorders that do not aggregate are gauges, recorders that do and timers are summaries without
/// quantiles (count and sum, timers in seconds). A gauge that nobody has set is not there.
package final class PrometheusRegistry: MetricsFactory, @unchecked Sendable {
  private let lock = NSLock()
  private var metrics: [Key: Metric] = [:]
  private let help: [String: String]

  private struct Key: Hashable {
    let name: String
    let labels: [[String]]
  }

  /// - Parameter help: a line about each metric, by its name.
  package init(help: [String: String] = [:]) { self.help = help }

  /// All metrics as a scrape reads them, in the order of their names and labels.
  package var text: String {
    let all = lock.withLock { metrics.map { ($0.key, $0.value) } }
    var families: [String: PrometheusText.Family] = [:]
    let ordered = all.sorted {
      ($0.0.name, $0.0.labels.joined().joined(separator: "\0")) < ($1.0.name, $1.0.labels.joined().joined(separator: "\0"))
    }
    for (key, metric) in ordered {
      let labels = key.labels.map { (name: $0[0], value: $0[1]) }
      // One name has one type: what came first.
      guard families[key.name].map({ $0.kind == metric.kind }) ?? true else { continue }
      families[
        key.name, default: .init(name: key.name, kind: metric.kind, help: help[key.name] ?? "", samples: [])
      ].samples += metric.samples(labels)
    }
    return PrometheusText.render(families.values.sorted { $0.name < $1.name })
  }

  private func metric(_ label: String, _ dimensions: [(String, String)], _ kind: PrometheusText.Kind, scale: Double = 1) -> Metric {
    let key = Key(name: PrometheusText.metricName(label), labels: dimensions.map { [$0.0, $0.1] }.sorted { $0[0] < $1[0] })
    return lock.withLock {
      if let known = metrics[key], known.kind == kind { return known }
      let metric = Metric(kind, scale: scale)
      metrics[key] = metric
      return metric
    }
  }

  private func remove(_ handler: AnyObject) {
    lock.withLock { metrics = metrics.filter { $0.value !== handler } }
  }

  package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { metric(label, dimensions, .counter) }
  package func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
    metric(label, dimensions, .counter)
  }
  package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { metric(label, dimensions, .gauge) }
  package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    metric(label, dimensions, aggregate ? .summary : .gauge)
  }
  package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    metric(label, dimensions, .summary, scale: 1e-9)
  }
  package func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
  package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
  package func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
  package func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
  package func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

  /// One value, whatever of it is asked.
  private final class Metric: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler, @unchecked Sendable
  {
    let kind: PrometheusText.Kind
    private let scale: Double
    private let lock = NSLock()
    private var value = 0.0
    private var count = 0
    private var isSet: Bool

    init(_ kind: PrometheusText.Kind, scale: Double) {
      (self.kind, self.scale) = (kind, scale)
      isSet = kind == .counter
    }

    func samples(_ labels: [(name: String, value: String)]) -> [PrometheusText.Sample] {
      lock.lock()
      defer { lock.unlock() }
      guard isSet else { return [] }
      guard kind == .summary else { return [PrometheusText.Sample(labels: labels, value: value)] }
      return [
        PrometheusText.Sample(suffix: "_count", labels: labels, value: Double(count)),
        PrometheusText.Sample(suffix: "_sum", labels: labels, value: value),
      ]
    }

    private func change(_ body: (inout Double) -> Void) {
      lock.withLock {
        body(&value)
        (count, isSet) = (count + 1, true)
      }
    }

    func increment(by amount: Int64) { change { $0 += Double(amount) } }
    func increment(by amount: Double) { change { $0 += amount } }
    func decrement(by amount: Double) { change { $0 -= amount } }
    func set(_ new: Int64) { change { $0 = Double(new) } }
    func set(_ new: Double) { change { $0 = new } }
    func record(_ new: Int64) { record(Double(new)) }
    func record(_ new: Double) { change { $0 = kind == .summary ? $0 + new : new } }
    func recordNanoseconds(_ duration: Int64) { change { $0 += Double(duration) * scale } }
    func reset() { lock.withLock { (value, count) = (0, 0) } }
  }
}
