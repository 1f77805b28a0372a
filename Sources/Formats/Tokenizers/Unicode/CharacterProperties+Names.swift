extension CharacterProperties {
  /// The set of `\p{name}`. Oniguruma ignores case, spaces, hyphens and underscores; nil for a name that is not carried here.
  static func named(_ name: String) -> ScalarSet? {
    let key = String(decoding: name.utf8.filter { $0 != 0x20 && $0 != 0x2D && $0 != 0x5F }, as: UTF8.self).lowercased()
    if let short = longCategoryNames[key] { return category(short) }
    if let exact = (categoryNames + ["L", "M", "N", "P", "S", "Z", "C"]).first(where: { $0.lowercased() == key }) {
      return category(exact)
    }
    if let set = posix(key) { return set }
    switch key {
    case "word": return word
    case "any": return .all
    case "assigned": return category("Cn").complement
    case "ascii": return ScalarSet(0...0x7F)
    case "alphabetic": return alphabetic
    case "lowercase": return lowercase
    case "uppercase": return uppercase
    case "whitespace": return whitespace
    case "lc", "casedletter": return category("Lu").union(category("Ll")).union(category("Lt"))
    default: return scripts[key].map { ScalarSet(packed: $0) }
    }
  }

  /// The set of a POSIX bracket, `[[:name:]]`; `\p{name}` has the same names, `punct` and `word` with other members.
  static func posixBracket(_ name: String) -> ScalarSet? {
    switch name {
    case "punct": category("P").union(category("S"))
    case "word": bracketWord
    case "ascii": ScalarSet(0...0x7F)
    default: posix(name)
    }
  }

  private static func posix(_ name: String) -> ScalarSet? {
    switch name {
    case "alnum": alphabetic.union(category("Nd"))
    case "alpha": alphabetic
    case "blank": category("Zs").union(ScalarSet(0x09))
    case "cntrl": category("Cc")
    case "digit": category("Nd")
    case "graph": whitespace.union(category("Cc")).union(category("Cn")).union(category("Cs")).complement
    case "lower": lowercase
    case "print":
      whitespace.union(category("Cc")).union(category("Cn")).union(category("Cs")).subtracting(category("Zs")).complement
    case "punct": category("P")
    case "space": whitespace
    case "upper": uppercase
    case "xdigit": hexadecimal
    default: nil
    }
  }

  static let hexadecimal = ScalarSet(merging: [0x30...0x39, 0x41...0x46, 0x61...0x66])

  private static let longCategoryNames = [
    "letter": "L", "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt", "modifierletter": "Lm",
    "otherletter": "Lo", "mark": "M", "combiningmark": "M", "nonspacingmark": "Mn", "spacingmark": "Mc", "enclosingmark": "Me",
    "number": "N", "decimalnumber": "Nd", "letternumber": "Nl", "othernumber": "No", "punctuation": "P",
    "connectorpunctuation": "Pc", "dashpunctuation": "Pd", "openpunctuation": "Ps", "closepunctuation": "Pe",
    "initialpunctuation": "Pi", "finalpunctuation": "Pf", "otherpunctuation": "Po", "symbol": "S", "mathsymbol": "Sm",
    "currencysymbol": "Sc", "modifiersymbol": "Sk", "othersymbol": "So", "separator": "Z", "spaceseparator": "Zs",
    "lineseparator": "Zl", "paragraphseparator": "Zp", "other": "C", "control": "Cc", "format": "Cf", "surrogate": "Cs",
    "privateuse": "Co", "unassigned": "Cn",
  ]

  private static let scripts = [
    "han": UnicodeData.scriptHan, "hani": UnicodeData.scriptHan, "hiragana": UnicodeData.scriptHiragana,
    "hira": UnicodeData.scriptHiragana, "katakana": UnicodeData.scriptKatakana, "kana": UnicodeData.scriptKatakana,
    "hangul": UnicodeData.scriptHangul, "hang": UnicodeData.scriptHangul, "bopomofo": UnicodeData.scriptBopomofo,
    "latin": UnicodeData.scriptLatin, "latn": UnicodeData.scriptLatin, "greek": UnicodeData.scriptGreek,
    "grek": UnicodeData.scriptGreek, "cyrillic": UnicodeData.scriptCyrillic, "cyrl": UnicodeData.scriptCyrillic,
    "arabic": UnicodeData.scriptArabic, "arab": UnicodeData.scriptArabic, "hebrew": UnicodeData.scriptHebrew,
    "hebr": UnicodeData.scriptHebrew, "thai": UnicodeData.scriptThai, "devanagari": UnicodeData.scriptDevanagari,
    "deva": UnicodeData.scriptDevanagari,
  ]
}
