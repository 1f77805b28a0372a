import Diagnostics

/// A recipe, a model path or an output that a run cannot start from.
public struct RecipeError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  public init(_ subject: String, _ problem: String, remedy: String = "", kind: FailureKind) {
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
    self.kind = kind
  }
}
