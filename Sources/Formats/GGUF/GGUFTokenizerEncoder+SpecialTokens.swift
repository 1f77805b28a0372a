import StructuredData

extension GGUFTokenizerEncoder {
  /// The ids of special tokens, and which of them are put around a text.
  mutating func addSpecialTokens(_ modelConfiguration: JSONValue) throws(TokenizerError) {
    var ids: [String: Int] = [:]
    func known(_ text: String?) -> Int? {
      guard let id = text.flatMap({ tokenizer.id(of: $0) }).map(Int.init), id < count else { return nil }
      return id
    }
    for role in GGUFTokenizer.roles.map(\.role) + ["cls"] {
      let token = configuration["\(role)_token"]
      let listed = modelConfiguration["\(role)_token_id"]
      let number = (listed?.integer ?? listed?.array?.first?.integer).flatMap { (0..<count).contains($0) ? $0 : nil }
      ids[role] = known(token?.string ?? token?["content"]?.string) ?? number
    }
    ids["unk"] = ids["unk"] ?? known(json["model"]?["unk_token"]?.string)
    let (first, last) = edges()
    ids["bos"] = ids["bos"] ?? ids["cls"]
    ids["eos"] = ids["eos"] ?? ids["sep"]
    if first.count == 1, ids["bos"] != first[0] { ids["bos"] = first[0] }
    if form == .wordPiece, last.count == 1 { ids["sep"] = last[0] }
    if last.count == 1, ids["eos"] == nil { ids["eos"] = last[0] }
    for (role, key) in GGUFTokenizer.roles {
      if let id = ids[role].flatMap(UInt32.init(exactly:)) { set(key, .uint32(id)) }
    }
    let isSaid: Bool
    if form == .wordPiece {
      isSaid = first == ids["bos"].map { [$0] } && last == ids["sep"].map { [$0] }
      let normalizer = json["normalizer"] ?? .null
      let lowercases = normalizer["lowercase"]?.bool ?? true
      set("normalizer.lowercase", .bool(lowercases))
      set("normalizer.strip_accents", .bool(normalizer["strip_accents"]?.bool ?? lowercases))
    } else {
      // Always said: what holds without depends on the kind.
      let addsLast = !last.isEmpty && last == ids["eos"].map { [$0] }
      set("add_bos_token", .bool(first.count == 1))
      set("add_eos_token", .bool(addsLast))
      isSaid = first.count <= 1 && addsLast != last.isEmpty
    }
    if !isSaid { result.notes.append("llama.cpp does not put the tokens around a text that the tokenizer puts there") }
  }

  /// What is put before and behind a text.
  func edges() -> (first: [Int], last: [Int]) {
    let bare = tokenizer.encode("a", addSpecialTokens: false)
    let whole = tokenizer.encode("a")
    guard let start = whole.indices.first(where: { whole[$0...].starts(with: bare) }) else { return ([], []) }
    return (whole[..<start].map(Int.init), whole[(start + bare.count)...].map(Int.init))
  }

  /// Chat templates: the one that counts, and others by their names.
  mutating func addTemplates(_ chatTemplate: String?) {
    var templates: [(name: String, source: String)] = []
    switch configuration["chat_template"] {
    case .string(let source)?: templates = [("default", source)]
    case .array(let entries)?:
      templates = entries.compactMap { entry in
        entry["name"]?.string.flatMap { name in entry["template"]?.string.map { (name, $0) } }
      }
    default: break
    }
    if let chatTemplate { templates = templates.filter { $0.name != "default" } + [("default", chatTemplate)] }
    if let source = templates.first(where: { $0.name == "default" })?.source {
      result.metadata[GGUFTokenizer.templateKey] = .string(source)
    }
    let others = templates.filter { template in
      template.name != "default" && !template.name.isEmpty
        && template.name.utf8.allSatisfy { UInt8(ascii: "_") == $0 || UInt8(ascii: "-") == $0 || Self.isLetterOrDigit($0) }
    }
    guard !others.isEmpty else { return }
    result.metadata[GGUFTokenizer.templateNamesKey] = .strings(others.map(\.name))
    for template in others { result.metadata["\(GGUFTokenizer.templateKey).\(template.name)"] = .string(template.source) }
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
    default: false
    }
  }
}
