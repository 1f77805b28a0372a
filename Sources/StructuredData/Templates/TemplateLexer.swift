/// Cuts a template into tokens by Jinja's rules, with `trim_blocks` and `lstrip_blocks` on: the line end after a block tag goes, and so
/// does the indentation before one.
struct TemplateLexer {
  private let source: [Unicode.Scalar]
  private var position = 0
  private var line = 1
  private(set) var tokens: [TemplateToken] = []
  /// Whether what comes next starts a line, as far as the tag before left it.
  private var startsLine = true

  init(_ text: String) {
    // Every kind of line end becomes one line feed, and one at the very end is no part of the template.
    var scalars: [Unicode.Scalar] = []
    var afterReturn = false
    for scalar in text.unicodeScalars {
      if scalar == "\n", afterReturn {
        afterReturn = false
        continue
      }
      afterReturn = scalar == "\r"
      scalars.append(afterReturn ? "\n" : scalar)
    }
    if scalars.last == "\n" { scalars.removeLast() }
    source = scalars
  }

  static func tokens(of text: String) throws(TemplateError) -> [TemplateToken] {
    var lexer = TemplateLexer(text)
    try lexer.run()
    return lexer.tokens
  }

  private mutating func run() throws(TemplateError) {
    while position < source.count {
      let start = position
      while position < source.count, !opensTag { position += 1 }
      let opener: Unicode.Scalar? = position < source.count ? source[position + 1] : nil
      let sign = opener == nil ? nil : signAt(position + 2)
      appendText(from: start, to: position, strip: sign, isBlock: opener == "%" || opener == "#")
      guard let opener else { break }
      position += 2 + (sign == nil || opener == "{" && sign == "+" ? 0 : 1)
      switch opener {
      case "#": try comment()
      case "%":
        if try raw() { continue }
        append(.blockBegin)
        try tag(closing: "%")
      default:
        append(.variableBegin)
        try tag(closing: "}")
      }
    }
    append(.end)
  }

  private var opensTag: Bool {
    guard source[position] == "{", position + 1 < source.count else { return false }
    return source[position + 1] == "%" || source[position + 1] == "#" || source[position + 1] == "{"
  }

  private func signAt(_ index: Int) -> Unicode.Scalar? {
    guard index < source.count, source[index] == "-" || source[index] == "+" else { return nil }
    return source[index]
  }

  private mutating func append(_ kind: TemplateToken.Kind) { tokens.append(TemplateToken(kind: kind, line: line)) }

  /// Adds the text between two tags, without what the tag behind it strips.
  private mutating func appendText(from start: Int, to end: Int, strip: Unicode.Scalar?, isBlock: Bool) {
    var last = end
    if strip == "-" {
      while last > start, source[last - 1].isPythonSpace { last -= 1 }
    } else if strip != "+", isBlock {
      var lineStart = end
      while lineStart > start, source[lineStart - 1] != "\n" { lineStart -= 1 }
      let isIndentation = source[lineStart..<end].allSatisfy(\.isPythonSpace)
      if lineStart < end, isIndentation, lineStart > start || startsLine { last = lineStart }
    }
    if last > start { append(.text(Self.string(source[start..<last]))) }
    countLines(start, end)
  }

  private mutating func countLines(_ start: Int, _ end: Int) {
    for scalar in source[start..<end] where scalar == "\n" { line += 1 }
  }

  private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  /// Passes the end of a tag if it is here; `trims` says whether a line end behind it goes too.
  private mutating func passEnd(_ mark: Unicode.Scalar, trims: Bool) -> Bool {
    func isMark(_ index: Int) -> Bool { index + 1 < source.count && source[index] == mark && source[index + 1] == "}" }
    let start = position
    if position < source.count, source[position] == "-", isMark(position + 1) {
      position += 3
      while position < source.count, source[position].isPythonSpace { position += 1 }
    } else if position < source.count, source[position] == "+", mark != "}", isMark(position + 1) {
      position += 3
    } else if isMark(position) {
      position += 2
      if trims, position < source.count, source[position] == "\n" { position += 1 }
    } else {
      return false
    }
    startsLine = source[position - 1] == "\n"
    countLines(start, position)
    return true
  }

  private mutating func comment() throws(TemplateError) {
    let start = line
    while position < source.count {
      if passEnd("#", trims: true) { return }
      if source[position] == "\n" { line += 1 }
      position += 1
    }
    throw TemplateError(.syntax, "a comment does not end", line: start)
  }

  /// `{% raw %}`: what it encloses is text. False, and nothing read, when another tag is here.
  private mutating func raw() throws(TemplateError) -> Bool {
    let mark = (position, line)
    guard passWord("raw"), passEnd("%", trims: false) else {
      (position, line) = mark
      return false
    }
    let start = position
    while position < source.count {
      if opensTag, source[position + 1] == "%" {
        let place = (position, line)
        let sign = signAt(position + 2)
        position += sign == nil ? 2 : 3
        if passWord("endraw") {
          let behind = position
          position = place.0
          appendText(from: start, to: place.0, strip: sign, isBlock: true)
          position = behind
          guard passEnd("%", trims: true) else { throw TemplateError(.syntax, "the endraw tag does not end", line: line) }
          return true
        }
        (position, line) = place
      }
      position += 1
    }
    throw TemplateError(.syntax, "a raw block does not end", line: mark.1)
  }

  /// Passes white space, a word and white space.
  private mutating func passWord(_ word: String) -> Bool {
    skipSpace()
    for scalar in word.unicodeScalars {
      guard position < source.count, source[position] == scalar else { return false }
      position += 1
    }
    if position < source.count, source[position].isNamePart { return false }
    skipSpace()
    return true
  }

  private mutating func skipSpace() {
    while position < source.count, source[position].isPythonSpace {
      if source[position] == "\n" { line += 1 }
      position += 1
    }
  }

  /// What stands inside a tag, to its end.
  private mutating func tag(closing mark: Unicode.Scalar) throws(TemplateError) {
    let start = line
    var open: [String] = []
    while true {
      skipSpace()
      guard position < source.count else { throw TemplateError(.syntax, "a tag does not end", line: start) }
      // Inside of brackets a brace is a brace.
      if open.isEmpty {
        let here = line
        if passEnd(mark, trims: mark == "%") {
          tokens.append(TemplateToken(kind: mark == "%" ? .blockEnd : .variableEnd, line: here))
          return
        }
      }
      let scalar = source[position]
      if scalar == "\"" || scalar == "'" {
        try string(quote: scalar)
      } else if scalar.isNameStart {
        let first = position
        while position < source.count, source[position].isNamePart { position += 1 }
        append(.name(Self.string(source[first..<position])))
      } else if scalar.isDigit {
        try number()
      } else {
        try symbol(&open)
      }
    }
  }

  private static let longSymbols: Set<String> = ["//", "**", "==", "!=", ">=", "<="]
  private static let closers = [")": "(", "]": "[", "}": "{"]

  private mutating func symbol(_ open: inout [String]) throws(TemplateError) {
    let one = String(source[position])
    let two = position + 1 < source.count ? one + String(source[position + 1]) : one
    if Self.longSymbols.contains(two) {
      position += 2
      append(.symbol(two))
      return
    }
    switch one {
    case "+", "-", "/", "*", "%", "~", "<", ">", "=", ".", ":", "|", ",", ";": break
    case "(", "[", "{": open.append(one)
    case ")", "]", "}":
      guard let last = open.popLast(), last == Self.closers[one] else {
        throw TemplateError(.syntax, "'\(one)' closes nothing", line: line)
      }
    default: throw TemplateError(.syntax, "'\(one)' is not expected", line: line)
    }
    position += 1
    append(.symbol(one))
  }

  private mutating func number() throws(TemplateError) {
    let first = position
    func isDigitOrMark(_ index: Int) -> Bool { index < source.count && (source[index].isDigit || source[index] == "_") }
    if source[position] == "0", position + 1 < source.count, "xXoObB".unicodeScalars.contains(source[position + 1]) {
      throw TemplateError.unsupported("a number that is not decimal", line: line)
    }
    while isDigitOrMark(position) { position += 1 }
    var isInteger = true
    // After a dot, the digits are an index: `pair.0.1`.
    let follows = first > 0 && source[first - 1] == "."
    if !follows, position + 1 < source.count, source[position] == ".", source[position + 1].isDigit {
      isInteger = false
      position += 1
      while isDigitOrMark(position) { position += 1 }
    }
    if !follows, position < source.count, source[position] == "e" || source[position] == "E" {
      var behind = position + 1
      if behind < source.count, source[behind] == "+" || source[behind] == "-" { behind += 1 }
      if behind < source.count, source[behind].isDigit {
        isInteger = false
        position = behind
        while isDigitOrMark(position) { position += 1 }
      }
    }
    let text = Self.string(source[first..<position].filter { $0 != "_" }[...])
    if isInteger, let value = Int64(text) {
      append(.integer(value))
    } else if !isInteger, let value = Double(text), value.isFinite {
      append(.number(value))
    } else {
      throw TemplateError(.unsupported, "the number \(text.prefix(40)) is out of range", line: line)
    }
  }

  private mutating func string(quote: Unicode.Scalar) throws(TemplateError) {
    let start = line
    position += 1
    var text = String.UnicodeScalarView()
    while position < source.count, source[position] != quote {
      let scalar = source[position]
      position += 1
      if scalar == "\n" { line += 1 }
      if scalar == "\\" { try escape(into: &text) } else { text.append(scalar) }
    }
    guard position < source.count else { throw TemplateError(.syntax, "a string does not end", line: start) }
    position += 1
    tokens.append(TemplateToken(kind: .string(String(text)), line: start))
  }

  /// Python's escapes; an unknown one stands for itself.
  private mutating func escape(into text: inout String.UnicodeScalarView) throws(TemplateError) {
    guard position < source.count else { return }
    let scalar = source[position]
    position += 1
    switch scalar {
    case "\n": line += 1
    case "\\", "'", "\"": text.append(scalar)
    case "n": text.append("\n")
    case "t": text.append("\t")
    case "r": text.append("\r")
    case "a": text.append("\u{07}")
    case "b": text.append("\u{08}")
    case "f": text.append("\u{0C}")
    case "v": text.append("\u{0B}")
    case "0"..."7":
      position -= 1
      text.append(try code(radix: 8, digits: 1...3))
    case "x": text.append(try code(radix: 16, digits: 2...2))
    case "u": text.append(try code(radix: 16, digits: 4...4))
    case "U": text.append(try code(radix: 16, digits: 8...8))
    case "N": throw TemplateError.unsupported("a character by its name", line: line)
    default:
      text.append("\\")
      text.append(scalar)
    }
  }

  private mutating func code(radix: Int, digits: ClosedRange<Int>) throws(TemplateError) -> Unicode.Scalar {
    var value: UInt32 = 0
    var count = 0
    while count < digits.upperBound, position < source.count, let digit = Character(source[position]).hexDigitValue, digit < radix,
      source[position].isASCII
    {
      value = value << (radix == 8 ? 3 : 4) | UInt32(digit)
      position += 1
      count += 1
    }
    guard count >= digits.lowerBound, let scalar = Unicode.Scalar(value) else {
      throw TemplateError(.syntax, "an escape in a string is no character", line: line)
    }
    return scalar
  }
}

extension Unicode.Scalar {
  fileprivate var isDigit: Bool { ("0"..."9").contains(self) }
  fileprivate var isNameStart: Bool { self == "_" || (isASCII ? properties.isAlphabetic : properties.isXIDStart) }
  fileprivate var isNamePart: Bool { self == "_" || isDigit || (isASCII ? properties.isAlphabetic : properties.isXIDContinue) }
}
