import Diagnostics
import Foundation
import Testing

@testable import Telemetry

@Suite struct ServerTests {
  private func answer(_ request: String) -> String {
    String(decoding: HTTPAnswer(to: Array(request.utf8)) { "depth 1\n" }.bytes, as: UTF8.self)
  }

  @Test func metricsAreAtOnePlace() {
    let found = answer("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(found.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 8\r\n"))
    #expect(found.hasSuffix("\r\n\r\ndepth 1\n"))
    #expect(answer("GET /metrics?name=x HTTP/1.0\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    let head = answer("HEAD /metrics HTTP/1.1\r\n\r\n")
    #expect(head.hasPrefix("HTTP/1.1 200 ") && head.hasSuffix("\r\n\r\n"))
  }

  @Test(arguments: [
    ("GET / HTTP/1.1", 404), ("GET /metricss HTTP/1.1", 404), ("GET /../metrics HTTP/1.1", 404), ("POST /metrics HTTP/1.1", 405),
    ("DELETE /metrics HTTP/1.1", 405), ("GET /metrics", 400), ("GET /metrics HTTP/2", 400), ("GET  /metrics HTTP/1.1", 400), ("", 400),
    ("GET http://a/metrics HTTP/1.1", 400), ("GET /metrics\u{0} HTTP/1.1", 400),
  ])
  func anythingElseIsRefused(_ line: String, _ status: Int) {
    #expect(answer("\(line)\r\n\r\n").hasPrefix("HTTP/1.1 \(status) "))
  }

  @Test func aRequestEndsWithAnEmptyLine() {
    #expect(HTTPAnswer.isWhole(Array("GET / HTTP/1.1\r\n\r\n".utf8)))
    #expect(HTTPAnswer.isWhole(Array("GET / HTTP/1.1\n\n".utf8)))
    #expect(!HTTPAnswer.isWhole(Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8)))
  }

  /// What a client sends to the port, and what comes back until the end.
  private func exchange(_ port: UInt16, _ pieces: [String]) throws -> String {
    let handle = socket(AF_INET, streamKind, 0)
    defer { close(handle) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    try #require(connected == 0)
    for piece in pieces {
      let bytes = Array(piece.utf8)
      _ = send(handle, bytes, bytes.count, 0)
      usleep(10_000)
    }
    var (result, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 4096))
    while true {
      let count = recv(handle, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      result += buffer[..<count]
    }
    return String(decoding: result, as: UTF8.self)
  }

  private var streamKind: Int32 {
    #if canImport(Glibc)
      Int32(SOCK_STREAM.rawValue)
    #else
      SOCK_STREAM
    #endif
  }

  @Test func scrapesAreAnswered() throws {
    let server = try MetricsServer(MetricsAddress(port: 0)) { "depth 1\n" }
    #expect(server.address.port != 0)
    for _ in 0..<3 {
      let text = try exchange(server.address.port, ["GET /metrics HT", "TP/1.1\r\nHost: a\r\n", "\r\n"])
      #expect(text.hasPrefix("HTTP/1.1 200 OK") && text.hasSuffix("depth 1\n"))
    }
    // More than a request may be gets no answer, and the next one does.
    let endless = try exchange(server.address.port, ["GET /" + String(repeating: "a", count: 20_000)])
    #expect(endless.isEmpty)
    #expect(try exchange(server.address.port, ["GET /other HTTP/1.1\r\n\r\n"]).hasPrefix("HTTP/1.1 404 "))
  }

  @Test func aPortThatIsTakenIsRefused() throws {
    let first = try MetricsServer(MetricsAddress(port: 0)) { "" }
    let failure = #expect(throws: TelemetryError.self) { try MetricsServer(first.address) { "" } }
    #expect(failure?.kind.rawValue == 73)
    #expect(failure?.description.contains("127.0.0.1:\(first.address.port) is in use") == true)
    #expect(throws: TelemetryError.self) { try MetricsServer(MetricsAddress(host: "203.0.113.1", port: 0)) { "" } }
  }

  @Test func aRunSaysWhatItDoes() throws {
    let metrics = RunMetrics(command: "quant", version: "1.2.3")
    #expect(
      metrics.text(progress: nil, seconds: nil, secondsLeft: nil, rate: nil).contains("deepseek_optimize_estimated_seconds_left NaN\n"))
    let stage = metrics.begin(stage: "Quantizing")
    metrics.add(tokens: 512)
    let text = metrics.text(progress: 0.25, seconds: 2, secondsLeft: 6, rate: 256)
    for line in [
      "deepseek_optimize_build_info{version=\"1.2.3\"} 1", "deepseek_optimize_command_info{command=\"quant\"} 1",
      "deepseek_optimize_stage_info{stage=\"Quantizing\"} 1", "deepseek_optimize_stage_progress_ratio 0.25",
      "deepseek_optimize_estimated_seconds_left 6", "deepseek_optimize_tokens_total 512", "deepseek_optimize_tokens_per_second 256",
      "# TYPE deepseek_optimize_tokens_total counter", "# TYPE process_cpu_seconds_total counter",
    ] {
      #expect(text.contains(line + "\n"), "\(line)")
    }
    stage.end()
    #expect(!metrics.text(progress: nil, seconds: nil, secondsLeft: nil, rate: nil).contains("Quantizing"))
  }
}
