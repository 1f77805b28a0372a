import Foundation
import StructuredData

/// A message of a conversation, with whatever else its file says about it (`tool_calls`, `name`, ...): templates see all of it.
public struct ChatMessage: Sendable, Hashable {
  public var fields: JSONObject

  public init(fields: JSONObject) { self.fields = fields }

  public init(role: String, content: String) { fields = ["role": .string(role), "content": .string(content)] }

  /// Who speaks: `system`, `user`, `assistant`, `tool`; empty when it is not told.
  public var role: String { fields["role"]?.string ?? "" }
  /// What is said, when it is plain text.
  public var content: String? { fields["content"]?.string }
}

/// A conversation as the model reads it.
public struct RenderedChat: Sendable, Hashable {
  public let text: String
  /// Where the template marks what the assistant says, as ranges of UTF-8 bytes; nil when it has no `{% generation %}` marks, or has them
  /// where their place cannot be told.
  public let assistantRanges: [Range<Int>]?
}

/// A model's chat template with the special tokens that it may name.
public struct ChatTemplate: Sendable {
  public let template: Template
  /// `bos_token`, `eos_token`, ... as texts.
  public let specialTokens: JSONObject

  /// - Parameter file: how errors name the template.
  public init(_ source: String, specialTokens: JSONObject = [:], named file: String = "chat template") throws(TemplateError) {
    template = try Template(source, named: file)
    self.specialTokens = specialTokens
  }

  /// Reads the template of a model directory: `chat_template.jinja` if there is one, else `chat_template` of `tokenizer_config.json`, which
  /// is a string or a list of named templates.
  ///
  /// - Parameter name: which of several; others than `default` must exist.
  /// - Returns: nil when the model has no template.
  public static func read(from directory: URL, named name: String = "default") throws -> ChatTemplate? {
    let configurationFile = directory.appendingPathComponent("tokenizer_config.json")
    let configuration = try Tokenizer.read("tokenizer_config.json", in: directory)
    let tokens = specialTokens(of: configuration ?? .null)
    let file = directory.appendingPathComponent("chat_template.jinja")
    if name == "default", let data = try Tokenizer.data("chat_template.jinja", in: directory) {
      guard let source = String(validating: data, as: UTF8.self) else { throw TokenizerError.malformed(file.path, "it is not UTF-8 text") }
      return try ChatTemplate(source, specialTokens: tokens, named: file.path)
    }
    guard let configuration, let source = try source(named: name, in: configuration, file: configurationFile.path) else {
      if name == "default" { return nil }
      throw TokenizerError.malformed(configurationFile.path, "there is no chat template named \"\(name)\"")
    }
    return try ChatTemplate(source, specialTokens: tokens, named: configurationFile.path)
  }

  private static func source(named name: String, in configuration: JSONValue, file: String) throws(TokenizerError) -> String? {
    switch configuration["chat_template"] {
    case nil, .null?: return nil
    case .string(let source)?: return name == "default" ? source : nil
    case .array(let entries)?:
      for entry in entries {
        guard let entryName = entry["name"]?.string, let source = entry["template"]?.string else {
          throw .malformed(file, at: "chat_template", "every entry of the list must have a \"name\" and a \"template\"")
        }
        if entryName == name { return source }
      }
      if name != "default" || entries.isEmpty { return nil }
      let names = entries.compactMap { $0["name"]?.string }.joined(separator: ", ")
      throw .malformed(file, at: "chat_template", "none of the templates (\(names)) is named \"default\"")
    default: throw .malformed(file, at: "chat_template", "it must be a string or a list")
    }
  }

  /// The special tokens of a `tokenizer_config.json`, where each is a string or an object with its `content`.
  public static func specialTokens(of configuration: JSONValue) -> JSONObject {
    var tokens = JSONObject()
    for member in configuration.object?.members ?? [] where member.key.utf8.reversed().starts(with: "_token".utf8.reversed()) {
      if let text = member.value.string ?? member.value["content"]?.string { tokens[member.key] = .string(text) }
    }
    if let more = configuration["additional_special_tokens"]?.array {
      tokens["additional_special_tokens"] = .array(more.compactMap { ($0.string ?? $0["content"]?.string).map { .string($0) } })
    }
    return tokens
  }

  /// The text of a conversation.
  ///
  /// - Parameters:
  ///   - addGenerationPrompt: whether the beginning of an answer follows, for the model to go on.
  ///   - variables: what the template may ask for beyond the usual (`tools`, `enable_thinking`, ...); they go before the special tokens.
  ///   - date: what `strftime_now` tells; the present time when nil.
  public func render(
    messages: [ChatMessage], addGenerationPrompt: Bool = false, variables: JSONObject = [:], date: TemplateDate? = nil
  ) throws(TemplateError) -> RenderedChat {
    var all = specialTokens
    all["messages"] = .array(messages.map { .object($0.fields) })
    // The library hands these over in any case: templates ask whether they are none.
    all["tools"] = .null
    all["documents"] = .null
    all["add_generation_prompt"] = .bool(addGenerationPrompt)
    for member in variables.members { all[member.key] = member.value }
    let output = try template.render(all, date: date ?? .now)
    return RenderedChat(text: output.text, assistantRanges: template.marksGeneration ? output.generationRanges : nil)
  }
}

extension TemplateDate {
  /// The present time where this machine is.
  public static var now: TemplateDate {
    let parts = Calendar(identifier: .gregorian)
      .dateComponents([.year, .month, .day, .weekday, .hour, .minute, .second], from: Date())
    return TemplateDate(
      year: parts.year ?? 1970, month: parts.month ?? 1, day: parts.day ?? 1, weekday: (parts.weekday ?? 1) - 1, hour: parts.hour ?? 0,
      minute: parts.minute ?? 0, second: parts.second ?? 0)
  }
}
