import DeepSeekOptimize
import Foundation

/// Standard output and standard error.
enum Terminal {
  static var errorIsTerminal: Bool { isatty(STDERR_FILENO) != 0 }
  static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) != 0 }

  /// Colour only on a terminal, and never against NO_COLOR.
  static var outputStyle: TextStyle {
    let environment = ProcessInfo.processInfo.environment
    let refuses = !(environment["NO_COLOR"] ?? "").isEmpty || environment["TERM"] == "dumb"
    return outputIsTerminal && !refuses ? .ansi : .plain
  }

  static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }
  static func printError(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

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
