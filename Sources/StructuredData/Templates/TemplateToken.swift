/// What a template is cut into: text, the marks of tags, and what stands inside them.
struct TemplateToken: Sendable {
  enum Kind: Sendable, Hashable {
    case text(String)
    case variableBegin
    case variableEnd
    case blockBegin
    case blockEnd
    case name(String)
    case string(String)
    case integer(Int64)
    case number(Double)
    /// An operator or a bracket, as spelled.
    case symbol(String)
    case end
  }

  let kind: Kind
  /// From 1.
  let line: Int
}

extension Unicode.Scalar {
  /// What Python's `str.isspace` calls white space.
  var isPythonSpace: Bool {
    switch value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }
}
