import Diagnostics

/// Training, or its data, that cannot go on.
public struct TrainingError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  public init(_ subject: String, _ problem: String, remedy: String = "", kind: FailureKind = .badData) {
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
    self.kind = kind
  }
}
