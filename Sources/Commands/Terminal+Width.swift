import DeepSeekOptimize
import Foundation

extension Terminal {
  /// Columns that tables on standard output may take: the terminal's, or what suits a file.
  static var outputWidth: Int { terminalWidth ?? ReportTable.width }

  /// Columns of the terminal that standard output is; nil for a file, or for another program.
  static var terminalWidth: Int? { width(of: STDOUT_FILENO) }

  /// Columns of the terminal that progress is drawn on.
  static var errorWidth: Int { width(of: STDERR_FILENO) ?? ReportTable.width }

  private static func width(of handle: Int32) -> Int? {
    var size = winsize()
    guard isatty(handle) != 0, ioctl(handle, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }
}
