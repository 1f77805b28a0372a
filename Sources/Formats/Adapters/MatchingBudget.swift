import StructuredData

/// Keeps the work of comparing names with expressions bounded: a hostile file could pair a million of the one with a million of the other.
enum MatchingBudget {
  /// Longest name of a tensor, in bytes; those of real models have about a hundred.
  static let maximumNameBytes = 1024
  /// Most characters of names times states of expressions. Each costs some 30 ns at worst, and a hundred times less in practice.
  private static let maximumSteps = 500_000_000

  /// About as many states as matching may walk through for one character. Counted repetition makes a few characters into many states.
  static func weight(ofExpression text: String) -> Int {
    text.utf8.contains(UInt8(ascii: "{")) ? max(4_000, text.utf8.count) : text.utf8.count
  }

  static func allows(weight: Int, names: [String]) -> Bool {
    let (steps, overflow) = weight.multipliedReportingOverflow(by: names.reduce(0) { $0 &+ $1.utf8.count })
    return !overflow && steps <= maximumSteps
  }
}
