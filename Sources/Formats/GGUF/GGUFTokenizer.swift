import Foundation
import StructuredData

/// The tokenizer of a model as GGUF keeps it: `tokenizer.ggml.*` and `tokenizer.chat_template`.
///
/// Tokenizers of three kinds can be said there, by the names of llama.cpp: `gpt2`, byte-level byte pairs; `llama`, byte pairs of
/// SentencePiece with byte fallback, whose merges are said as scores; `bert`, WordPiece.
public enum GGUFTokenizer {
  /// The metadata of a tokenizer.
  public struct Encoded: Sendable {
    public internal(set) var metadata = GGUFMetadata()
    /// In what llama.cpp will differ from the tokenizer; empty as a rule.
    public internal(set) var notes: [String] = []

    init() {}

    /// Metadata that are passed on as they are.
    public init(metadata: GGUFMetadata) { self.metadata = metadata }
  }

  /// A tokenizer as the files of a model directory have it.
  public struct Decoded: Sendable {
    /// `tokenizer.json`
    public internal(set) var tokenizer: JSONValue
    /// `tokenizer_config.json`: special tokens, whether they are added, chat templates.
    public internal(set) var configuration: JSONObject
    /// What the metadata leave open and was guessed; empty as a rule.
    public internal(set) var notes: [String]
  }

  /// What a token is, by GGUF's number.
  enum Kind: Int32 {
    case normal = 1
    case unknown, control, userDefined, unused, byte
  }

  struct Token {
    var text: String
    var kind: Kind
  }

  static let prefix = "tokenizer.ggml."
  static let templateKey = "tokenizer.chat_template"
  static let templateNamesKey = "tokenizer.chat_templates"
  /// More tokens no model has.
  static let tokenLimit = 1 << 22

  /// Roles of special tokens: as tokenizer_config.json calls them, and as GGUF does (its spelling included).
  static let roles: [(role: String, key: String)] = [
    ("bos", "bos_token_id"), ("eos", "eos_token_id"), ("unk", "unknown_token_id"), ("sep", "seperator_token_id"),
    ("pad", "padding_token_id"), ("mask", "mask_token_id"),
  ]

  /// The metadata of a tokenizer.
  ///
  /// - Parameters:
  ///   - tokenizer: a tokenizer.json.
  ///   - configuration: tokenizer_config.json: special tokens, `add_bos_token`, chat templates.
  ///   - modelConfiguration: config.json, whose `bos_token_id` and so on count where the other has none.
  ///   - chatTemplate: chat_template.jinja, which goes before the one of the configuration.
  ///   - vocabularySize: the rows of the embedding: ids without a token are filled up with unused ones.
  ///   - file: how errors name the tokenizer.
  public static func encode(
    tokenizer: JSONValue, configuration: JSONValue = .null, modelConfiguration: JSONValue = .null, chatTemplate: String? = nil,
    vocabularySize: Int? = nil, named file: String
  ) throws(TokenizerError) -> Encoded {
    var encoder = try GGUFTokenizerEncoder(tokenizer, configuration, file: file)
    try encoder.encode(vocabularySize: vocabularySize)
    try encoder.addSpecialTokens(modelConfiguration)
    encoder.addTemplates(chatTemplate)
    return encoder.result
  }

  /// The metadata of the tokenizer of a model directory.
  /// - Returns: nil when there is no tokenizer in it.
  public static func encode(contentsOf directory: URL, vocabularySize: Int? = nil) throws(TokenizerError) -> Encoded? {
    guard let (json, file) = try Tokenizer.json(in: directory) else { return nil }
    func read(_ name: String) throws(TokenizerError) -> JSONValue? { try Tokenizer.read(name, in: directory) }
    var configuration = try read("tokenizer_config.json")?.object ?? [:]
    for member in try read("special_tokens_map.json")?.object?.members ?? [] where configuration[member.key] == nil {
      configuration[member.key] = member.value
    }
    let template = try Tokenizer.data("chat_template.jinja", in: directory)
    return try encode(
      tokenizer: json, configuration: .object(configuration), modelConfiguration: read("config.json") ?? .null,
      chatTemplate: template.map { String(decoding: $0, as: UTF8.self) }, vocabularySize: vocabularySize, named: file)
  }

  /// The tokenizer that a file's metadata describe.
  /// - Returns: nil when there is none: `tokenizer.ggml.model` is missing or `none`.
  public static func decode(_ metadata: GGUFMetadata, named file: String) throws(TokenizerError) -> Decoded? {
    switch metadata.string(prefix + "model") {
    case nil, "none", "no_vocab": return nil
    case let kind?: return try GGUFTokenizerDecoder(metadata, file: file).decoded(kind)
    }
  }
}

extension String {
  /// The text behind a beginning of these bytes; nil where it begins otherwise. Swift's own `hasPrefix` does not find a mark that an accent
  /// follows.
  func dropping(prefix: String) -> String? {
    guard utf8.starts(with: prefix.utf8) else { return nil }
    return String(unicodeScalars.dropFirst(prefix.unicodeScalars.count))
  }

  /// Whether it begins and ends with these bytes, and has something between.
  func lies(between start: String, and end: String) -> Bool {
    utf8.count > start.utf8.count + end.utf8.count && utf8.starts(with: start.utf8) && utf8.reversed().starts(with: end.utf8.reversed())
  }

  /// With every scalar replaced that is the one.
  func replacing(scalar: Unicode.Scalar, with other: Unicode.Scalar) -> String {
    var result = String.UnicodeScalarView()
    for element in unicodeScalars { result.append(element == scalar ? other : element) }
    return String(result)
  }
}
