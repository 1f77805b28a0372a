import CoreMetrics
import Foundation
import Testing

@testable import Telemetry

@Suite struct PrometheusTests {
  @Test func labelsAndHelpAreEscaped() {
    let text = PrometheusText.render([
      .init(
        name: "a", kind: .gauge, help: "a \\ and\na \"quote\"",
        samples: [.init(labels: [(name: "stage", value: "a \\ \"b\"\nc")], value: 1)])
    ])
    #expect(text == "# HELP a a \\\\ and\\na \"quote\"\n# TYPE a gauge\na{stage=\"a \\\\ \\\"b\\\"\\nc\"} 1\n")
  }

  @Test(
    arguments: [
      (0, "0"), (1, "1"), (-3, "-3"), (0.25, "0.25"), (1e20, "1e+20"), (.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
      (123_456_789_012, "123456789012"),
    ] as [(Double, String)])
  func numbersAreThoseOfTheFormat(_ value: Double, _ expected: String) {
    #expect(PrometheusText.number(value) == expected)
  }

  @Test(arguments: [
    ("tokens_total", "tokens_total"), ("tokens.total", "tokens_total"), ("9lives", "_9lives"), ("", "_"), ("a:b", "a:b"),
    ("größe", "gr__e"),
  ])
  func namesHoldWhatTheFormatAllows(_ label: String, _ expected: String) {
    #expect(PrometheusText.metricName(label) == expected)
    #expect(PrometheusText.labelName("a:b") == "a_b")
  }

  /// All kinds of metrics through the front door of swift-metrics.
  @Test func theRegistryIsAFactory() {
    let registry = PrometheusRegistry(help: ["jobs_total": "Jobs."])
    let counter = Counter(label: "jobs_total", dimensions: [("kind", "b")], factory: registry)
    Counter(label: "jobs_total", dimensions: [("kind", "a")], factory: registry).increment()
    counter.increment(by: 2)
    counter.increment()
    let gauge = Meter(label: "depth", factory: registry)
    _ = Meter(label: "unset", factory: registry)
    gauge.set(3)
    gauge.decrement(by: 0.5)
    CoreMetrics.Timer(label: "wait_seconds", factory: registry).recordNanoseconds(1_500_000_000)
    #expect(
      registry.text == """
        # TYPE depth gauge
        depth 2.5
        # HELP jobs_total Jobs.
        # TYPE jobs_total counter
        jobs_total{kind="a"} 1
        jobs_total{kind="b"} 3
        # TYPE wait_seconds summary
        wait_seconds_count 1
        wait_seconds_sum 1.5

        """)
    gauge.destroy()
    #expect(!registry.text.contains("depth"))
  }

  @Test(
    arguments: [
      ("9464", "127.0.0.1", 9464), ("0", "127.0.0.1", 0), ("0.0.0.0:80", "0.0.0.0", 80), ("[::1]:9464", "::1", 9464),
      ("node-7.cluster:1", "node-7.cluster", 1),
    ] as [(String, String, UInt16)])
  func addressesAreRead(_ text: String, _ host: String, _ port: UInt16) throws {
    let address = try #require(MetricsAddress(text))
    #expect(address.host == host && address.port == port)
  }

  @Test(arguments: ["", "65536", "-1", "+1", "host", ":80", "host:", "::1:80", "a b:80", "0x10", "host:99999", "ho\nst:80"])
  func whatIsNoAddressIsRefused(_ text: String) { #expect(MetricsAddress(text) == nil) }
}
