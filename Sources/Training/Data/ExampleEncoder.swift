import Diagnostics
import Formats
import StructuredData

/// Makes token sequences of records, with the loss on what is to be learned.
///
/// A prompt and its completion are tokenized as one text and divided by the places where tokens end, so that the model sees the tokens it
/// would meet; a token that reaches from one into the other counts as the later one. Where the tokenizer does not give back the text it was
/// given, the parts are tokenized one by one, which the statistics tell.
public struct ExampleEncoder: Sendable {
  let tokenizer: Tokenizer
  let chatTemplate: ChatTemplate?
  /// Ends documents and completions.
  let endOfText: Int32?
  /// Tokens of an example at most.
  public let maximumLength: Int
  /// What the tokenizer puts around a text: a beginning, mostly.
  let prefix: [Int32]
  let suffix: [Int32]
  let date: TemplateDate?

  /// - Parameters:
  ///   - chatTemplate: nil when the model has none: conversations are then written as `User: ...`, a blank line, `Assistant: ...`.
  ///   - endOfText: the end-of-sequence token, put behind documents and completions; nil when the model has none.
  ///   - maximumLength: tokens of an example, at least 2. Longer texts are cut into several, prompts lose their beginning.
  ///   - date: what a template is told that asks for the date; the present time when nil.
  public init(
    tokenizer: Tokenizer, chatTemplate: ChatTemplate?, endOfText: Int32?, maximumLength: Int, date: TemplateDate? = nil
  ) throws(TrainingError) {
    guard maximumLength >= 2 else {
      throw TrainingError(
        "sequence length", "of \(maximumLength) tokens leaves nothing to predict", remedy: "use at least 2", kind: .usage)
    }
    self.tokenizer = tokenizer
    self.chatTemplate = chatTemplate
    self.endOfText = endOfText
    self.maximumLength = maximumLength
    self.date = date
    let bare = tokenizer.encode("a", addSpecialTokens: false)
    let whole = tokenizer.encode("a")
    let start = bare.isEmpty ? nil : whole.indices.first { whole[$0...].starts(with: bare) }
    prefix = start.map { Array(whole[..<$0]) } ?? []
    suffix = start.map { Array(whole[($0 + bare.count)...]) } ?? []
  }

  /// Why a record cannot be encoded.
  struct Unusable: Error {
    let problem: String
    var remedy = ""
  }

  /// A part of an example and whether it is to be learned.
  struct Segment: Equatable {
    var text: String
    var isTarget: Bool
  }

  /// The examples that a record gives: one, several for a long text, none when nothing is left to learn.
  func encode(_ record: TrainingRecord, counting statistics: inout TrainingDataStatistics) throws -> [TrainingExample] {
    switch record {
    case .text(let text):
      var stream = TextStream(encoder: self)
      return stream.append(text, counting: &statistics) + stream.finish(counting: &statistics)
    case .completion(let prompt, let completion):
      var (tokens, targets) = encode([Segment(text: prompt, isTarget: false), Segment(text: completion, isTarget: true)], &statistics)
      let end = ending(after: tokens)
      tokens = prefix + tokens + end
      targets = Array(repeating: false, count: prefix.count) + targets + Array(repeating: true, count: end.count)
      return limited(tokens, targets, &statistics)
    case .tokens(let tokens, let targets):
      guard tokens.allSatisfy({ Int($0) < tokenizer.vocabularySize }) else {
        throw Unusable(problem: "has a token outside the vocabulary", remedy: "use the tokens of this model's tokenizer")
      }
      return limited(tokens, targets, &statistics)
    case .conversation(let messages):
      let (tokens, targets) = encode(try segments(of: messages, &statistics), &statistics)
      return limited(tokens, targets, &statistics)
    }
  }

  /// What comes behind a completion or a document: the tokenizer's own ending, and the end of text unless that is one.
  func ending(after tokens: [Int32]) -> [Int32] {
    guard let endOfText, suffix.last != endOfText, !(suffix.isEmpty && tokens.last == endOfText) else { return suffix }
    return suffix + [endOfText]
  }

  /// The tokens of parts that follow one another.
  func encode(_ segments: [Segment], _ statistics: inout TrainingDataStatistics) -> (tokens: [Int32], isTarget: [Bool]) {
    let text = segments.map(\.text).joined()
    let ids = tokenizer.encode(text, addSpecialTokens: false)
    var ends: [Int] = []
    for segment in segments { ends.append((ends.last ?? 0) + segment.text.utf8.count) }
    if let counts = tokenizer.tokenCounts(of: ids, in: text, endingBy: ends) {
      return (ids, Self.targets(segments, counts, tokens: ids.count))
    }
    statistics.tokenizedInParts += 1
    var tokens: [Int32] = []
    var targets: [Bool] = []
    for segment in segments {
      let part = tokenizer.encode(segment.text, addSpecialTokens: false)
      tokens += part
      targets += Array(repeating: segment.isTarget, count: part.count)
    }
    return (tokens, targets)
  }

  /// A token that reaches from one part into the next counts as the next.
  private static func targets(_ segments: [Segment], _ counts: [Int], tokens: Int) -> [Bool] {
    var targets: [Bool] = []
    targets.reserveCapacity(tokens)
    for (index, segment) in segments.enumerated() {
      let end = index == segments.count - 1 ? tokens : counts[index]
      if end > targets.count { targets += Array(repeating: segment.isTarget, count: end - targets.count) }
    }
    return targets
  }

  /// Cuts off the beginning of what is too long, and drops what has nothing to learn.
  private func limited(_ tokens: [Int32], _ targets: [Bool], _ statistics: inout TrainingDataStatistics) -> [TrainingExample] {
    var (tokens, targets) = (tokens, targets)
    if tokens.count > maximumLength {
      let kept = prefix.count < maximumLength && tokens.starts(with: prefix) ? prefix.count : 0
      let lost = tokens.count - maximumLength
      statistics.truncated += 1
      statistics.truncatedTokens += lost
      tokens.removeSubrange(kept..<kept + lost)
      targets.removeSubrange(kept..<kept + lost)
    }
    let example = TrainingExample(tokens: tokens, targets: targets)
    return count(example, &statistics) ? [example] : []
  }

  /// Counts an example; false when it has nothing to learn.
  func count(_ example: TrainingExample, _ statistics: inout TrainingDataStatistics) -> Bool {
    let targets = example.targetCount
    guard targets > 0 else {
      statistics.dropped += 1
      return false
    }
    statistics.examples += 1
    statistics.tokens += example.tokens.count
    statistics.targetTokens += targets
    return true
  }
}
