/// Text that comes from outside, made fit for a terminal and measured in columns.
package enum TerminalText {
  /// Control characters, line breaks and the marks that reorder or hide text become `?`.
  static func sanitized(_ text: String) -> String {
    var output = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { output.append(isUnsafe(scalar) ? "?" : scalar) }
    return String(output)
  }

  static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0xAD, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB,
      0xE0000...0xE0FFF:
      true
    default: false
    }
  }

  /// How many columns a terminal gives the text: two for wide East Asian letters and emoji, none for combining marks.
  static func width(_ text: String) -> Int {
    text.unicodeScalars.reduce(0) { $0 + width(of: $1) }
  }

  private static func width(of scalar: Unicode.Scalar) -> Int {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: return 0
    default: break
    }
    switch scalar.value {
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
      0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
      return 2
    default: return 1
    }
  }

  /// At most `columns` wide; the middle goes, since tensor names differ at both ends.
  static func elided(_ text: String, to columns: Int) -> String {
    let text = bounded(text, scalars: 2 * max(0, columns) + 16)
    guard width(text) > columns else { return text }
    guard columns > 1 else { return String(repeating: "…", count: max(0, columns)) }
    let head = prefix(Array(text), columns: (columns - 1) / 2)
    let tail = prefix(text.reversed(), columns: columns - 1 - (columns - 1) / 2)
    return String(head) + "…" + String(tail.reversed())
  }

  /// Both ends of a text with more scalars than that: a name may be megabytes long, and one letter may carry any number of
  /// accents, so columns alone bound neither work nor output.
  static func bounded(_ text: String, scalars limit: Int) -> String {
    let scalars = text.unicodeScalars
    guard scalars.count > limit else { return text }
    return String(scalars.prefix(limit / 2)) + String(scalars.suffix(limit / 2))
  }

  private static func prefix(_ characters: [Character], columns: Int) -> [Character] {
    var used = 0
    var kept: [Character] = []
    for character in characters {
      used += width(String(character))
      guard used <= columns else { break }
      kept.append(character)
    }
    return kept
  }

  /// The text broken at spaces into at most `lines` lines of at most `columns`; a longer word is cut, a longer text ends in `…`.
  package static func wrapped(_ text: String, to columns: Int, lines maximum: Int = 12) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in String(text.unicodeScalars.prefix(2 * columns * (maximum + 1))).split(separator: " ") {
      var rest = Array(word)
      if !line.isEmpty, width(line) + 1 + width(String(word)) > columns {
        lines.append(line)
        line = ""
      }
      while line.isEmpty, width(String(rest)) > columns {
        let piece = prefix(rest, columns: columns)
        guard !piece.isEmpty else { break }
        lines.append(String(piece))
        rest.removeFirst(piece.count)
      }
      line += (line.isEmpty ? "" : " ") + String(rest)
    }
    if !line.isEmpty || lines.isEmpty { lines.append(line) }
    guard lines.count > maximum, let last = lines.prefix(maximum).last else { return lines }
    return lines.prefix(maximum - 1) + [String(prefix(Array(last), columns: columns - 1)) + "…"]
  }
}
