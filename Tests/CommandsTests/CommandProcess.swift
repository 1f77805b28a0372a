import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// An executable of this build, started and watched from outside.
final class CommandProcess {
  private let process = Process()
  private let error: URL
  private let output: URL

  /// Where the executables of this build are.
  static var products: URL {
    Bundle.main.bundleURL.pathExtension == "xctest" ? Bundle.main.bundleURL.deletingLastPathComponent() : Bundle.main.bundleURL
  }

  /// - Parameters:
  ///   - words: the executable's name, or another one's path, and its arguments.
  ///   - terminal: what standard output and error are, instead of files.
  init(_ words: [String], in directory: URL, environment: [String: String] = [:], terminal: FileHandle? = nil) throws {
    error = directory.appendingPathComponent("std-\(UUID().uuidString)")
    output = directory.appendingPathComponent("std-\(UUID().uuidString)")
    for file in [error, output] { try Data().write(to: file) }
    process.executableURL = words[0].hasPrefix("/") ? URL(fileURLWithPath: words[0]) : Self.products.appendingPathComponent(words[0])
    process.arguments = Array(words.dropFirst())
    process.currentDirectoryURL = directory
    process.environment = ProcessInfo.processInfo.environment.filter { $0.key != "NO_COLOR" }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try terminal ?? FileHandle(forWritingTo: output)
    process.standardError = try terminal ?? FileHandle(forWritingTo: error)
    try process.run()
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    for file in [error, output] { try? FileManager.default.removeItem(at: file) }
  }

  var errorText: String { (try? String(contentsOf: error, encoding: .utf8)) ?? "" }
  var outputText: String { (try? String(contentsOf: output, encoding: .utf8)) ?? "" }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  func wait() -> Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// Waits until standard error holds these words.
  func waitForError(_ words: String, seconds: Double = 30) throws {
    let end = Date(timeIntervalSinceNow: seconds)
    while !errorText.contains(words) {
      try #require(Date() < end && process.isRunning, "\(errorText)")
      usleep(2000)
    }
  }
}

/// A terminal that a process may write to, and what it wrote.
struct PseudoTerminal {
  private let main: Int32
  let other: FileHandle

  init?() {
    #if canImport(Darwin)
      main = posix_openpt(O_RDWR | O_NOCTTY)
      guard main >= 0, grantpt(main) == 0, unlockpt(main) == 0, let name = ptsname(main).map({ String(cString: $0) }) else { return nil }
    #else
      // Swift's C library module does not show posix_openpt: this is what it does.
      let (unlock, number) = (UInt(0x4004_5431), UInt(0x8004_5430))
      var (isLocked, place) = (Int32(0), Int32(-1))
      main = open("/dev/ptmx", O_RDWR | O_NOCTTY)
      guard main >= 0, ioctl(main, unlock, &isLocked) == 0, ioctl(main, number, &place) == 0 else { return nil }
      let name = "/dev/pts/\(place)"
    #endif
    let handle = open(name, O_RDWR | O_NOCTTY)
    guard handle >= 0 else { return nil }
    other = FileHandle(fileDescriptor: handle, closeOnDealloc: true)
  }

  /// What is written until `isDone`, and what is left then.
  func text(until isDone: () -> Bool) -> String {
    var (bytes, piece) = ([UInt8](), [UInt8](repeating: 0, count: 4096))
    while true {
      let wasDone = isDone()
      var entry = pollfd(fd: main, events: Int16(POLLIN), revents: 0)
      if poll(&entry, 1, 20) > 0 {
        let count = read(main, &piece, piece.count)
        if count > 0 {
          bytes += piece[..<count]
          continue
        }
      }
      if wasDone { return String(decoding: bytes, as: UTF8.self) }
    }
  }

  func close() { _ = Foundation.close(main) }
}

/// What is served at a port of this machine.
enum Scrape {
  static func get(_ path: String, port: UInt16) throws -> String {
    #if canImport(Glibc)
      let kind = Int32(SOCK_STREAM.rawValue)
    #else
      let kind = SOCK_STREAM
    #endif
    let handle = socket(AF_INET, kind, 0)
    defer { close(handle) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    try #require(connected == 0)
    let request = Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
    _ = send(handle, request, request.count, 0)
    var (bytes, piece) = ([UInt8](), [UInt8](repeating: 0, count: 4096))
    while true {
      let count = recv(handle, &piece, piece.count, 0)
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += piece[..<count]
    }
  }
}
