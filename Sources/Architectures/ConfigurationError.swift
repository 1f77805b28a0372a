import Diagnostics

/// A config.json that lacks a key, holds an impossible value, or describes a model this package does not know.
public struct ConfigurationError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  init(_ subject: String, _ problem: String, remedy: String = "", kind: FailureKind = .badData) {
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
    self.kind = kind
  }
}
