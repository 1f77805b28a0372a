/// The character properties that tokenizers use, each from the Unicode version that the reference library's component has.
enum CharacterProperties {
  static let categoryNames = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk",
    "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
  ]

  /// Unicode's White_Space, which is `\s`, Rust's `is_whitespace` and `[[:space:]]`.
  static let whitespace = ScalarSet(merging: [
    0x09...0x0D, 0x20...0x20, 0x85...0x85, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
    0x205F...0x205F, 0x3000...0x3000,
  ])
  static let alphabetic = category("L").union(category("Nl")).union(ScalarSet(packed: UnicodeData.alphabetic))
  static let lowercase = category("Ll").union(ScalarSet(packed: UnicodeData.lowercase))
  static let uppercase = category("Lu").union(ScalarSet(packed: UnicodeData.uppercase))

  /// Oniguruma's `\w`.
  static let word = ["L", "M", "Nd", "Nl", "Pc"].reduce(ScalarSet(packed: UnicodeData.word)) { $0.union(category($1)) }

  /// The same inside brackets, which leaves the superscripts and fractions of Latin-1 out.
  static let bracketWord = word.subtracting(ScalarSet(merging: [0xB2...0xB3, 0xB9...0xB9, 0xBC...0xBE]))

  /// `\w` of Rust's regex crate, which the Whitespace component and `single_word` use: with the two joiners.
  static let rustWord = bracketWord.union(ScalarSet(0x200C...0x200D))

  /// What the Digits component takes.
  static let numeric = category("N").union(ScalarSet(packed: UnicodeData.numeric))
  /// What the Punctuation component takes.
  static let punctuation = ScalarSet(packed: UnicodeData.punctuation)
  /// What StripAccents removes.
  static let marks = ScalarSet(packed: UnicodeData.marks)

  /// What BertNormalizer removes as accents, and what it cleans away: of another Unicode version than the above.
  static let bertMarks = ScalarSet(packed: UnicodeData.bertMarks)
  static let bertControl = ScalarSet(packed: UnicodeData.bertControl)

  private static let categories: [ScalarSet] = {
    var ranges = [[ClosedRange<UInt32>]](repeating: [], count: categoryNames.count)
    var numbers = PackedNumbers(UnicodeData.categories)
    var start: UInt32 = 0
    while let run = numbers.next() {
      let category = Int(run & 31)
      if category < ranges.count { ranges[category].append(start...start + run >> 5) }
      start += run >> 5 + 1
    }
    return ranges.map { ScalarSet(merging: $0) }
  }()

  /// The scalars of a general category (`Lu`) or of a group of them (`L`); empty for an unknown name.
  static func category(_ name: String) -> ScalarSet {
    var result = ScalarSet.none
    for (index, candidate) in categoryNames.enumerated() where candidate == name || candidate.hasPrefix(name) && name.count == 1 {
      result = result.union(categories[index])
    }
    return result
  }
}
