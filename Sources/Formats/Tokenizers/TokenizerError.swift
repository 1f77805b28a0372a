import Diagnostics

/// Why a tokenizer could not be read.
public struct TokenizerError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  init(kind: FailureKind, subject: String, problem: String, remedy: String) {
    (self.kind, self.subject, self.problem, self.remedy) = (kind, subject, problem, remedy)
  }

  /// A malformed part: `subject` is the file, `path` the place inside it (`pre_tokenizer.pretokenizers[1]`).
  static func malformed(_ file: String, at path: String = "", _ problem: String) -> TokenizerError {
    let place = path.isEmpty ? problem : "\(path): \(problem)"
    return TokenizerError(
      kind: .badData, subject: file, problem: place, remedy: "take the file again from where the model was published")
  }

  /// A part that is well formed and outside of what is supported: refused by name, with what would do.
  static func unsupported(_ file: String, at path: String, _ what: String, supported: String) -> TokenizerError {
    TokenizerError(
      kind: .badData, subject: file, problem: "\(path.isEmpty ? "" : "\(path): ")\(what) is not supported",
      remedy: "use a tokenizer that needs only \(supported)")
  }

  /// What stood in the way of reading its file.
  init(_ error: CheckpointError) {
    (kind, subject, problem, remedy) = (error.kind, error.subject, error.problem, error.remedy)
  }

  static func missing(_ file: String) -> TokenizerError {
    TokenizerError(
      kind: .missingInput, subject: file, problem: "no such file",
      remedy: "put the model's tokenizer.json beside its config.json")
  }

}
