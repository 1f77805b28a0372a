extension PatternParser {
  /// A character class; the position is behind the opening bracket.
  mutating func bracket(depth: Int = 0) throws(PatternError) -> ScalarSet {
    guard depth < Self.maximumDepth else { throw .malformed("is nested more than \(Self.maximumDepth) levels deep") }
    let isNegated = take("^")
    var ranges: [ClosedRange<UInt32>] = []
    var intersected: ScalarSet?
    var isFirst = true
    // A leading "]" is an ordinary member when another one closes the class.
    if peek() == "]", !closesLater() { throw .malformed("has an empty character class") }
    while let next = peek() {
      if next == "]", !isFirst {
        position += 1
        var set = finished(ranges)
        if let intersected { set = intersected.intersection(set) }
        return isNegated ? set.complement : set
      }
      isFirst = false
      if next == "&", peek(1) == "&" {
        position += 2
        let set = finished(ranges)
        intersected = intersected.map { $0.intersection(set) } ?? set
        ranges = []
      } else {
        ranges += try member(next, depth: depth)
      }
    }
    throw .malformed("has a character class that does not end")
  }

  private func finished(_ ranges: [ClosedRange<UInt32>]) -> ScalarSet {
    let set = ScalarSet(merging: ranges)
    return options.ignoresCase ? CaseFolding.closure(set) : set
  }

  private func closesLater() -> Bool {
    var index = position + 1
    while index < source.count {
      if source[index] == 0x5D { return true }
      index += source[index] == 0x5C ? 2 : 1
    }
    return false
  }

  /// One member: a nested class, a POSIX bracket, an escape, a scalar or a range.
  private mutating func member(_ next: Unicode.Scalar, depth: Int) throws(PatternError) -> [ClosedRange<UInt32>] {
    if next == "[" {
      if peek(1) == ":", let set = posixBracket() { return set.ranges }
      position += 1
      return try bracket(depth: depth + 1).ranges
    }
    if next == "\\", let letter = peek(1) {
      position += 1
      if let set = try classEscape(letter, inBrackets: true) {
        if peek() == "-", let after = peek(1), after != "]" { throw .malformed("has a range that starts with a class") }
        return set.ranges
      }
      position -= 1
    }
    let low = try bracketScalar()
    guard peek() == "-", let after = peek(1), after != "]" else { return [low...low] }
    if after == "[" || after == "&" && peek(2) == "&" { return [low...low] }
    position += 1
    if after == "\\", let letter = peek(1) {
      position += 1
      guard try classEscape(letter, inBrackets: true) == nil else { throw .malformed("has a range that ends with a class") }
      position -= 1
    }
    let high = try bracketScalar()
    guard low <= high else { throw .malformed("has an empty range in a character class") }
    // After a range a hyphen is an ordinary member: [a-c-e].
    var result = [low...high]
    if peek() == "-", let following = peek(1), following != "]", !(following == "&" && peek(2) == "&") {
      position += 1
      result.append(0x2D...0x2D)
    }
    return result
  }

  private mutating func bracketScalar() throws(PatternError) -> UInt32 {
    guard let next = peek() else { throw .malformed("has a character class that does not end") }
    position += 1
    guard next == "\\" else { return next.value }
    if take("b") { return 0x08 }
    return try characterEscape()
  }

  /// `[:name:]` or `[:^name:]`; nil when it is not one, and nothing is taken then.
  private mutating func posixBracket() -> ScalarSet? {
    var index = position + 2
    let isNegated = index < source.count && source[index] == 0x5E
    if isNegated { index += 1 }
    var name = ""
    while index < source.count, let scalar = Unicode.Scalar(source[index]), ("a"..."z").contains(scalar), name.utf8.count < 8 {
      name.unicodeScalars.append(scalar)
      index += 1
    }
    guard index + 1 < source.count, source[index] == 0x3A, source[index + 1] == 0x5D else { return nil }
    guard let set = CharacterProperties.posixBracket(name) else { return nil }
    position = index + 2
    return isNegated ? set.complement : set
  }
}
