/// One sequence of tokens to learn from.
public struct TrainingExample: Sendable, Hashable {
  public let tokens: [Int32]
  /// Whether each token counts in the loss as one to predict. Never true of the first: nothing stands before it to predict it from.
  public let isTarget: [Bool]

  /// Nil when the two differ in length.
  public init?(tokens: [Int32], isTarget: [Bool]) {
    guard tokens.count == isTarget.count else { return nil }
    self.init(tokens: tokens, targets: isTarget)
  }

  /// - Parameter targets: as many as tokens.
  init(tokens: [Int32], targets: [Bool]) {
    var targets = targets
    if !targets.isEmpty { targets[0] = false }
    self.tokens = tokens
    isTarget = targets
  }

  public var targetCount: Int { isTarget.count { $0 } }
}

/// What became of the examples of a file.
public struct TrainingDataStatistics: Sendable, Hashable {
  /// Examples that are trained on, pieces of long texts counted each.
  public internal(set) var examples = 0
  public internal(set) var tokens = 0
  public internal(set) var targetTokens = 0
  /// Texts cut into more than one example.
  public internal(set) var splitTexts = 0
  /// Prompts and conversations that lost their beginning to the limit.
  public internal(set) var truncated = 0
  /// Tokens lost that way.
  public internal(set) var truncatedTokens = 0
  /// Examples in which nothing was left to learn.
  public internal(set) var dropped = 0
  /// Examples whose parts were tokenized one by one, as the tokenizer does not give back the text it was given: a token that would reach
  /// from a prompt into its completion is then two.
  public internal(set) var tokenizedInParts = 0
  /// Conversations written in the plain default format, for want of a chat template.
  public internal(set) var plainConversations = 0

  public init() {}

  /// What a person should know about the data.
  public var warnings: [String] {
    var warnings: [String] = []
    if plainConversations > 0 {
      warnings.append(
        "the model has no chat template: \(plainConversations) conversations were written as \"User: ... Assistant: ...\"")
    }
    if truncated > 0 {
      warnings.append("\(truncated) examples were longer than the limit and lost \(truncatedTokens) tokens at their beginning")
    }
    if dropped > 0 { warnings.append("\(dropped) examples had nothing to learn and were left out") }
    if tokenizedInParts > 0 {
      warnings.append("\(tokenizedInParts) examples were tokenized part by part, as the tokenizer does not give back their text")
    }
    return warnings
  }
}
