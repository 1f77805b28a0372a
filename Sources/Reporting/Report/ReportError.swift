import Diagnostics

/// Why a document is not a compression report.
public struct ReportError: Failure {
  public let kind = FailureKind.badData
  /// The file when it is known, and the key path inside it, such as `accuracy.klDivergence.mean`.
  public let subject: String
  public let problem: String
  public let remedy: String

  init(_ path: String, _ problem: String, remedy: String = "") {
    subject = path.isEmpty ? "report" : path
    self.problem = problem
    self.remedy = remedy
  }

  /// The same error, naming the file it was found in.
  public func inFile(_ name: String) -> ReportError { ReportError("\(name): \(subject)", problem, remedy: remedy) }
}
