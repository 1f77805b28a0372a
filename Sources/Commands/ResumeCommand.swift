/// The command line that goes on with a run that was stopped: the user's own, with `--resume`.
enum ResumeCommand {
  static let flag = "--resume"

  /// - Parameter arguments: as the process got them, its own name first.
  /// - Returns: a line that a POSIX shell reads as these arguments.
  static func line(_ arguments: [String]) -> String {
    var words = arguments
    // What follows a lone -- is no flag.
    let end = words.firstIndex(of: "--") ?? words.count
    if !words[..<end].contains(flag) { words.insert(flag, at: end) }
    return words.map(quoted).joined(separator: " ")
  }

  /// The word as a shell reads it back; bare where that is the same.
  static func quoted(_ word: String) -> String {
    let isBare =
      !word.isEmpty
      && word.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "_-./:=,+%@".utf8.contains(byte)
        }
      }
    return isBare ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}
