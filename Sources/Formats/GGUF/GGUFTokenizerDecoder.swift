import StructuredData
import Tensors

/// Turns GGUF's metadata into a tokenizer.json and what belongs into its tokenizer_config.json.
struct GGUFTokenizerDecoder {
  let metadata: GGUFMetadata
  let file: String
  let tokens: [GGUFTokenizer.Token]

  init(_ metadata: GGUFMetadata, file: String) throws(TokenizerError) {
    (self.metadata, self.file) = (metadata, file)
    guard let texts = metadata.strings(GGUFTokenizer.prefix + "tokens"), !texts.isEmpty else {
      throw TokenizerError.malformed(file, at: GGUFTokenizer.prefix + "tokens", "there are no tokens")
    }
    guard texts.count <= GGUFTokenizer.tokenLimit else {
      throw TokenizerError.malformed(file, at: GGUFTokenizer.prefix + "tokens", "there are \(texts.count), more than any tokenizer has")
    }
    let kinds = metadata.integers(GGUFTokenizer.prefix + "token_type") ?? []
    guard kinds.isEmpty || kinds.count >= texts.count else {
      throw TokenizerError.malformed(
        file, at: GGUFTokenizer.prefix + "token_type", "there are \(kinds.count) for \(texts.count) tokens")
    }
    var seen: Set<TensorName> = []
    seen.reserveCapacity(texts.count)
    var tokens: [GGUFTokenizer.Token] = []
    tokens.reserveCapacity(texts.count)
    for (id, text) in texts.enumerated() {
      // llama.cpp calls them so.
      let text = text.isEmpty ? "[EMPTY_\(id)]" : text
      guard seen.insert(TensorName(text)).inserted else {
        throw TokenizerError.malformed(
          file, at: GGUFTokenizer.prefix + "tokens", "the token \"\(CheckpointError.shortened(text))\" is there twice")
      }
      let kind = kinds.isEmpty ? nil : Int32(exactly: kinds[id]).flatMap(GGUFTokenizer.Kind.init(rawValue:))
      tokens.append(.init(text: text, kind: kind ?? .normal))
    }
    self.tokens = tokens
  }

  func value(_ key: String) -> GGUFValue? { metadata[GGUFTokenizer.prefix + key] }
  func bool(_ key: String) -> Bool? { metadata.bool(GGUFTokenizer.prefix + key) }

  func unsupported(_ key: String, _ what: String, _ supported: String) -> TokenizerError {
    .unsupported(file, at: GGUFTokenizer.prefix + key, what, supported: supported)
  }

  func decoded(_ kind: String) throws(TokenizerError) -> GGUFTokenizer.Decoded {
    var defaults: [String: Int]
    var json: JSONValue
    var notes: [String] = []
    switch kind {
    case "gpt2":
      defaults = [:]
      json = try byteLevel(&notes)
    case "llama":
      defaults = ["bos": 1, "eos": 2, "unk": 0]
      json = try sentencePiece(&notes)
    case "bert":
      defaults = ["bos": 101, "unk": 100, "sep": 102, "pad": 0, "mask": 103]
      if let id = value("cls_token_id")?.integer { defaults["bos"] = id }
      json = try wordPiece(unknown: id("unk", defaults))
    default: throw unsupported("model", "a tokenizer \"\(CheckpointError.shortened(kind))\"", "\"gpt2\", \"llama\" or \"bert\"")
    }
    var configuration: JSONObject = ["tokenizer_class": "PreTrainedTokenizerFast"]
    for (role, _) in GGUFTokenizer.roles {
      if let id = self.id(role, defaults) { configuration["\(role)_token"] = .string(tokens[id].text) }
    }
    let bos = id("bos", defaults)
    let last = kind == "bert" ? id("sep", defaults) : id("eos", defaults)
    let addsFirst = bool("add_bos_token") ?? addsFirst(kind)
    let addsLast = kind == "bert" ? true : bool("add_eos_token") ?? false
    if kind == "bert" {
      configuration["cls_token"] = configuration["bos_token"]
      for key in ["bos_token", "eos_token"] { configuration[key] = nil }
    } else {
      configuration["add_bos_token"] = .bool(addsFirst)
      configuration["add_eos_token"] = .bool(addsLast)
    }
    addTemplates(to: &configuration)
    guard var members = json.object else { return .init(tokenizer: json, configuration: configuration, notes: notes) }
    members["post_processor"] = postProcessor(first: addsFirst ? bos : nil, last: addsLast ? last : nil, kind: kind)
    return .init(tokenizer: .object(members), configuration: configuration, notes: notes)
  }

  /// What llama.cpp takes where the file does not say it.
  private func addsFirst(_ kind: String) -> Bool {
    if kind != "gpt2" { return true }
    let pre = metadata.string(GGUFTokenizer.prefix + "pre") ?? ""
    let startingOnes: Set = ["llama-bpe", "tekken"]
    return GGUFPreTokenizer.named(pre).map { startingOnes.contains($0.names[0]) && !["glm4", "glm5"].contains(pre) } ?? false
  }

  /// The token of a role.
  private func id(_ role: String, _ defaults: [String: Int]) -> Int? {
    guard let key = GGUFTokenizer.roles.first(where: { $0.role == role })?.key else { return nil }
    guard let id = value(key)?.integer ?? defaults[role], tokens.indices.contains(id) else { return nil }
    return id
  }

  /// Tokens that are found in a text before it is cut.
  func addedTokens() -> JSONValue {
    var added: [JSONValue] = []
    for (id, token) in tokens.enumerated() where [.control, .userDefined, .unknown].contains(token.kind) {
      added.append([
        "id": .integer(Int64(id)), "content": .string(token.text), "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": .bool(token.kind != .userDefined),
      ])
    }
    return .array(added)
  }

  private func postProcessor(first: Int?, last: Int?, kind: String) -> JSONValue {
    guard first != nil || last != nil else {
      return kind == "gpt2" ? ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true] : .null
    }
    func special(_ id: Int?, _ type: Int64) -> [JSONValue] {
      id.map { [["SpecialToken": ["id": .string(tokens[$0].text), "type_id": .integer(type)]]] } ?? []
    }
    func text(_ name: String, _ type: Int64) -> [JSONValue] { [["Sequence": ["id": .string(name), "type_id": .integer(type)]]] }
    let single = special(first, 0) + text("A", 0) + special(last, 0)
    // BERT's second text has its own type and no class token.
    let second = kind == "bert" ? text("B", 1) + special(last, 1) : special(first, 1) + text("B", 1) + special(last, 1)
    var used = JSONObject()
    for id in [first, last].compactMap({ $0 }) {
      let text = JSONValue.string(tokens[id].text)
      used[tokens[id].text] = ["id": text, "ids": [.integer(Int64(id))], "tokens": [text]]
    }
    return ["type": "TemplateProcessing", "single": .array(single), "pair": .array(single + second), "special_tokens": .object(used)]
  }

  private func addTemplates(to configuration: inout JSONObject) {
    let main = metadata.string(GGUFTokenizer.templateKey)
    var named: [JSONValue] = []
    for name in metadata.strings(GGUFTokenizer.templateNamesKey) ?? [] {
      guard let source = metadata.string("\(GGUFTokenizer.templateKey).\(name)") else { continue }
      named.append(["name": .string(name), "template": .string(source)])
    }
    if named.isEmpty {
      configuration["chat_template"] = main.map(JSONValue.string)
    } else {
      let first = main.map { [["name": "default", "template": .string($0)] as JSONValue] } ?? []
      configuration["chat_template"] = .array(first + named)
    }
  }
}
