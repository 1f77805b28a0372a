/// Strings as Python has them: sequences of Unicode scalars, compared and searched without regard to canonical equivalence.
enum PythonText {
  static func length(_ text: String) -> Int { text.unicodeScalars.count }

  static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  static func stripped(_ text: String, of set: String?, left: Bool = true, right: Bool = true) -> String {
    let wanted = set.map { Set($0.unicodeScalars) }
    func goes(_ scalar: Unicode.Scalar) -> Bool { wanted?.contains(scalar) ?? scalar.isPythonSpace }
    var part = text.unicodeScalars[...]
    if left { part = part.drop(while: goes) }
    if right { while let last = part.last, goes(last) { part.removeLast() } }
    return String(Substring(part))
  }

  /// The byte offset of each occurrence, none overlapping another.
  static func occurrences(of needle: String, in text: String, limit: Int = .max) -> [Int] {
    let (needle, text) = (Array(needle.utf8), Array(text.utf8))
    guard !needle.isEmpty, needle.count <= text.count else { return [] }
    var found: [Int] = []
    var place = 0
    while place <= text.count - needle.count, found.count < limit {
      if text[place] == needle[0], text[place..<place + needle.count].elementsEqual(needle) {
        found.append(place)
        place += needle.count
      } else {
        place += 1
      }
    }
    return found
  }

  /// Cut at each occurrence of a separator, which must not be empty.
  static func split(_ text: String, by separator: String, limit: Int = .max) -> [String] {
    let bytes = Array(text.utf8)
    var parts: [String] = []
    var start = 0
    for place in occurrences(of: separator, in: text, limit: limit) {
      parts.append(String(decoding: bytes[start..<place], as: UTF8.self))
      start = place + separator.utf8.count
    }
    parts.append(String(decoding: bytes[start...], as: UTF8.self))
    return parts
  }

  /// Cut at the last occurrences of a separator.
  static func splitFromRight(_ text: String, by separator: String, limit: Int) -> [String] {
    // Occurrences counted from the right differ from those counted from the left only where they overlap.
    let mirrored = split(reversed(text), by: reversed(separator), limit: limit)
    return mirrored.reversed().map(reversed)
  }

  static func reversed(_ text: String) -> String { string(text.unicodeScalars.reversed()) }

  /// The words between white space. What is left after `limit` cuts keeps its inner and outer space.
  static func words(_ text: String, limit: Int = .max) -> [String] {
    var parts: [String] = []
    var rest = text.unicodeScalars[...].drop(while: \.isPythonSpace)
    while !rest.isEmpty {
      if parts.count >= limit {
        parts.append(String(Substring(rest)))
        break
      }
      let word = rest.prefix { !$0.isPythonSpace }
      parts.append(String(Substring(word)))
      rest = rest[word.endIndex...].drop(while: \.isPythonSpace)
    }
    return parts
  }

  static func lines(_ text: String, keepingEnds: Bool) -> [String] {
    var lines: [String] = []
    var line = String.UnicodeScalarView()
    var afterReturn = false
    for scalar in text.unicodeScalars {
      if afterReturn {
        afterReturn = false
        if scalar == "\n" {
          if keepingEnds, let last = lines.popLast() { lines.append(last + "\n") }
          continue
        }
      }
      switch scalar.value {
      case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029:
        if keepingEnds { line.append(scalar) }
        lines.append(String(line))
        line = String.UnicodeScalarView()
        afterReturn = scalar == "\r"
      default: line.append(scalar)
      }
    }
    if !line.isEmpty { lines.append(String(line)) }
    return lines
  }

  static func replacing(_ old: String, with new: String, in text: String, limit: Int = .max) -> String {
    if old.isEmpty {
      // Python puts the new text between all characters, and at both ends.
      var result = ""
      var count = 0
      for scalar in text.unicodeScalars {
        if count < limit { result += new }
        count += 1
        result.unicodeScalars.append(scalar)
      }
      return count < limit ? result + new : result
    }
    let parts = split(text, by: old, limit: limit)
    return parts.count == 1 ? text : parts.joined(separator: new)
  }

  static func contains(_ needle: String, in text: String) -> Bool { needle.isEmpty || !occurrences(of: needle, in: text, limit: 1).isEmpty }

  /// The place of an occurrence in scalars.
  static func index(of needle: String, in text: String, fromRight: Bool = false) -> Int? {
    if needle.isEmpty { return fromRight ? length(text) : 0 }
    if fromRight {
      return index(of: reversed(needle), in: reversed(text)).map { length(text) - $0 - length(needle) }
    }
    guard let place = occurrences(of: needle, in: text, limit: 1).first else { return nil }
    return length(String(decoding: text.utf8.prefix(place), as: UTF8.self))
  }

  static func hasPrefix(_ text: String, _ prefix: String) -> Bool { text.utf8.starts(with: prefix.utf8) }

  static func hasSuffix(_ text: String, _ suffix: String) -> Bool { text.utf8.reversed().starts(with: suffix.utf8.reversed()) }

  static func isLess(_ left: String, _ right: String) -> Bool { left.utf8.lexicographicallyPrecedes(right.utf8) }

  static func upper(_ text: String) -> String { text.unicodeScalars.map { $0.properties.uppercaseMapping }.joined() }

  static func lower(_ text: String) -> String {
    guard text.unicodeScalars.contains("\u{3A3}") else { return text.unicodeScalars.map { $0.properties.lowercaseMapping }.joined() }
    let scalars = Array(text.unicodeScalars)
    return scalars.indices.map { lower(scalars, at: $0) }.joined()
  }

  /// One letter in lower case; a sigma at a word's end has a form of its own.
  private static func lower(_ scalars: [Unicode.Scalar], at index: Int) -> String {
    guard scalars[index] == "\u{3A3}" else { return scalars[index].properties.lowercaseMapping }
    let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
    let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
    let isFinal = before?.properties.isCased == true && after?.properties.isCased != true
    return isFinal ? "\u{3C2}" : "\u{3C3}"
  }

  /// `str.title`: a letter after one without case begins a word.
  static func title(_ text: String) -> String {
    let scalars = Array(text.unicodeScalars)
    var result = ""
    var isInWord = false
    for (index, scalar) in scalars.enumerated() {
      result += isInWord ? lower(scalars, at: index) : scalar.properties.titlecaseMapping
      isInWord = scalar.properties.isCased
    }
    return result
  }

  static func capitalized(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return "" }
    let scalars = Array(text.unicodeScalars)
    return first.properties.titlecaseMapping + scalars.indices.dropFirst().map { lower(scalars, at: $0) }.joined()
  }

  /// The `title` filter: words begin after white space, a hyphen or an opening bracket.
  static func titleOfWords(_ text: String) -> String {
    var result = ""
    var word = String.UnicodeScalarView()
    func cased(_ word: String.UnicodeScalarView) -> String {
      guard let first = word.first else { return "" }
      return first.properties.uppercaseMapping + lower(String(word.dropFirst()))
    }
    for scalar in text.unicodeScalars {
      if scalar.isPythonSpace || "-({[<".unicodeScalars.contains(scalar) {
        result += cased(word)
        word = String.UnicodeScalarView()
        result.unicodeScalars.append(scalar)
      } else {
        word.append(scalar)
      }
    }
    return result + cased(word)
  }
}
