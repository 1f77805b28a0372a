import DeepSeekOptimize
import Foundation

extension Terminal {
  /// Columns that tables on standard output may take: the terminal's, or what suits a file.
  static var outputWidth: Int {
    var size = winsize()
    guard outputIsTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return ReportTable.width }
    return Int(size.ws_col)
  }
}
