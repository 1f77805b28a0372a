import Diagnostics

/// Why a template cannot be read or rendered.
public struct TemplateError: Failure {
  /// What kind of trouble it is.
  public enum Cause: Sendable, Hashable {
    /// The text is no template.
    case syntax
    /// It is a template that needs something outside of what is supported.
    case unsupported
    /// An operation failed on the values it met.
    case evaluation
    /// It takes more steps, depth or output than allowed.
    case limit
    /// The template itself called `raise_exception`: the conversation is not one it accepts.
    case refused
  }

  public let cause: Cause
  public let kind = FailureKind.badData
  public let subject: String
  public let problem: String
  public let remedy: String

  init(_ cause: Cause, _ problem: String, line: Int, file: String = "", remedy: String = "") {
    self.cause = cause
    subject = file
    self.problem = line > 0 ? "line \(line) of the template: \(problem)" : problem
    self.remedy = remedy
  }

  private init(_ error: TemplateError, subject: String) {
    cause = error.cause
    self.subject = subject
    problem = error.problem
    remedy = error.remedy
  }

  /// The same error, naming the file that holds the template.
  func inFile(_ name: String) -> TemplateError { TemplateError(self, subject: name) }

  static func unsupported(_ what: String, line: Int) -> TemplateError {
    TemplateError(.unsupported, "\(what) is not supported", line: line, remedy: "rewrite the template without it")
  }
}
