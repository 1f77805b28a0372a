/// What is answered to the head of a request: the metrics at `/metrics`, and what is wrong to anything else.
struct HTTPAnswer {
  let status: Int
  private let reason: String
  private let type: String
  private let body: String
  private let extra: String
  private let hasBody: Bool

  /// - Parameter request: up to the empty line.
  init(to request: [UInt8], text: () -> String) {
    let line = request.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
    let words = String(decoding: line, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false)
    let isPlain = line.allSatisfy { (0x20..<0x7F).contains($0) }
    guard isPlain, words.count == 3, words[2].hasPrefix("HTTP/1."), words[1].hasPrefix("/") else {
      self.init(400, "Bad Request", "not a request of HTTP/1\n")
      return
    }
    let path = words[1].prefix { $0 != "?" }
    let isHead = words[0] == "HEAD"
    guard path == "/metrics" else {
      self.init(404, "Not Found", "metrics are at /metrics\n", hasBody: !isHead)
      return
    }
    guard words[0] == "GET" || isHead else {
      self.init(405, "Method Not Allowed", "GET is what /metrics answers\n", extra: "Allow: GET, HEAD\r\n")
      return
    }
    self.init(200, "OK", text(), type: PrometheusText.contentType, hasBody: !isHead)
  }

  private init(
    _ status: Int, _ reason: String, _ body: String, type: String = "text/plain; charset=utf-8", extra: String = "", hasBody: Bool = true
  ) {
    (self.status, self.reason, self.body, self.type, self.extra, self.hasBody) = (status, reason, body, type, extra, hasBody)
  }

  var bytes: [UInt8] {
    let head =
      "HTTP/1.1 \(status) \(reason)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\(extra)Connection: close\r\n\r\n"
    return Array(head.utf8) + (hasBody ? Array(body.utf8) : [])
  }

  /// Whether the empty line that ends a head is there.
  static func isWhole(_ bytes: [UInt8]) -> Bool {
    var feeds = 0
    for byte in bytes {
      if byte == UInt8(ascii: "\n") {
        feeds += 1
        if feeds == 2 { return true }
      } else if byte != UInt8(ascii: "\r") {
        feeds = 0
      }
    }
    return false
  }
}
