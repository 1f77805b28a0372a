import Diagnostics
import Formats
import Foundation
import StructuredData
import Testing

@testable import Training

@Suite("Training files")
struct TrainingFileTests {
  private func marked(_ line: String, _ encoder: ExampleEncoder) throws -> [String] {
    try DataFixtures.read(line, with: encoder).examples.map { DataFixtures.marked($0, with: encoder) }
  }

  @Test func learnsCompletionsOnly() throws {
    let encoder = try DataFixtures.encoder()
    #expect(try marked(#"{"prompt": "Q: é", "completion": "yes"}"#, encoder) == ["<s>Q: é[yes</s>]"])
    #expect(try marked(#"{"prompt": "Q", "response": "A", "id": 3}"#, encoder) == ["<s>Q[A</s>]"])
    #expect(try marked(#"{"text": "all of it"}"#, encoder) == ["<s>[all of it</s>]"])
    #expect(
      try marked(#"{"instruction": "Add", "input": "1 2", "output": "3"}"#, encoder)
        == ["<s>### Instruction:\nAdd\n\n### Input:\n1 2\n\n### Response:\n[3</s>]"])
    #expect(
      try marked(#"{"instruction": "Add", "input": "", "output": "3"}"#, encoder) == ["<s>### Instruction:\nAdd\n\n### Response:\n[3</s>]"])
  }

  @Test func theWholeTextIsTokenizedAtOnce() throws {
    let encoder = try DataFixtures.encoder()
    let (examples, statistics) = try DataFixtures.read(#"{"prompt": "xa", "completion": "bcd"}"#, with: encoder)
    let example = try #require(examples.first)
    // "ab" reaches from the prompt into the completion: the token is the one the model would read, and it is learned.
    #expect(example.tokens == [0] + encoder.tokenizer.encode("xabcd", addSpecialTokens: false) + [1])
    #expect(example.isTarget == [false, false, true, true, true])
    #expect(statistics.tokenizedInParts == 0)
    #expect(statistics.targetTokens == 3)
  }

  @Test func noBeginningAndNoEndWhereTheTokenizerHasNone() throws {
    let encoder = try DataFixtures.encoder(begins: false, ends: false)
    #expect(try marked(#"{"prompt": "Q", "completion": "A"}"#, encoder) == ["Q[A]"])
    #expect(try marked(#"{"text": "all"}"#, encoder) == ["a[ll]"])
  }

  @Test func anEndThatIsThereIsNotDoubled() throws {
    let encoder = try DataFixtures.encoder()
    #expect(try marked(#"{"prompt": "Q", "completion": "A</s>"}"#, encoder) == ["<s>Q[A</s>]"])
  }

  @Test func tokensAreTakenAsTheyAre() throws {
    let encoder = try DataFixtures.encoder()
    let (examples, _) = try DataFixtures.read(#"{"input_ids": [3, 4, 5], "labels": [-100, -100, 5]}"#, with: encoder)
    #expect(examples.map(\.tokens) == [[3, 4, 5]] && examples.map(\.isTarget) == [[false, false, true]])
    let (all, _) = try DataFixtures.read(#"{"input_ids": [3, 4]}"#, with: encoder)
    #expect(all.map(\.isTarget) == [[false, true]])
  }

  @Test func mixesKindsAndPassesOverBlankLines() throws {
    let encoder = try DataFixtures.encoder(template: DataFixtures.template())
    let text =
      "\u{FEFF}{\"text\": \"a\"}\r\n\r\n \t\n{\"prompt\":\"p\",\"completion\":\"c\"}\n"
      + #"{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"v"}]}"#
    #expect(try marked(text, encoder) == ["<s>[a</s>]", "<s>p[c</s>]", "<s><u>u</s><a>[v</s>]"])
  }

  @Test(arguments: [
    ("{\"text\": 1}", "has none of the known kinds"), ("[]", "is no JSON object"),
    ("{\"input_ids\": []}", "no list of tokens"), ("{\"input_ids\": [1.5]}", "no token"), ("{\"input_ids\": [-1]}", "no token"),
    ("{\"input_ids\": [1], \"labels\": [1, 2]}", "not as many labels"), ("{\"input_ids\": [1, 2], \"labels\": [1, 3]}", "neither"),
    ("{\"input_ids\": [1, 9999999]}", "outside the vocabulary"), ("{", "is not JSON"),
    ("{\"messages\": []}", "no list of messages"), ("{\"messages\": [{\"content\": \"a\"}]}", "message 1 has no \"role\""),
    ("{\"messages\": [{\"role\": \"user\"}]}", "no text under \"content\""),
    ("{\"conversations\": [{\"from\": \"martian\", \"value\": \"a\"}]}", "is from \"martian\""),
    ("{\"conversations\": [{\"from\": \"human\"}]}", "turn 1"),
  ])
  func namesFileAndLine(_ line: String, _ problem: String) throws {
    let encoder = try DataFixtures.encoder()
    let error = #expect(throws: TrainingError.self) { try DataFixtures.read("{\"text\": \"a\"}\n\n\(line)\n", with: encoder) }
    #expect(error?.subject.hasSuffix("data.jsonl, line 3") == true, "\(String(describing: error))")
    #expect(error?.problem.contains(problem) == true, "\(String(describing: error))")
    #expect(error?.kind == .badData)
  }

  @Test func refusesFilesThatAreNone() throws {
    let encoder = try DataFixtures.encoder()
    #expect(throws: TrainingError.self) { try DataFixtures.read("\n \n", with: encoder) }
    #expect(throws: TrainingError.self) { try DataFixtures.read(" \n\t\r\n", name: "a.txt", with: encoder) }
    #expect(throws: TrainingError.self) { try DataFixtures.read("[1]", name: "a.json", with: encoder) }
    let broken = #expect(throws: TrainingError.self) {
      try DataFixtures.read(Data([0x61, 0x0A, 0xFF, 0x0A]), name: "a.txt", with: encoder)
    }
    #expect(broken?.subject.hasSuffix("a.txt, line 2") == true)
    let missing = #expect(throws: TrainingError.self) {
      try TrainingFile(URL(fileURLWithPath: "/nonexistent/x.jsonl")).examples(using: encoder)
    }
    #expect(missing?.kind == .missingInput)
    let useless = #expect(throws: TrainingError.self) {
      try DataFixtures.read(#"{"messages":[{"role":"user","content":"u"}]}"#, with: encoder)
    }
    #expect(useless?.problem.contains("nothing to learn") == true)
    #expect(throws: TrainingError.self) { try DataFixtures.encoder(length: 1) }
  }

  @Test func plainTextIsOneDocumentCutToLength() throws {
    let encoder = try DataFixtures.encoder(length: 4)
    let (examples, statistics) = try DataFixtures.read("xyz\n\nuvw\n", name: "a.txt", with: encoder)
    #expect(examples.map { DataFixtures.marked($0, with: encoder) } == ["<s>[xyz]", "\n[\nuv]", "w[\n</s>]"])
    #expect(statistics.splitTexts == 1)
    #expect(statistics.examples == 3)
    #expect(statistics.tokens == 11)
  }

  /// Reading in pieces loses and doubles nothing.
  @Test func longFilesAreReadWhole() throws {
    let encoder = try DataFixtures.encoder(length: 1 << 20)
    let text = (0..<60_000).map { "Line \($0) of a text with ü.\n" }.joined()
    let (examples, _) = try DataFixtures.read(text, name: "a.txt", with: encoder)
    let tokens = examples.flatMap(\.tokens)
    #expect(examples.count == 2)
    #expect(tokens.first == DataFixtures.begin && tokens.last == DataFixtures.end)
    #expect(encoder.tokenizer.decode(tokens, skipSpecialTokens: true) == text)
    let lines = (0..<30_000).map { "{\"text\": \"Line \($0) of a file\"}\n" }.joined()
    #expect(try DataFixtures.read(lines, with: encoder).statistics.examples == 30_000)
  }

  @Test func longPromptsLoseTheirBeginning() throws {
    let encoder = try DataFixtures.encoder(length: 6)
    let lines = #"""
      {"prompt": "1234567", "completion": "xyz"}
      {"prompt": "1", "completion": "uvwxyz"}
      {"prompt": "1", "completion": ""}
      """#
    let (examples, statistics) = try DataFixtures.read(lines, with: encoder)
    #expect(examples.map { DataFixtures.marked($0, with: encoder) } == ["<s>7[xyz</s>]", "<s>[wxyz</s>]", "<s>1[</s>]"])
    #expect(statistics.truncated == 2)
    #expect(statistics.truncatedTokens == 6 + 3)
    #expect(statistics.warnings.count == 1)
  }

  @Test func examplesWithoutATargetAreDroppedAndCounted() throws {
    let encoder = try DataFixtures.encoder(ends: false)
    let (examples, statistics) = try DataFixtures.read(
      "{\"prompt\": \"1\", \"completion\": \"\"}\n{\"text\": \"\"}\n{\"text\": \"a\"}\n", with: encoder)
    #expect(examples.count == 1)
    #expect(statistics.dropped == 2)
  }
}
