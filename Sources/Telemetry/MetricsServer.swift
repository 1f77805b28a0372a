import Diagnostics
import Foundation

/// Why metrics cannot be served.
package struct TelemetryError: Failure {
  package var kind = FailureKind.cannotCreate
  package let subject: String
  package let problem: String
  package let remedy: String
}

/// Serves one text over HTTP/1.1, on a thread of its own, one request after the other: what a scraper every few seconds needs, and no more.
///
/// A request is at most 8 kB and answered within seconds or not at all, whoever sends it. Each connection is closed behind its answer.
package final class MetricsServer: Sendable {
  /// Where it listens: the port is known, also when any free one was asked for.
  package let address: MetricsAddress

  private static let longestRequest = 8192
  /// Seconds that a request and its answer may take.
  private static let patience = 2.0

  /// Listens, and answers until the process ends.
  /// - Parameter text: asked for with every scrape, from the server's thread.
  package init(_ wanted: MetricsAddress, text: @escaping @Sendable () -> String) throws(TelemetryError) {
    let socket = try Self.listen(wanted)
    address = MetricsAddress(host: wanted.host, port: Self.port(of: socket) ?? wanted.port)
    let thread = Thread { Self.serve(socket, text) }
    thread.name = "metrics"
    thread.stackSize = 1 << 20
    thread.start()
  }

  private static func listen(_ wanted: MetricsAddress) throws(TelemetryError) -> Int32 {
    func failure(_ code: Int32) -> TelemetryError {
      let isTaken = code == EADDRINUSE
      return TelemetryError(
        subject: "--metrics-port",
        problem: isTaken ? "\(wanted) is in use by another program" : "\(wanted) cannot be listened on: \(String(cString: strerror(code)))",
        remedy: "choose another port, or 0 for any that is free")
    }
    var hints = addrinfo()
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
    hints.ai_family = AF_UNSPEC
    #if canImport(Glibc)
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      hints.ai_socktype = SOCK_STREAM
    #endif
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(wanted.host, "\(wanted.port)", &hints, &found) == 0, let first = found else {
      throw TelemetryError(
        kind: .usage, subject: "--metrics-port", problem: "\(wanted.host) is no address of this machine",
        remedy: "leave the host out for \(MetricsAddress.loopback)")
    }
    defer { freeaddrinfo(first) }
    var code: Int32 = EADDRNOTAVAIL
    var next: UnsafeMutablePointer<addrinfo>? = first
    while let entry = next?.pointee {
      let handle = Foundation.socket(entry.ai_family, entry.ai_socktype, entry.ai_protocol)
      if handle >= 0 {
        _ = fcntl(handle, F_SETFD, FD_CLOEXEC)
        // A run that follows another need not wait until the system forgets the first one's connections.
        var isOn: Int32 = 1
        setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
        if bind(handle, entry.ai_addr, entry.ai_addrlen) == 0, Foundation.listen(handle, 16) == 0 { return handle }
        code = errno
        close(handle)
      } else {
        code = errno
      }
      next = entry.ai_next
    }
    throw failure(code)
  }

  private static func port(of socket: Int32) -> UInt16? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        guard getsockname(socket, address, &length) == 0 else { return nil }
        // The port stands at the same place in both.
        return UnsafeRawPointer(address).loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian
      }
    }
  }

  private static func serve(_ socket: Int32, _ text: () -> String) {
    while true {
      let connection = accept(socket, nil, nil)
      if connection < 0 {
        // No handles left, say: a scrape is lost, the run goes on.
        if errno != EINTR, errno != ECONNABORTED { usleep(100_000) }
        continue
      }
      _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
      #if canImport(Darwin)
        var isOn: Int32 = 1
        setsockopt(connection, SOL_SOCKET, SO_NOSIGPIPE, &isOn, socklen_t(MemoryLayout<Int32>.size))
      #endif
      answer(connection, text)
      close(connection)
    }
  }

  private static func answer(_ connection: Int32, _ text: () -> String) {
    let deadline = ContinuousClock.now + .seconds(patience)
    guard let request = read(connection, until: deadline) else { return }
    let response = HTTPAnswer(to: request, text: text)
    var rest = response.bytes[...]
    while !rest.isEmpty, isReady(connection, POLLOUT, deadline) {
      #if canImport(Darwin)
        let flags = Int32(MSG_DONTWAIT)
      #else
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
      #endif
      let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, flags) }
      // Whoever does not read is waited for above, up to the deadline.
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
    // What was sent beyond the request would turn the end of the connection into an error at the other side.
    shutdown(connection, Int32(SHUT_WR))
    var left = longestRequest
    var waste = [UInt8](repeating: 0, count: 1024)
    while left > 0, isReady(connection, POLLIN, min(deadline, ContinuousClock.now + .milliseconds(200))) {
      let count = recv(connection, &waste, waste.count, 0)
      guard count > 0 else { return }
      left -= count
    }
  }

  /// The head of a request; nil when none comes in time, or a longer one.
  private static func read(_ connection: Int32, until deadline: ContinuousClock.Instant) -> [UInt8]? {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 2048)
    while isReady(connection, POLLIN, deadline) {
      let count = recv(connection, &piece, piece.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return nil }
      bytes += piece[..<count]
      if HTTPAnswer.isWhole(bytes) { return bytes }
      guard bytes.count < longestRequest else { return nil }
    }
    return nil
  }

  private static func isReady(_ connection: Int32, _ event: some BinaryInteger, _ deadline: ContinuousClock.Instant) -> Bool {
    while true {
      let left = ContinuousClock.now.duration(to: deadline).seconds
      guard left > 0 else { return false }
      var entry = pollfd(fd: connection, events: Int16(event), revents: 0)
      let count = poll(&entry, 1, Int32(left * 1000) + 1)
      if count > 0 { return true }
      if count < 0, errno != EINTR { return false }
    }
  }
}
