/// Runs a program over a text, with a stack of ways back instead of recursion.
struct PatternMatcher {
  let text: UnsafeBufferPointer<UInt8>
  let instructions: UnsafeBufferPointer<PatternProgram.Instruction>
  let choices: UnsafeBufferPointer<PatternProgram.Choice>
  let alternatives: UnsafeBufferPointer<PatternProgram.Alternative>
  let masks: UnsafeBufferPointer<UInt64>
  let sets: UnsafeBufferPointer<PatternProgram.SetTable>
  let words: UnsafeBufferPointer<UInt64>
  let astral: UnsafeBufferPointer<ScalarSet>
  let scratch: PatternScratch
  var frameCount = 0
  /// How many steps the search may still take; none left means no further match.
  var budget: Int

  static func withMatcher(
    for program: PatternProgram, _ text: UnsafeBufferPointer<UInt8>, _ scratch: PatternScratch,
    _ body: (inout PatternMatcher) -> Void
  ) {
    if scratch.slots.count < program.slotCount { scratch.slots = [Int](repeating: -1, count: program.slotCount) }
    program.instructions.withUnsafeBufferPointer { instructions in
      program.choices.withUnsafeBufferPointer { choices in
        program.alternatives.withUnsafeBufferPointer { alternatives in
          program.asciiMasks.withUnsafeBufferPointer { masks in
            program.sets.withUnsafeBufferPointer { sets in
              program.words.withUnsafeBufferPointer { words in
                program.astral.withUnsafeBufferPointer { astral in
                  var matcher = PatternMatcher(
                    text: text, instructions: instructions, choices: choices, alternatives: alternatives, masks: masks,
                    sets: sets, words: words, astral: astral, scratch: scratch, budget: scratch.budget)
                  body(&matcher)
                  scratch.budget = matcher.budget
                }
              }
            }
          }
        }
      }
    }
  }

  /// The first match at or behind a position.
  mutating func search(from: Int) -> (start: Int, end: Int)? {
    // The program starts with a choice, whose masks say where a match can start at all.
    let root = choices[0]
    var start = from
    while start < text.count {
      let byte = text[start]
      if byte < 0x80 {
        if masks[Int(byte)] != 0, let end = match(at: start) { return (start, end) }
        start += 1
      } else {
        let scalar = text.scalar(at: start)
        if mask(root, masksAt: 0, at: start) != 0, let end = match(at: start) { return (start, end) }
        start += scalar.length
      }
      if budget <= 0 { return nil }
    }
    if root.nullable != 0, start == text.count, let end = match(at: start) { return (start, end) }
    return nil
  }

  private mutating func match(at start: Int) -> Int? {
    frameCount = 0
    let end = run(from: 0, at: start)
    return end >= 0 ? end : nil
  }

  @inline(__always)
  func contains(_ set: Int, _ scalar: UInt32) -> Bool {
    let table = sets[set]
    if scalar < 0x10000 {
      let word = Int(scalar >> 6)
      return word < Int(table.count) && words[Int(table.offset) + word] >> UInt64(scalar & 63) & 1 == 1
    }
    return astral[set].contains(scalar)
  }

  /// The alternatives of a choice that can match at a position.
  @inline(__always)
  func mask(_ choice: PatternProgram.Choice, masksAt offset: Int, at position: Int) -> UInt64 {
    guard position < text.count else { return choice.nullable }
    let byte = text[position]
    if byte < 0x80 { return masks[offset + Int(byte)] }
    let scalar = text.scalar(at: position).value
    var mask: UInt64 = 0
    for index in 0..<Int(choice.count) where contains(Int(alternatives[Int(choice.first) + index].set), scalar) {
      mask |= 1 << UInt64(index)
    }
    return mask
  }

  /// Takes up to `most` scalars of a set from a position on; returns where it stopped and how many it took.
  @inline(__always)
  func run(of set: Int, from start: Int, atMost most: Int) -> (end: Int, count: Int) {
    let table = sets[set]
    let low = words[Int(table.offset)]
    let high = words[Int(table.offset) + 1]
    var position = start
    var count = 0
    while count < most, position < text.count {
      let byte = text[position]
      if byte < 0x80 {
        guard (byte < 64 ? low : high) >> UInt64(byte & 63) & 1 == 1 else { break }
        position += 1
      } else {
        let scalar = text.scalar(at: position)
        guard contains(set, scalar.value) else { break }
        position += scalar.length
      }
      count += 1
    }
    return (position, count)
  }

  func holds(_ assertion: PatternAssertion, at position: Int) -> Bool {
    switch assertion {
    case .textStart: return position == 0
    case .textEnd: return position == text.count
    // Behind the last newline there is no further line for "^", but there is an end for "$".
    case .lineStart: return position == 0 || position < text.count && text[position - 1] == 0x0A
    case .lineEnd: return position == text.count || text[position] == 0x0A
    case .textEndOrFinalNewline:
      return position == text.count || position == text.count - 1 && text[position] == 0x0A
    case .wordBoundary, .notWordBoundary:
      let before = position > 0 && isWord(text.scalar(at: text.scalarStart(before: position)).value)
      let after = position < text.count && isWord(text.scalar(at: position).value)
      return (before != after) == (assertion == .wordBoundary)
    }
  }

  private func isWord(_ scalar: UInt32) -> Bool { CharacterProperties.word.contains(scalar) }
}
