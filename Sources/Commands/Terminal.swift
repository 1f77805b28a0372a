import DeepSeekOptimize
import Foundation

/// Standard output and standard error.
enum Terminal {
  /// Whether a bar can be redrawn there: Emacs' shell and others are terminals that take no control sequences.
  static var errorTakesBars: Bool { isatty(STDERR_FILENO) != 0 && !isDumb }
  static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) != 0 }

  /// Colour only on a terminal, and never against NO_COLOR.
  static var outputStyle: TextStyle {
    let refuses = !(ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty || isDumb
    return outputIsTerminal && !refuses ? .ansi : .plain
  }

  private static var isDumb: Bool { ProcessInfo.processInfo.environment["TERM"] == "dumb" }

  /// A bar that is still being redrawn: what is printed next must not be written into it.
  nonisolated(unsafe) private static var isLineOpen = false
  private static let lineLock = NSRecursiveLock()

  static var hasOpenLine: Bool { lineLock.withLock { isLineOpen } }

  static func print(_ text: String) {
    closeLine()
    write(text + "\n", to: STDOUT_FILENO)
  }

  static func print(json: JSONValue) { print(json.text().trimmingCharacters(in: .newlines)) }

  /// Whether another process speaks for this one.
  nonisolated(unsafe) static var isMuted = false

  static func printError(_ text: String) {
    lineLock.withLock {
      guard !isMuted else { return }
      closeLine()
      write(text + "\n", to: STDERR_FILENO)
    }
  }

  /// Draws a line in the place of the one that is drawn already.
  /// - Parameter isLast: whether it stays.
  static func draw(_ line: String, isLast: Bool) {
    lineLock.withLock {
      guard !isMuted else { return }
      write("\r\u{1B}[K\(line)" + (isLast ? "\n" : ""), to: STDERR_FILENO)
      isLineOpen = !isLast
    }
  }

  /// Takes the bar away, for a message in its place; it is drawn again behind it.
  static func clearLine() {
    lineLock.withLock {
      if isLineOpen { write("\r\u{1B}[K", to: STDERR_FILENO) }
      isLineOpen = false
    }
  }

  /// Leaves the bar where it is.
  static func closeLine() {
    lineLock.withLock {
      if isLineOpen { write("\n", to: STDERR_FILENO) }
      isLineOpen = false
    }
  }

  /// Why standard output could not be written to; 0 when it could.
  nonisolated(unsafe) private(set) static var outputError: Int32 = 0

  static func write(_ text: String, to handle: Int32) {
    var text = text
    text.withUTF8 { bytes in
      var rest = UnsafeRawBufferPointer(bytes)[...]
      while !rest.isEmpty {
        let piece = UnsafeRawBufferPointer(rebasing: rest)
        let count = Foundation.write(handle, piece.baseAddress, piece.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
          if handle == STDOUT_FILENO { outputError = errno }
          return
        }
        rest = rest.dropFirst(count)
      }
    }
  }
}
