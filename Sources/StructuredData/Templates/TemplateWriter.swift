/// Writes values as Python's `str`, `repr` and `json.dumps` do.
struct TemplateWriter {
  /// Bytes it may write at most.
  let limit: Int
  let line: Int
  private(set) var output = ""

  init(limit: Int, line: Int) {
    self.limit = limit
    self.line = line
  }

  private mutating func write(_ text: String) throws(TemplateError) {
    output += text
    guard output.utf8.count <= limit else { throw TemplateError(.limit, "the text grows beyond \(limit) bytes", line: line) }
  }

  mutating func repr(_ value: TemplateValue) throws(TemplateError) {
    switch value {
    case .undefined: try write("Undefined")
    case .none: try write("None")
    case .bool(let value): try write(value ? "True" : "False")
    case .integer(let value): try write(String(value))
    case .number(let value): try write(Self.number(value))
    case .string(let text): try write(Self.quoted(text))
    case .list(let list): try sequence(list.items, "[", "]")
    case .tuple(let list): try sequence(list.items, "(", list.items.count == 1 ? ",)" : ")")
    case .view(let kind, let list): try sequence(list.items, "dict_\(kind)([", "])")
    case .range(let range):
      try write("range(\(range.start), \(range.stop)\(range.step == 1 ? "" : ", \(range.step)"))")
    case .mapping(let mapping):
      try write("{")
      for (index, key) in mapping.keys.enumerated() {
        try write("\(index == 0 ? "" : ", ")\(Self.quoted(key)): ")
        try repr(mapping.values[index])
      }
      try write("}")
    case .markup, .generator, .namespace, .macro, .function, .method, .loop:
      throw TemplateError.unsupported("printing a value of type \(value.typeName)", line: line)
    }
  }

  private mutating func sequence(_ items: [TemplateValue], _ open: String, _ close: String) throws(TemplateError) {
    try write(open)
    for (index, item) in items.enumerated() {
      if index > 0 { try write(", ") }
      try repr(item)
    }
    try write(close)
  }

  /// The form of `json.dumps`.
  struct JSONStyle {
    var isASCII = false
    /// What one level is indented by; nil for one line.
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false
  }

  mutating func json(_ value: TemplateValue, _ style: JSONStyle, level: Int = 0) throws(TemplateError) {
    switch value {
    case .none: try write("null")
    case .bool(let value): try write(value ? "true" : "false")
    case .integer(let value): try write(String(value))
    case .number(let value): try write(value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : Self.number(value))
    case .string(let text), .markup(let text): try write(Self.jsonQuoted(text, isASCII: style.isASCII))
    case .list(let list), .tuple(let list):
      try json(list.items.count, "[", "]", style, level) { writer, index throws(TemplateError) in
        try writer.json(list.items[index], style, level: level + 1)
      }
    case .mapping(let mapping):
      var order = Array(mapping.keys.indices)
      if style.sortsKeys { order.sort { PythonText.isLess(mapping.keys[$0], mapping.keys[$1]) } }
      try json(order.count, "{", "}", style, level) { writer, index throws(TemplateError) in
        try writer.write(Self.jsonQuoted(mapping.keys[order[index]], isASCII: style.isASCII) + style.keySeparator)
        try writer.json(mapping.values[order[index]], style, level: level + 1)
      }
    default: throw TemplateError(.evaluation, "a value of type \(value.typeName) has no JSON form", line: line)
    }
  }

  private mutating func json(
    _ count: Int, _ open: String, _ close: String, _ style: JSONStyle, _ level: Int,
    element: (inout Self, Int) throws(TemplateError) -> Void
  ) throws(TemplateError) {
    try write(open)
    for index in 0..<count {
      if index > 0 { try write(style.itemSeparator) }
      try breakLine(style, level + 1)
      try element(&self, index)
    }
    if count > 0 { try breakLine(style, level) }
    try write(close)
  }

  private mutating func breakLine(_ style: JSONStyle, _ level: Int) throws(TemplateError) {
    guard let indent = style.indent else { return }
    try write("\n" + String(repeating: indent, count: level))
  }
}

extension TemplateWriter {
  /// `repr` of a float: the shortest digits that read back equal, with an exponent from 1e16 on and below 1e-4.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
    // Swift's description has the same digits, and other bounds for the exponent.
    var digits: [UInt8] = []
    var exponent = 0
    var point: Int?
    let text = value.magnitude.description
    let parts = text.utf8.split(separator: UInt8(ascii: "e"))
    if parts.count > 1 { exponent = Int(String(Substring(parts[1]))) ?? 0 }
    for byte in parts[0] {
      if byte == UInt8(ascii: ".") { point = digits.count } else { digits.append(byte) }
    }
    // The value is 0.d1d2d3... times ten to this power.
    var power = (point ?? digits.count) + exponent
    while digits.count > 1, digits.first == UInt8(ascii: "0") {
      digits.removeFirst()
      power -= 1
    }
    while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() }
    let sign = value < 0 ? "-" : ""
    func string(_ bytes: some Collection<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }
    if power > 16 || power < -3 {
      let rest = digits.count > 1 ? "." + string(digits.dropFirst()) : ""
      let shown = power - 1
      let size = String(shown.magnitude)
      return "\(sign)\(string(digits.prefix(1)))\(rest)e\(shown < 0 ? "-" : "+")\(size.utf8.count < 2 ? "0" : "")\(size)"
    }
    if power <= 0 { return "\(sign)0.\(String(repeating: "0", count: -power))\(string(digits))" }
    if digits.count <= power { return "\(sign)\(string(digits))\(String(repeating: "0", count: power - digits.count)).0" }
    return "\(sign)\(string(digits.prefix(power))).\(string(digits.dropFirst(power)))"
  }

  /// `repr` of a string.
  static func quoted(_ text: String) -> String {
    let quote: Unicode.Scalar = text.unicodeScalars.contains("'") && !text.unicodeScalars.contains("\"") ? "\"" : "'"
    var result = String(quote)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case quote: result += "\\\(quote)"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.isPrintable: result.unicodeScalars.append(scalar)
      case _ where scalar.value < 0x100: result += "\\x" + hexadecimal(scalar.value, 2)
      case _ where scalar.value < 0x10000: result += "\\u" + hexadecimal(scalar.value, 4)
      default: result += "\\U" + hexadecimal(scalar.value, 8)
      }
    }
    return result + String(quote)
  }

  private static func hexadecimal(_ value: UInt32, _ width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }

  static func jsonQuoted(_ text: String, isASCII: Bool) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{08}": result += "\\b"
      case "\u{0C}": result += "\\f"
      case _ where scalar.value < 0x20 || isASCII && scalar.value > 0x7E && scalar.value != 0x7F:
        for unit in String(scalar).utf16 { result += "\\u" + hexadecimal(UInt32(unit), 4) }
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

extension Unicode.Scalar {
  /// What Python's `str.isprintable` lets pass.
  fileprivate var isPrintable: Bool {
    if self == " " { return true }
    switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator: return false
    default: return true
    }
  }
}
