import Foundation
import StructuredData
import Testing

@testable import Formats

@Suite("Chat templates")
struct ChatTemplateTests {
  /// A directory with some files, removed at the end.
  static func withDirectory<Result>(_ files: [String: String], _ body: (URL) throws -> Result) throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("chat-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    for (name, text) in files { try Data(text.utf8).write(to: directory.appendingPathComponent(name)) }
    return try body(directory)
  }

  static let conversation = [ChatMessage(role: "user", content: "Hi"), ChatMessage(role: "assistant", content: "Hö")]

  @Test func readsAStringWithTokensOfBothForms() throws {
    let configuration = #"""
      {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "unk_token": null,
       "chat_template": "{{ bos_token }}{% for m in messages %}{{ m.role ~ ':' ~ m.content ~ eos_token }}{% endfor %}{{ unk_token }}"}
      """#
    let template = try #require(try Self.withDirectory(["tokenizer_config.json": configuration]) { try ChatTemplate.read(from: $0) })
    let chat = try template.render(messages: Self.conversation)
    #expect(chat.text == "<s>user:Hi</s>assistant:Hö</s>")
    #expect(chat.assistantRanges == nil)
  }

  @Test func readsNamedTemplatesAndPrefersTheFileOfItsOwn() throws {
    let configuration = #"""
      {"chat_template": [{"name": "tool_use", "template": "T{{ tools is none }}"}, {"name": "default", "template": "D"}]}
      """#
    let file = ["tokenizer_config.json": configuration]
    #expect(try Self.rendered(file) == "D")
    #expect(try Self.rendered(file, named: "tool_use") == "TTrue")
    let error = #expect(throws: TokenizerError.self) { try Self.rendered(file, named: "rag") }
    #expect(error?.problem.contains("\"rag\"") == true)
    #expect(
      try Self.rendered(["tokenizer_config.json": configuration, "chat_template.jinja": "F{{ add_generation_prompt }}\n"]) == "FTrue")
  }

  /// What the template of a directory with those files makes of no message; nil when there is none.
  static func rendered(_ files: [String: String], named name: String = "default") throws -> String? {
    try withDirectory(files) { try ChatTemplate.read(from: $0, named: name)?.render(messages: [], addGenerationPrompt: true).text }
  }

  @Test func modelsWithoutATemplateHaveNone() throws {
    #expect(try Self.rendered([:]) == nil)
    #expect(try Self.rendered(["tokenizer_config.json": "{}"]) == nil)
  }

  @Test(arguments: [
    "{", "{\"chat_template\": 3}", "{\"chat_template\": [{\"name\": \"other\", \"template\": \"\"}]}", "{\"chat_template\": [1]}",
  ])
  func refusesMalformedConfigurations(_ text: String) throws {
    try Self.withDirectory(["tokenizer_config.json": text]) { directory in
      let error = #expect(throws: TokenizerError.self) { _ = try ChatTemplate.read(from: directory) }
      #expect(error?.subject.hasSuffix("tokenizer_config.json") == true)
    }
  }

  @Test func namesTheFileOfABadTemplate() throws {
    try Self.withDirectory(["chat_template.jinja": "{% if %}"]) { directory in
      let error = #expect(throws: TemplateError.self) { _ = try ChatTemplate.read(from: directory) }
      #expect(error?.subject.hasSuffix("chat_template.jinja") == true)
    }
  }

  @Test func tellsWhereTheAssistantSpeaksInBytes() throws {
    let source = """
      {%- for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}!{% endgeneration %}{% else %}é\
      {% endif %}{% endfor %}
      """
    let chat = try ChatTemplate(source).render(messages: Self.conversation + Self.conversation)
    let ranges = try #require(chat.assistantRanges)
    #expect(ranges.map { String(decoding: Array(chat.text.utf8)[$0], as: UTF8.self) } == ["Hö!", "Hö!"])
  }

  @Test func givesMessagesWholeAndVariablesTheirWay() throws {
    let message = ChatMessage(fields: ["role": "assistant", "content": nil, "tool_calls": [["name": "f"]]])
    let template = try ChatTemplate("{{ messages[0].tool_calls[0].name }}{{ x }}{{ eos_token }}", specialTokens: ["eos_token": "a"])
    #expect(try template.render(messages: [message], variables: ["x": 1, "eos_token": "b"]).text == "f1b")
    let date = TemplateDate(year: 2026, month: 1, day: 2, weekday: 5)
    #expect(try ChatTemplate("{{ strftime_now('%d %b %Y') }}").render(messages: [], date: date).text == "02 Jan 2026")
    let year = try ChatTemplate("{{ strftime_now('%Y') }}").render(messages: []).text
    #expect(try #require(Int(year)) >= 2025)
  }
}

@Suite("Places of a text among its tokens")
struct TokenBoundaryTests {
  static let text = "Hello, world! Grüße an alle 👋🏽 und 123 tokens.\n\nThe end"

  /// At every byte, against the decoding of every number of tokens.
  @Test(arguments: TokenizerFixtures.shapes)
  func countsTokensBeforeAPlace(_ shape: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(shape)
    let ids = tokenizer.encode(Self.text, addSpecialTokens: false)
    let offsets = Array(0...Self.text.utf8.count)
    let isKept = tokenizer.decodedBytes(ids[...], skipSpecialTokens: false).elementsEqual(Self.text.utf8)
    let counts = tokenizer.tokenCounts(of: ids, in: Self.text, endingBy: offsets)
    #expect((counts != nil) == isKept)
    guard let counts else { return }
    #expect(counts.last == ids.count)
    let lengths = (0...ids.count).map { tokenizer.decodedBytes(ids[..<$0], skipSpecialTokens: false).count }
    // Inside of a character that several tokens spell, any of them will do.
    let bytes = Array(Self.text.utf8)
    for (offset, count) in zip(offsets, counts) where offset == bytes.count || bytes[offset] & 0xC0 != 0x80 {
      #expect(count == lengths.lastIndex { $0 <= offset }, "\(shape), byte \(offset)")
    }
  }

  @Test func someShapesKeepTheirText() throws {
    for shape in ["deepseek-v3", "deepseek-llm", "llama-3", "llama-2"] {
      let tokenizer = try TokenizerFixtures.tokenizer(shape)
      let ids = tokenizer.encode(Self.text, addSpecialTokens: false)
      #expect(tokenizer.tokenCounts(of: ids, in: Self.text, endingBy: [0]) != nil, "\(shape)")
    }
  }
}
