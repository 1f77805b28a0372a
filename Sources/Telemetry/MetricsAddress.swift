/// Where metrics are served: `9464` (of this machine alone), `0` for any free port, `HOST:PORT`, `[::1]:9464`.
package struct MetricsAddress: Sendable, Hashable, CustomStringConvertible {
  package let host: String
  package let port: UInt16

  package static let loopback = "127.0.0.1"

  package init(host: String = loopback, port: UInt16) { (self.host, self.port) = (host, port) }

  /// - Returns: nil for what is no address.
  package init?(_ text: String) {
    if let port = Self.port(text[...]) {
      self.init(port: port)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      // A bare IPv6 address could end anywhere.
      return nil
    }
    let isName = host.unicodeScalars.allSatisfy {
      $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || ".:-_%".unicodeScalars.contains($0))
    }
    guard !host.isEmpty, host.utf8.count <= 253, isName else { return nil }
    self.init(host: String(host), port: port)
  }

  private static func port(_ text: Substring) -> UInt16? {
    !text.isEmpty && text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) ? UInt16(text) : nil
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
