import Formats
import StructuredData
import Testing

@testable import Training

@Suite("Conversations to learn from")
struct ConversationTests {
  static let line = #"""
    {"messages":[{"role":"user","content":"ü1"},{"role":"assistant","content":"ö2"},{"role":"user","content":"3"},\#
    {"role":"assistant","content":"4"},{"role":"user","content":"5"}]}
    """#

  private func marked(_ line: String, _ encoder: ExampleEncoder) throws -> [String] {
    try DataFixtures.read(line, with: encoder).examples.map { DataFixtures.marked($0, with: encoder) }
  }

  @Test func prefixesTellWhatTheAssistantSays() throws {
    let encoder = try DataFixtures.encoder(template: DataFixtures.template())
    #expect(try marked(Self.line, encoder) == ["<s><u>ü1</s><a>[ö2</s>]<u>3</s><a>[4</s>]<u>5</s>"])
    let turns = #"{"conversations":[{"from":"human","value":"1"},{"from":"gpt","value":"2"}]}"#
    #expect(try marked(turns, encoder) == ["<s><u>1</s><a>[2</s>]"])
  }

  @Test func generationMarksGoBeforePrefixes() throws {
    let source = """
      {%- for m in messages %}{% if m.role == 'user' %}<u>{{ m.content }}{% else %}<a>{% generation %}{{ m.content }}{% endgeneration %}</s>\
      {% endif %}{% endfor %}{{ messages | length }}
      """
    let encoder = try DataFixtures.encoder(template: DataFixtures.template(source))
    #expect(try marked(Self.line, encoder) == ["<u>ü1<a>[ö2]</s><u>3<a>[4]</s><u>55"])
  }

  @Test(arguments: [
    // The number of messages stands first; the last message lacks its end; the prompt for an answer is not how the answer begins.
    "{{ messages | length }}{% for m in messages %}<u>{{ m.content }}{% endfor %}",
    "{% for m in messages %}<u>{{ m.content }}{{ 'x' if loop.last else 'y' }}{% endfor %}",
    "{% for m in messages %}<u>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a>think{% endif %}",
  ])
  func templatesThatChangeTheirMindAreRefused(_ source: String) throws {
    let encoder = try DataFixtures.encoder(template: DataFixtures.template(source))
    let error = #expect(throws: TrainingError.self) { try DataFixtures.read("\n" + Self.line, with: encoder) }
    #expect(error?.subject.hasSuffix("line 2") == true)
    #expect(error?.remedy.contains("generation") == true)
  }

  @Test func whatATemplateRefusesNamesTheLine() throws {
    let encoder = try DataFixtures.encoder(template: DataFixtures.template("{{ raise_exception('roles must alternate') }}"))
    let error = #expect(throws: TrainingError.self) { try DataFixtures.read(Self.line, with: encoder) }
    #expect(error?.subject.hasSuffix("line 1") == true)
    #expect(error?.problem.contains("roles must alternate") == true)
  }

  @Test func withoutATemplateThereIsAPlainFormatAndAWarning() throws {
    let encoder = try DataFixtures.encoder()
    let (examples, statistics) = try DataFixtures.read(Self.line, with: encoder)
    #expect(
      examples.map { DataFixtures.marked($0, with: encoder) }
        == ["<s>User: ü1\n\nAssistant: [ö2</s>]\n\nUser: 3\n\nAssistant: [4</s>]\n\nUser: 5\n\n"])
    #expect(statistics.plainConversations == 1)
    #expect(statistics.warnings.contains { $0.contains("no chat template") })
    let bare = try DataFixtures.encoder(begins: false, ends: false)
    let turns = #"{"conversations":[{"from":"system","value":"s"},{"from":"gpt","value":"2"}]}"#
    #expect(try marked(turns, bare) == ["System: s\n\nAssistant: [2\n\n]"])
  }

  @Test func longConversationsKeepTheirEnd() throws {
    let encoder = try DataFixtures.encoder(template: DataFixtures.template(), length: 8)
    let turns = #"""
      {"conversations":[{"from":"human","value":"1"},{"from":"gpt","value":"2"},{"from":"human","value":"3"},{"from":"gpt","value":"4"}]}
      """#
    let (examples, statistics) = try DataFixtures.read(turns, with: encoder)
    #expect(examples.map { DataFixtures.marked($0, with: encoder) } == ["<s>[</s>]<u>3</s><a>[4</s>]"])
    #expect(statistics.truncatedTokens == 5)
  }

  @Test func partsThatTheTokenizerChangesAreTokenizedOneByOne() throws {
    let json: JSONValue = [
      "version": "1.0", "normalizer": ["type": "Lowercase"],
      "model": ["type": "BPE", "vocab": ["a": 0, "b": 1, "ab": 2], "merges": [["a", "b"]]],
    ]
    let tokenizer = try Tokenizer(json: json, named: "tokenizer.json")
    let encoder = try ExampleEncoder(tokenizer: tokenizer, chatTemplate: nil, endOfText: nil, maximumLength: 9)
    let (examples, statistics) = try DataFixtures.read(#"{"prompt": "A", "completion": "b"}"#, with: encoder)
    #expect(examples.map(\.tokens) == [[0, 1]])
    #expect(examples.map(\.isTarget) == [[false, true]])
    #expect(statistics.tokenizedInParts == 1)
  }
}
