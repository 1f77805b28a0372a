import Diagnostics
import Foundation

/// Why a checkpoint could not be read or written. It names the file, the tensor where one is at fault, and the mend.
public struct CheckpointError: Failure {
  public let kind: FailureKind
  /// The file, and the tensor in it when one is at fault: `model.safetensors, tensor model.norm.weight`.
  public let subject: String
  public let problem: String
  public let remedy: String

  public init(kind: FailureKind, subject: String, problem: String, remedy: String = "") {
    self.kind = kind
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
  }
}

extension CheckpointError {
  /// The file breaks its format, is truncated, or holds what is refused for safety.
  public static func malformed(
    file: URL, tensor: String? = nil, _ problem: String, remedy: String = ""
  ) -> CheckpointError {
    CheckpointError(kind: .badData, subject: subject(file, tensor), problem: problem, remedy: remedy)
  }

  /// There is no such file.
  public static func missingFile(_ file: URL) -> CheckpointError {
    CheckpointError(
      kind: .missingInput, subject: file.relativePath, problem: "no such file", remedy: "check the path")
  }

  /// The checkpoint has no tensor of that name.
  public static func missingTensor(_ name: String, in file: URL) -> CheckpointError {
    CheckpointError(
      kind: .badData, subject: file.relativePath, problem: "it has no tensor \"\(shortened(name))\"",
      remedy: "fetch the whole checkpoint again")
  }

  /// The file cannot be created: it exists, its directory does not, or permission is missing.
  public static func cannotCreate(file: URL, _ problem: String, remedy: String = "") -> CheckpointError {
    CheckpointError(kind: .cannotCreate, subject: file.relativePath, problem: problem, remedy: remedy)
  }

  /// The file cannot be created, for the reason the system gives.
  public static func cannotCreate(file: URL, errno code: Int32) -> CheckpointError {
    cannotCreate(file: file, "cannot create it: \(systemMessage(code))", remedy: "choose another place with --output")
  }

  /// Reading or writing failed midway.
  public static func inputOutput(file: URL, tensor: String? = nil, _ problem: String) -> CheckpointError {
    CheckpointError(kind: .inputOutput, subject: subject(file, tensor), problem: problem)
  }

  /// A system call failed midway; `action` says at what: `writing`, `reading`, `flushing`.
  public static func inputOutput(
    file: URL, tensor: String? = nil, _ action: String, errno code: Int32
  ) -> CheckpointError {
    CheckpointError(
      kind: .inputOutput, subject: subject(file, tensor), problem: "\(action) failed: \(systemMessage(code))",
      remedy: code == ENOSPC || code == EDQUOT ? "free some space on that disk and run again" : "")
  }

  /// The caller asks for what the format or the announcement does not allow.
  public static func usage(file: URL, tensor: String? = nil, _ problem: String, remedy: String = "") -> CheckpointError {
    CheckpointError(kind: .usage, subject: subject(file, tensor), problem: problem, remedy: remedy)
  }

  private static func subject(_ file: URL, _ tensor: String?) -> String {
    guard let tensor else { return file.relativePath }
    return "\(file.relativePath), tensor \(shortened(tensor))"
  }

  /// A hostile file may hold names of megabytes: enough of one to find it again.
  package static func shortened(_ name: String) -> String { name.count > 160 ? "\(name.prefix(160))…" : name }

  /// What the system calls that error number.
  package static func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }
}
