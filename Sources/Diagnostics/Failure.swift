/// What kind of failure ended a command; the raw value is the process exit status (`sysexits.h` where one fits).
public enum FailureKind: Int32, Sendable, Hashable, CaseIterable {
  /// An accuracy gate was missed; the output was kept.
  case gateMissed = 2
  /// The command line or an API call asks for something that does not exist or does not go together.
  case usage = 64
  /// An input file is malformed, truncated or hostile.
  case badData = 65
  /// An input does not exist.
  case missingInput = 66
  /// The output exists already or cannot be created.
  case cannotCreate = 73
  /// Reading or writing failed midway (full disk, device error).
  case inputOutput = 74
  /// The run was stopped; `--resume` continues it.
  case stopped = 75
  /// A recipe or a config.json asks for what cannot be done.
  case badConfiguration = 78
}

/// An error that a person can act on: it says where, what, and how to mend it.
///
/// Every public error of the package conforms. `description` is the one line that a command prints.
public protocol Failure: Error, CustomStringConvertible, Sendable {
  /// The class of the failure, which is also the exit status.
  var kind: FailureKind { get }
  /// The file, tensor, flag or key that is at fault.
  var subject: String { get }
  /// What is wrong with it, with the figures that show it.
  var problem: String { get }
  /// What to do about it; empty when nothing can be said.
  var remedy: String { get }
}

extension Failure {
  public var description: String {
    let head = subject.isEmpty ? problem : "\(subject): \(problem)"
    let line = remedy.isEmpty ? head : "\(head); \(remedy)"
    return line.printable
  }
}

extension String {
  /// The text without control codes and line ends: a hostile name must neither break a line nor reach the terminal as a command.
  package var printable: String {
    var result = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar == "\u{2028}" || scalar == "\u{2029}"
      result.append(isControl ? "?" : scalar)
    }
    return String(result)
  }
}
