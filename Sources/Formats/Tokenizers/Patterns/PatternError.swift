/// Why an expression does not compile; whoever knows the file turns it into a `TokenizerError`.
struct PatternError: Error {
  /// A phrase that follows the expression: "has an unmatched parenthesis".
  let problem: String
  /// Whether the expression is right and asks for something that is refused by name: a construct outside of what matching supports.
  let isUnsupported: Bool

  static func malformed(_ problem: String) -> PatternError { PatternError(problem: problem, isUnsupported: false) }
  static func unsupported(_ feature: String) -> PatternError {
    PatternError(problem: "needs \(feature), which is not supported", isUnsupported: true)
  }
}
