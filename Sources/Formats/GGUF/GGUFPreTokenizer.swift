import StructuredData

/// A way to cut text into words that llama.cpp knows by name (`tokenizer.ggml.pre`).
struct GGUFPreTokenizer: Sendable {
  /// The first is written; the others stand for the same, and are read.
  let names: [String]
  /// Expressions whose matches become words of their own, applied one after the other, as a tokenizer.json has them.
  let splits: [String]
  /// A word that is a token is taken whole.
  var ignoresMerges = false
  /// Models of this kind bring text to NFC first, which llama.cpp leaves out.
  var composes = false

  /// GPT-2's expression, which the `ByteLevel` pre-tokenizer applies by itself.
  static let wordsOfGPT2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let rest = #" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  /// Words of upper-case letters before lower-case ones, and the other way round.
  private static let lowerWord = #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
  private static let upperWord = #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
  private static let restWithSlash = #" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  private static let bloom = #" ?[^(\s|.,!?…。，、।۔،)]+"#
  private static let llama3 = contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"# + rest
  /// Letters of alphabets with cases, as DeepSeek's first models list them.
  private static let casedLetters =
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ"
    + "Ⴀ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u{1F7D}ᾀ-ᾴᾶ-ᾼ\u{1FBE}ῂ-ῄῆ-ῌῐ-\u{1FD3}ῖ-\u{1FDB}ῠ-Ῥῲ-ῴῶ-ῼ"
    + "ℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"

  static let all: [GGUFPreTokenizer] = [
    .init(
      names: ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "glm4", "glm5"],
      splits: [llama3], ignoresMerges: true),
    .init(names: ["smaug-bpe", "dbrx", "chatglm-bpe"], splits: [llama3]),
    .init(
      names: ["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"],
      splits: [contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"# + rest], composes: true),
    .init(
      names: ["qwen35"],
      splits: [
        contractions
          + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
      ], composes: true),
    .init(
      names: ["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
      splits: [
        #"\p{N}{1,3}"#, "[一-龥぀-ゟ゠-ヿ]+",
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"##
          + #"\s*[\r\n]+|\s+(?!\S)|\s+"#,
      ]),
    .init(
      names: ["deepseek-llm"],
      splits: [
        #"[\r\n]"#, #"\s?["# + casedLetters + "]+", #"\s?[!-/:-~！-／：-～‘-‟　-。]+"#, #"\s+$"#, "[一-龥ࠀ-一가-퟿]+", #"\p{N}+"#,
      ]),
    .init(
      names: ["deepseek-coder"], splits: [#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, "[一-龥ࠀ-一가-퟿]+", #"\p{N}"#]),
    .init(
      names: [
        "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "mpt", "olmo",
        "jais", "trillion", "granite-docling", "exaone4", "jina-v1-en", "jina-v2-code", "roberta-bpe",
      ], splits: [wordsOfGPT2]),
    .init(
      names: ["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"],
      splits: [#"\p{N}"#, wordsOfGPT2]),
    .init(names: ["falcon"], splits: [#"[\p{P}\$\+<=>\^~\|`]+"#, wordsOfGPT2, "[0-9][0-9][0-9]"]),
    .init(
      names: ["tekken"], splits: [lowerWord + "|" + upperWord + #"|\p{N}|"# + restWithSlash], ignoresMerges: true),
    .init(
      names: ["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
      splits: [lowerWord + contractions + "?|" + upperWord + contractions + #"?|\p{N}{1,3}|"# + restWithSlash]),
    .init(names: ["bloom", "poro-chat", "gpt3-finnish"], splits: [bloom]),
    .init(names: ["viking"], splits: [bloom, #"\p{N}"#]),
    .init(
      names: ["seed-coder"],
      splits: [
        contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"#
      ]),
    .init(names: ["ufakzeka"], splits: [#"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"# + rest]),
    .init(
      names: ["bailingmoe", "bailingmoe2", "llada-moe"],
      splits: [
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#
      ]),
    .init(
      names: ["minicpm5"],
      splits: [#"\p{N}{1,3}"#, contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+|"# + rest], ignoresMerges: true),
    .init(
      names: ["default"], splits: [#"[\p{P}\$\+<=>\^~\|]+"#, wordsOfGPT2, #"\p{N}+"#, "[0-9][0-9][0-9]"]),
  ]

  static func named(_ name: String) -> GGUFPreTokenizer? { all.first { $0.names.contains(name) } }
}

extension GGUFPreTokenizer {
  /// The pre-tokenizer of a tokenizer.json.
  var json: JSONValue {
    var stages = splits.map { expression -> JSONValue in
      if expression == Self.wordsOfGPT2 { return Self.byteLevel(splits: true) }
      if expression == #"\p{N}"# { return ["type": "Digits", "individual_digits": true] }
      return ["type": "Split", "pattern": ["Regex": .string(expression)], "behavior": "Isolated", "invert": false]
    }
    if splits.last != Self.wordsOfGPT2 || splits.dropLast().contains(Self.wordsOfGPT2) {
      // Bytes become letters once, behind all cuts.
      stages = splits.map { ["type": "Split", "pattern": ["Regex": .string($0)], "behavior": "Isolated", "invert": false] }
      stages.append(Self.byteLevel(splits: false))
    }
    return stages.count == 1 ? stages[0] : ["type": "Sequence", "pretokenizers": .array(stages)]
  }

  private static func byteLevel(splits: Bool) -> JSONValue {
    ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": .bool(splits)]
  }

  /// The expressions of a byte-level pre-tokenizer of a tokenizer.json, in one spelling; nil when it does something else as well.
  static func splits(of json: JSONValue) -> [String]? {
    var splits: [String] = []
    var isByteLevel = false
    for stage in stages(of: json) {
      if isByteLevel { return nil }
      switch stage["type"]?.string {
      case "Split":
        guard let expression = stage["pattern"]?["Regex"]?.string else { return nil }
        let isInverted = stage["invert"]?.bool ?? false
        // What an expression matches everywhere is left alone when the rest is taken away.
        guard stage["behavior"]?.string == (isInverted ? "Removed" : "Isolated") else { return nil }
        splits.append(plain(expression))
      case "Digits": splits.append(stage["individual_digits"]?.bool == true ? #"\p{N}"# : #"\p{N}+"#)
      case "ByteLevel":
        guard stage["add_prefix_space"]?.bool == false else { return nil }
        if stage["use_regex"]?.bool ?? true { splits.append(wordsOfGPT2) }
        isByteLevel = true
      default: return nil
      }
    }
    return isByteLevel ? splits : nil
  }

  /// The parts of a component, sequences taken apart.
  static func stages(of json: JSONValue) -> [JSONValue] {
    guard json["type"]?.string == "Sequence" else { return json.isNull ? [] : [json] }
    return (json["pretokenizers"]?.array ?? json["normalizers"]?.array ?? []).flatMap { stages(of: $0) }
  }

  /// Different spellings of the same: line ends written out, marks that need no backslash, and what ignores case.
  private static func plain(_ expression: String) -> String {
    var scalars = String.UnicodeScalarView()
    for scalar in expression.unicodeScalars {
      switch scalar {
      case "\r": scalars.append(contentsOf: #"\r"#.unicodeScalars)
      case "\n": scalars.append(contentsOf: #"\n"#.unicodeScalars)
      default:
        if unescaped.contains(scalar), isEscaped(scalars) { scalars.removeLast() }
        scalars.append(scalar)
      }
    }
    return String(scalars).replacing("(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", with: contractions)
  }

  private static let unescaped = Set("!\"#%&',/:;<=>@_`~ ".unicodeScalars)

  /// Whether what follows has a backslash before it that is none itself.
  private static func isEscaped(_ scalars: String.UnicodeScalarView) -> Bool {
    !scalars.reversed().prefix { $0 == "\\" }.count.isMultiple(of: 2)
  }

  /// The one that cuts as these expressions do, the one that treats whole words alike before others.
  static func matching(_ splits: [String], ignoresMerges: Bool) -> GGUFPreTokenizer? {
    var wanted = [splits]
    // DeepSeek's first models were published with single digits; without merges among digits that is the same.
    if splits.last == #"\p{N}"# { wanted.append(splits.dropLast() + [#"\p{N}+"#]) }
    for splits in wanted {
      let found = all.filter { entry in entry.splits.elementsEqual(splits) { $0.utf8.elementsEqual($1.utf8) } }
      if let entry = found.first(where: { $0.ignoresMerges == ignoresMerges }) ?? found.first { return entry }
    }
    return nil
  }
}
