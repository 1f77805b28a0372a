import Diagnostics

/// A text to measure on, as token windows: the stream is cut into consecutive windows of `context` tokens, a shorter last one is dropped, and
/// each window is run alone from an empty cache, so that figures compare across tools.
public struct EvaluationText: Sendable {
  /// What the report calls it: the file's name.
  public let name: String
  public let context: Int
  public let windows: [[Int32]]

  /// - Parameters:
  ///   - tokens: the whole text, tokenized once, special tokens included as the tokenizer adds them.
  ///   - context: tokens a window; at least 2.
  ///   - limit: the most tokens of the text to use, at least one window; nil for all.
  public init(name: String, tokens: [Int32], context: Int, limit: Int? = nil) throws(EvaluationError) {
    guard context >= 2 else {
      throw EvaluationError("context", "of \(context) tokens leaves nothing to predict", remedy: "use at least 2", kind: .usage)
    }
    var count = tokens.count / context
    if let limit { count = min(count, max(1, limit / context)) }
    guard count > 0 else {
      throw EvaluationError(
        name, "has \(tokens.count) tokens, fewer than one window of \(context)",
        remedy: "give a longer text or a shorter --sequence-length", kind: .badData)
    }
    self.name = name
    self.context = context
    windows = (0..<count).map { Array(tokens[$0 * context..<($0 + 1) * context]) }
  }

  /// How many predictions are scored.
  public var predictions: Int { windows.count * (context - 1) }
}

/// A measurement that cannot be made.
public struct EvaluationError: Failure {
  public let kind: FailureKind
  public let subject: String
  public let problem: String
  public let remedy: String

  init(_ subject: String, _ problem: String, remedy: String = "", kind: FailureKind) {
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
    self.kind = kind
  }
}
