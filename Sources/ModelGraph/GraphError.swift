import Diagnostics

/// A model graph that does not hold together, or weights that do not fit it.
public struct GraphError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  public init(tensor: String, _ problem: String, remedy: String = "") {
    kind = .badData
    subject = tensor
    self.problem = problem
    self.remedy = remedy
  }

  static func missing(_ name: String) -> GraphError {
    GraphError(
      tensor: name, "the checkpoint has no such tensor", remedy: "check that every shard is there and that config.json belongs to it")
  }
}
