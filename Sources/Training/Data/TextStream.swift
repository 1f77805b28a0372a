import Formats

/// One document that comes in pieces, cut into examples of the full length as its tokens come.
struct TextStream {
  let encoder: ExampleEncoder
  private var pending: [Int32] = []
  private var hasStarted = false
  private var given = 0

  init(encoder: ExampleEncoder) { self.encoder = encoder }

  /// Takes a piece. Pieces behind the first get no beginning of their own: they are from the middle of a document.
  mutating func append(_ piece: String, counting statistics: inout TrainingDataStatistics) -> [TrainingExample] {
    if !hasStarted { pending = encoder.prefix }
    hasStarted = true
    pending += encoder.tokenizer.encode(piece, addSpecialTokens: false)
    return cut(isEnd: false, &statistics)
  }

  /// Ends the document.
  mutating func finish(counting statistics: inout TrainingDataStatistics) -> [TrainingExample] {
    if !hasStarted || pending.count == encoder.prefix.count && given == 0 {
      statistics.dropped += 1
      return []
    }
    pending += encoder.ending(after: pending)
    return cut(isEnd: true, &statistics)
  }

  /// The examples that the tokens so far fill. What fills one exactly waits, lest the document's end stand alone.
  private mutating func cut(isEnd: Bool, _ statistics: inout TrainingDataStatistics) -> [TrainingExample] {
    var examples: [TrainingExample] = []
    var place = 0
    while isEnd ? place < pending.count : pending.count - place > encoder.maximumLength {
      let end = min(pending.count, place + encoder.maximumLength)
      let tokens = Array(pending[place..<end])
      place = end
      // A last token that stands alone has nothing before it to be predicted from.
      if tokens.count == 1, given > 0 { break }
      given += 1
      if given == 2 { statistics.splitTexts += 1 }
      let example = TrainingExample(tokens: tokens, targets: Array(repeating: true, count: tokens.count))
      if encoder.count(example, &statistics) { examples.append(example) }
    }
    pending.removeFirst(place)
    return examples
  }
}
