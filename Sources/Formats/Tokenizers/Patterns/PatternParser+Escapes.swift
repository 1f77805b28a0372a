extension PatternParser {
  /// What a backslash outside brackets means; the position is behind the backslash.
  mutating func escape() throws(PatternError) -> PatternNode {
    guard let letter = peek() else { throw .malformed("ends with a backslash") }
    if let set = try classEscape(letter, inBrackets: false) { return .set(options.ignoresCase ? CaseFolding.closure(set) : set) }
    switch letter {
    case "A": return assertion(.textStart)
    case "z": return assertion(.textEnd)
    case "Z": return assertion(.textEndOrFinalNewline)
    case "b": return assertion(.wordBoundary)
    case "B": return assertion(.notWordBoundary)
    case "N":
      position += 1
      return .set(ScalarSet(0x0A).complement)
    case "O":
      position += 1
      return .set(.all)
    case "R":
      position += 1
      let single = ScalarSet(merging: [0x0A...0x0D, 0x85...0x85, 0x2028...0x2029])
      return .atomic(.alternation([.sequence([.set(ScalarSet(0x0D)), .set(ScalarSet(0x0A))]), .set(single)]))
    case "k": throw .unsupported("a back-reference")
    case "1"..."9":
      let number = decimal()
      if number <= max(9, groupCount) { throw .unsupported("a back-reference") }
      return literal(try characterEscape())
    case "g": throw .unsupported("a subexpression call")
    case "G", "K", "X", "y", "Y": throw .unsupported("\\\(letter)")
    default: return literal(try characterEscape())
    }
  }

  private mutating func assertion(_ kind: PatternAssertion) -> PatternNode {
    position += 1
    return .assertion(kind)
  }

  /// The decimal number at the position, which is not moved.
  private func decimal() -> Int {
    var value = 0
    var ahead = 0
    while let digit = peek(ahead), ("0"..."9").contains(digit), value < 1000 {
      value = value * 10 + Int(digit.value - 0x30)
      ahead += 1
    }
    return value
  }

  /// `\d \D \s \S \w \W \h \H \p{..} \P{..}`; nil for anything else, `\p` without a brace included.
  mutating func classEscape(_ letter: Unicode.Scalar, inBrackets: Bool) throws(PatternError) -> ScalarSet? {
    let set: ScalarSet
    switch letter {
    case "d", "D": set = CharacterProperties.category("Nd")
    case "s", "S": set = CharacterProperties.whitespace
    case "w", "W": set = inBrackets ? CharacterProperties.bracketWord : CharacterProperties.word
    case "h", "H": set = CharacterProperties.hexadecimal
    case "p", "P":
      guard peek(1) == "{" else { return nil }
      position += 2
      return try property(isNegated: letter == "P", inBrackets: inBrackets)
    default: return nil
    }
    position += 1
    return letter.value < 0x61 ? set.complement : set
  }

  private mutating func property(isNegated: Bool, inBrackets: Bool) throws(PatternError) -> ScalarSet {
    var isNegated = isNegated
    var name = ""
    if take("^") { isNegated.toggle() }
    while let next = peek(), next != "}" {
      name.unicodeScalars.append(next)
      position += 1
    }
    guard take("}") else { throw .malformed("has a property name that does not end") }
    guard var set = CharacterProperties.named(name) else { throw .unsupported("the property \\p{\(name)}") }
    if inBrackets, set == CharacterProperties.word { set = CharacterProperties.bracketWord }
    return isNegated ? set.complement : set
  }

  /// The scalar that an escape stands for; the position is behind the backslash.
  mutating func characterEscape() throws(PatternError) -> UInt32 {
    guard let letter = peek() else { throw .malformed("ends with a backslash") }
    position += 1
    switch letter {
    case "n": return 0x0A
    case "r": return 0x0D
    case "t": return 0x09
    case "f": return 0x0C
    case "v": return 0x0B
    case "a": return 0x07
    case "e": return 0x1B
    case "x":
      guard take("{") else { return try hexadecimal(upTo: 2, atLeast: 0) }
      let value = try hexadecimal(upTo: 8, atLeast: 1)
      guard take("}") else { throw .malformed("has an invalid code point") }
      return value
    case "u": return try hexadecimal(upTo: 4, atLeast: 4)
    case "0"..."7":
      position -= 1
      var value: UInt32 = 0
      for _ in 0..<3 {
        guard let digit = peek(), ("0"..."7").contains(digit) else { break }
        value = value * 8 + digit.value - 0x30
        position += 1
      }
      return value
    case "c", "C", "M": throw .unsupported("\\\(letter)")
    default: return letter.value
    }
  }

  private mutating func hexadecimal(upTo most: Int, atLeast least: Int) throws(PatternError) -> UInt32 {
    var value: UInt32 = 0
    var digits = 0
    while digits < most, let next = peek(), let digit = Self.hexadecimalValue(next) {
      value = value << 4 | digit
      digits += 1
      position += 1
    }
    guard digits >= least, Unicode.Scalar(value) != nil else { throw .malformed("has an invalid code point") }
    return value
  }

  private static func hexadecimalValue(_ scalar: Unicode.Scalar) -> UInt32? {
    switch scalar {
    case "0"..."9": scalar.value - 0x30
    case "a"..."f": scalar.value - 0x57
    case "A"..."F": scalar.value - 0x37
    default: nil
    }
  }
}
