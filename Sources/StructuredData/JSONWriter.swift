extension JSONValue {
  /// The document as text: members in their order, two-space indentation when `pretty`, one line otherwise.
  ///
  /// Doubles print in the shortest form that reads back equal, whole ones with `.0`: loaders of configurations tell 0 from 0.0. NaN and infinities have no JSON form: they print as `null`,
  /// so whoever builds a document must leave out what was not measured.
  public func text(pretty: Bool = true) -> String {
    var output = ""
    write(to: &output, indent: pretty ? 0 : nil)
    if pretty { output += "\n" }
    return output
  }

  private func write(to output: inout String, indent: Int?) {
    switch self {
    case .null: output += "null"
    case .bool(let value): output += value ? "true" : "false"
    case .integer(let value): output += String(value)
    case .number(let value): output += value.isFinite ? value.description : "null"
    case .string(let value): Self.quote(value, to: &output)
    case .array(let elements):
      // A list of plain values reads best on one line.
      let inner = elements.contains { $0.isContainer } ? indent : nil
      Self.list(elements, open: "[", close: "]", indent: inner, to: &output) { element, indent, output in
        element.write(to: &output, indent: indent)
      }
    case .object(let object):
      Self.list(object.members, open: "{", close: "}", indent: indent, to: &output) { member, indent, output in
        Self.quote(member.key, to: &output)
        output += indent == nil ? ":" : ": "
        member.value.write(to: &output, indent: indent)
      }
    }
  }

  private var isContainer: Bool {
    switch self {
    case .array, .object: true
    default: false
    }
  }

  private static func list<Element>(
    _ elements: [Element], open: String, close: String, indent: Int?, to output: inout String,
    _ body: (Element, Int?, inout String) -> Void
  ) {
    output += open
    let space = indent.map { "\n" + String(repeating: "  ", count: $0 + 1) }
    for (index, element) in elements.enumerated() {
      if index > 0 { output += "," }
      if let space { output += space }
      body(element, indent.map { $0 + 1 }, &output)
    }
    if let indent, !elements.isEmpty { output += "\n" + String(repeating: "  ", count: indent) }
    output += close
  }

  private static func quote(_ text: String, to output: inout String) {
    output += "\""
    defer { output += "\"" }
    // Most strings need no escape.
    guard text.utf8.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else {
      output += text
      return
    }
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "\n": output += "\\n"
      case "\r": output += "\\r"
      case "\t": output += "\\t"
      default:
        if scalar.value < 0x20 {
          let hex = String(scalar.value, radix: 16)
          output += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        } else {
          output.unicodeScalars.append(scalar)
        }
      }
    }
  }
}
