/// Pieces of HTML. Everything that comes from outside goes through ``escape(_:)``.
enum HTML {
  /// The text for element content and quoted attributes. Characters that are invisible, reorder the line or that HTML does not
  /// allow show as U+FFFD.
  static func escape(_ text: String) -> String {
    var output = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": output.append(contentsOf: "&amp;".unicodeScalars)
      case "<": output.append(contentsOf: "&lt;".unicodeScalars)
      case ">": output.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": output.append(contentsOf: "&quot;".unicodeScalars)
      case "'": output.append(contentsOf: "&#39;".unicodeScalars)
      case "\n", "\t": output.append(scalar)
      default: output.append(TerminalText.isUnsafe(scalar) ? "\u{FFFD}" : scalar)
      }
    }
    return String(output)
  }

  /// A name cut to a length that keeps the page readable and small, then escaped.
  static func name(_ text: String, limit: Int = 120) -> String {
    escape(TerminalText.elided(text, to: limit))
  }

  /// Our own figures set as print would: a true minus sign, powers of ten for exponents, units that stay with their number.
  static func typographic(_ text: String) -> String {
    let characters = Array(text)
    var output = ""
    var index = 0
    while index < characters.count {
      let character = characters[index]
      let previous = index > 0 ? characters[index - 1] : " "
      let next = index + 1 < characters.count ? characters[index + 1] : " "
      if character == "-", next.isNumber, !previous.isNumber, !previous.isLetter {
        output += "−"
      } else if character == "e", previous.isNumber, next == "-" || next == "+",
        let power = Int(String(characters[(index + 1)...].prefix { $0.isNumber || $0 == "-" || $0 == "+" }))
      {
        output += "\u{A0}×\u{A0}10" + NumberText.superscript(power)
        index += 1
        while index < characters.count, characters[index].isNumber || "+-".contains(characters[index]) { index += 1 }
        continue
      } else if character == " ", previous.isNumber, units.contains(where: { follows($0, in: characters, at: index + 1) }) {
        output += "\u{A0}"
      } else {
        output.append(character)
      }
      index += 1
    }
    return output
  }

  private static let units = ["%", "M", "B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "dB", "ms", "s", "min", "h", "nats"]

  private static func follows(_ unit: String, in text: [Character], at index: Int) -> Bool {
    let end = index + unit.count
    return end <= text.count && text[index..<end].elementsEqual(unit) && (end == text.count || !text[end].isLetter)
  }

  /// A section under a second-level heading.
  static func section(_ title: String, id: String, _ body: String) -> String {
    "<section aria-labelledby=\"\(id)\">\n<h2 id=\"\(id)\">\(escape(title))</h2>\n\(body)</section>\n"
  }

  static func paragraph(_ text: String, class name: String? = nil) -> String {
    "<p\(name.map { " class=\"\($0)\"" } ?? "")>\(escape(text))</p>\n"
  }

  /// Folded content that opens without a script.
  static func details(_ summary: String, _ body: String) -> String {
    "<details><summary>\(escape(summary))</summary>\n\(body)</details>\n"
  }
}
