import Diagnostics

/// A config.json that lacks a key, holds an impossible value, or describes a model this package does not know.
public struct ConfigurationError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  /// - Parameters:
  ///   - subject: the file and the key: `config.json: hidden_size`.
  ///   - problem: what is wrong with it, and the value that shows it.
  ///   - remedy: what to do about it.
  public init(_ subject: String, _ problem: String, remedy: String = "", kind: FailureKind = .badData) {
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
    self.kind = kind
  }
}
