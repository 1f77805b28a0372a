import Formats
import StructuredData

/// What one line of a file teaches, before any tokenizer.
public enum TrainingRecord: Sendable, Hashable {
  /// A document: every token counts.
  case text(String)
  /// Only the completion counts.
  case completion(prompt: String, completion: String)
  /// Only what the assistant says counts.
  case conversation([ChatMessage])
  /// Tokens as they are, with nothing added, and which of them count.
  case tokens([Int32], isTarget: [Bool])
}

extension TrainingRecord {
  /// Why a line is no record.
  struct Malformed: Error {
    let problem: String
    var remedy = ""
  }

  /// Reads one of `{"text"}`, `{"prompt", "completion"}` (or `"response"`), `{"instruction", "input", "output"}`,
  /// `{"messages": [{"role", "content"}]}`, `{"conversations": [{"from", "value"}]}` and `{"input_ids", "labels"}` (tokens, labels of -100 not
  /// counting); further members are passed over.
  init(_ value: JSONValue) throws(Malformed) {
    guard value.object != nil else { throw Malformed(problem: "is no JSON object") }
    if let tokens = value["input_ids"] {
      self = try Self.tokens(tokens, labels: value["labels"])
    } else if let messages = value["messages"] {
      self = .conversation(try Self.messages(messages))
    } else if let turns = value["conversations"] {
      self = .conversation(try Self.turns(turns))
    } else if let prompt = value["prompt"]?.string, let completion = (value["completion"] ?? value["response"])?.string {
      self = .completion(prompt: prompt, completion: completion)
    } else if let instruction = value["instruction"]?.string, let output = value["output"]?.string {
      let input = value["input"]?.string ?? ""
      self = .completion(prompt: Self.prompt(instruction: instruction, input: input), completion: output)
    } else if let text = value["text"]?.string {
      self = .text(text)
    } else {
      throw Malformed(
        problem: "has none of the known kinds of members",
        remedy: "give {\"text\"}, {\"prompt\", \"completion\"}, {\"instruction\", \"input\", \"output\"}, {\"messages\"}, "
          + "{\"conversations\"} or {\"input_ids\"}")
    }
  }

  private static func tokens(_ value: JSONValue, labels: JSONValue?) throws(Malformed) -> TrainingRecord {
    guard let entries = value.array, !entries.isEmpty else { throw Malformed(problem: "has no list of tokens under \"input_ids\"") }
    let tokens = entries.compactMap { $0.integer.flatMap(Int32.init(exactly:)) }
    guard tokens.count == entries.count, tokens.allSatisfy({ $0 >= 0 }) else {
      throw Malformed(problem: "has an input id that is no token")
    }
    guard let labels else { return .tokens(tokens, isTarget: Array(repeating: true, count: tokens.count)) }
    guard let marks = labels.array?.map(\.integer), marks.count == tokens.count else {
      throw Malformed(problem: "has not as many labels as input ids")
    }
    // A label that is another token would be another kind of training.
    guard zip(marks, tokens).allSatisfy({ $0 == -100 || $0 == Int($1) }) else {
      throw Malformed(problem: "has a label that is neither its token nor -100")
    }
    return .tokens(tokens, isTarget: marks.map { $0 != -100 })
  }

  /// How instructions are put to the model: headings as in the Alpaca data, without a preamble.
  static func prompt(instruction: String, input: String) -> String {
    let given = input.isEmpty ? "" : "### Input:\n\(input)\n\n"
    return "### Instruction:\n\(instruction)\n\n\(given)### Response:\n"
  }

  private static func messages(_ value: JSONValue) throws(Malformed) -> [ChatMessage] {
    guard let entries = value.array, !entries.isEmpty else { throw Malformed(problem: "has no list of messages under \"messages\"") }
    var messages: [ChatMessage] = []
    for (index, entry) in entries.enumerated() {
      guard let fields = entry.object, let role = fields["role"]?.string, !role.isEmpty else {
        throw Malformed(problem: "message \(index + 1) has no \"role\"")
      }
      switch fields["content"] {
      case .string?, .array?: break
      // A call of a tool may come without a word.
      case nil where fields["tool_calls"] != nil, .null? where fields["tool_calls"] != nil: break
      default: throw Malformed(problem: "message \(index + 1) has no text under \"content\"")
      }
      messages.append(ChatMessage(fields: fields))
    }
    return messages
  }

  /// Who speaks, by the names that the ShareGPT data uses.
  private static let speakers = [
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "model": "assistant",
    "system": "system", "tool": "tool", "observation": "tool",
  ]

  private static func turns(_ value: JSONValue) throws(Malformed) -> [ChatMessage] {
    guard let entries = value.array, !entries.isEmpty else { throw Malformed(problem: "has no list of turns under \"conversations\"") }
    var messages: [ChatMessage] = []
    for (index, entry) in entries.enumerated() {
      guard let speaker = entry["from"]?.string, let text = entry["value"]?.string else {
        throw Malformed(problem: "turn \(index + 1) has no \"from\" and \"value\" that are strings")
      }
      guard let role = speakers[speaker] else {
        throw Malformed(
          problem: "turn \(index + 1) is from \"\(speaker.prefix(60))\"",
          remedy: "use one of \(speakers.keys.sorted().joined(separator: ", "))")
      }
      messages.append(ChatMessage(role: role, content: text))
    }
    return messages
  }
}
