import StructuredData
import Tensors

/// Turns a tokenizer.json into GGUF's metadata.
struct GGUFTokenizerEncoder {
  enum Form: String { case byteLevel = "gpt2", sentencePiece = "llama", wordPiece = "bert" }

  let json: JSONValue
  let configuration: JSONValue
  let file: String
  let tokenizer: Tokenizer
  let form: Form
  var result = GGUFTokenizer.Encoded()
  /// How many tokens are written.
  private(set) var count = 0

  init(_ json: JSONValue, _ configuration: JSONValue, file: String) throws(TokenizerError) {
    var tokenizer = try Tokenizer(json: json, named: file)
    tokenizer.apply(configuration: configuration)
    (self.json, self.configuration, self.file, self.tokenizer) = (json, configuration, file, tokenizer)
    let stages = GGUFPreTokenizer.stages(of: json["pre_tokenizer"] ?? .null)
    if json["model"]?["merges"] == nil {
      form = .wordPiece
    } else if stages.contains(where: { $0["type"]?.string == "ByteLevel" }) {
      form = .byteLevel
    } else if json["model"]?["byte_fallback"]?.bool == true {
      form = .sentencePiece
    } else {
      throw TokenizerError.unsupported(
        file, at: "model", "a tokenizer of byte pairs that is neither byte-level nor falls back to bytes",
        supported: "byte-level BPE, BPE with byte fallback or WordPiece, which GGUF can say")
    }
  }

  mutating func set(_ key: String, _ value: GGUFValue) { result.metadata[GGUFTokenizer.prefix + key] = value }

  mutating func encode(vocabularySize: Int?) throws(TokenizerError) {
    set("model", .string(form.rawValue))
    switch form {
    case .byteLevel: set("pre", .string(try preTokenizer()))
    case .sentencePiece:
      set("pre", .string("default"))
      set("add_space_prefix", .bool(try addsSpacePrefix()))
    case .wordPiece:
      // Every one of them is cut alike.
      set("pre", .string("default"))
      try checkWordPiece()
    }
    let tokens = try tokens(vocabularySize: vocabularySize)
    count = tokens.count
    set("tokens", .strings(tokens.map(\.text)))
    if form == .sentencePiece { set("scores", .float32s(scores(tokens))) }
    set("token_type", .int32s(tokens.map(\.kind.rawValue)))
    if form == .byteLevel { set("merges", .strings(try merges())) }
  }

  /// All tokens by their ids, the gaps filled.
  private mutating func tokens(vocabularySize: Int?) throws(TokenizerError) -> [GGUFTokenizer.Token] {
    var known: [Int: GGUFTokenizer.Token] = [:]
    let vocabulary = json["model"]?["vocab"]?.object?.members ?? []
    known.reserveCapacity(vocabulary.count)
    let unknown = json["model"]?["unk_token"]?.string
    // What the tokenizer puts in by itself steers, whether or not it is listed among the added tokens: no mark of words stands before it.
    var steering: Set<Int> = []
    if form == .wordPiece {
      let edges = edges()
      steering = Set(edges.first + edges.last)
    }
    for member in vocabulary {
      guard let id = member.value.integer else { continue }
      let isSteering = form == .wordPiece && (member.key == unknown || steering.contains(id))
      known[id] = isSteering ? .init(text: member.key, kind: .control) : token(member.key, id)
    }
    for entry in json["added_tokens"]?.array ?? [] {
      guard let text = entry["content"]?.string, !text.isEmpty, let id = tokenizer.id(of: text) else { continue }
      let isControl = entry["special"]?.bool == true || Self.looksSpecial(text)
      let kind: GGUFTokenizer.Kind = form == .sentencePiece && text == unknown ? .unknown : isControl ? .control : .userDefined
      // llama.cpp looks for these before it turns spaces into marks.
      let isMarked = form == .sentencePiece && kind == .userDefined
      known[Int(id)] = .init(text: isMarked ? text.replacing(scalar: "▁", with: " ") : text, kind: kind)
      if entry["lstrip"]?.bool == true || entry["rstrip"]?.bool == true || entry["single_word"]?.bool == true {
        result.notes.append("GGUF cannot say how the token \(CheckpointError.shortened(text)) treats what stands beside it")
      }
    }
    let needed = (known.keys.max() ?? -1) + 1
    let size = vocabularySize ?? needed
    guard size > 0, size <= GGUFTokenizer.tokenLimit else {
      throw TokenizerError.malformed(file, "it has \(size) tokens, not 1 to \(GGUFTokenizer.tokenLimit)")
    }
    if needed > size {
      let beyond = known.count { $0.key >= size }
      result.notes.append("\(beyond) tokens have ids beyond the \(size) rows of the embedding and are left out")
    }
    let tokens = (0..<size).map { known[$0] ?? .init(text: "[PAD\($0)]", kind: .unused) }
    return try unambiguous(tokens)
  }

  /// llama.cpp does not load a file with a text that is there twice.
  private func unambiguous(_ tokens: [GGUFTokenizer.Token]) throws(TokenizerError) -> [GGUFTokenizer.Token] {
    var tokens = tokens
    var texts: Set<TensorName> = []
    texts.reserveCapacity(tokens.count)
    for token in tokens where token.kind != .unused {
      guard texts.insert(TensorName(token.text)).inserted else {
        throw TokenizerError.unsupported(
          file, at: "model", "the token \"\(CheckpointError.shortened(token.text))\", which GGUF would have twice,",
          supported: "tokens whose texts differ there")
      }
    }
    for id in tokens.indices where tokens[id].kind == .unused {
      while !texts.insert(TensorName(tokens[id].text)).inserted { tokens[id].text += "_" }
    }
    return tokens
  }

  /// A token of the model's vocabulary.
  private func token(_ text: String, _ id: Int) -> GGUFTokenizer.Token {
    if text == "[PAD\(id)]" { return .init(text: text, kind: .unused) }
    switch form {
    case .byteLevel: return .init(text: text, kind: .normal)
    case .sentencePiece: return .init(text: text, kind: Self.isByte(text) ? .byte : .normal)
    case .wordPiece:
      // Words begin with a mark there, and what goes on with one has none.
      let rest = text.dropping(prefix: "##") ?? ""
      return .init(text: rest.isEmpty ? "▁" + text : rest, kind: .normal)
    }
  }

  /// `<0x0A>`
  static func isByte(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    func isDigit(_ byte: UInt8) -> Bool { ("0"..."9").contains(Unicode.Scalar(byte)) || ("A"..."F").contains(Unicode.Scalar(byte)) }
    return bytes.count == 6 && bytes.starts(with: "<0x".utf8) && bytes[5] == UInt8(ascii: ">") && isDigit(bytes[3]) && isDigit(bytes[4])
  }

  /// Tokens that some models publish as ordinary ones although they steer: those that llama.cpp's converter takes for such.
  private static func looksSpecial(_ text: String) -> Bool {
    if ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(text) { return true }
    let brackets = [("<|", "|>"), ("<｜", "｜>"), ("<unused", ">")]
    return brackets.contains { text.lies(between: $0.0, and: $0.1) }
  }

  /// Merges as "a b", which tokens of byte-level letters allow: none has a space.
  private func merges() throws(TokenizerError) -> [String] {
    var merges: [String] = []
    for entry in json["model"]?["merges"]?.array ?? [] {
      if let pair = entry.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string {
        guard !left.utf8.contains(0x20), !right.utf8.contains(0x20) else {
          throw TokenizerError.unsupported(file, at: "model.merges", "a merge of a token with a space", supported: "byte-level letters")
        }
        merges.append("\(left) \(right)")
      } else if let line = entry.string, !line.utf8.starts(with: "#version".utf8) {
        merges.append(line)
      }
    }
    return merges
  }
}
