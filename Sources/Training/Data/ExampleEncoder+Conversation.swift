import Formats
import StructuredData

extension ExampleEncoder {
  /// A conversation as the model reads it, cut into what the assistant says and the rest.
  func segments(of messages: [ChatMessage], _ statistics: inout TrainingDataStatistics) throws -> [Segment] {
    guard let chatTemplate else {
      statistics.plainConversations += 1
      return try plainSegments(of: messages)
    }
    let whole = try render(messages, with: chatTemplate)
    // Templates that strip or reorder are told from others by what they make of beginnings of the conversation.
    let ranges = try whole.assistantRanges ?? assistantRanges(of: messages, in: whole.text, with: chatTemplate)
    return Self.segments(of: whole.text, targets: ranges)
  }

  private func render(_ messages: [ChatMessage], with template: ChatTemplate, prompting: Bool = false) throws -> RenderedChat {
    do throws(TemplateError) { return try template.render(messages: messages, addGenerationPrompt: prompting, date: date) } catch {
      throw Unusable(problem: "the chat template fails: \(error)", remedy: error.remedy)
    }
  }

  /// Where the assistant speaks: from behind the prompt for its answer to where the text that ends with the answer ends.
  private func assistantRanges(of messages: [ChatMessage], in text: String, with template: ChatTemplate) throws -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    for (index, message) in messages.enumerated() where Self.isAssistant(message) {
      let before = try render(Array(messages[..<index]), with: template, prompting: true).text
      let after = index == messages.count - 1 ? text : try render(Array(messages[...index]), with: template).text
      let (start, end) = (before.utf8.count, after.utf8.count)
      guard text.utf8.starts(with: before.utf8), text.utf8.starts(with: after.utf8), start <= end, start >= ranges.last?.upperBound ?? 0
      else {
        throw Unusable(
          problem: "the chat template writes message \(index + 1) otherwise when more messages follow or an answer is awaited, "
            + "so that the assistant's words cannot be told from the rest",
          remedy: "use a template with {% generation %} around them, or give the data as prompt and completion")
      }
      ranges.append(start..<end)
    }
    return ranges
  }

  private static func isAssistant(_ message: ChatMessage) -> Bool { message.role == "assistant" || message.role == "model" }

  /// Cuts a text at ranges of UTF-8 bytes, which are in order and apart.
  static func segments(of text: String, targets: [Range<Int>]) -> [Segment] {
    let bytes = Array(text.utf8)
    var segments: [Segment] = []
    func add(_ range: Range<Int>, isTarget: Bool) {
      if !range.isEmpty { segments.append(Segment(text: String(decoding: bytes[range], as: UTF8.self), isTarget: isTarget)) }
    }
    var place = 0
    for range in targets {
      let range = range.clamped(to: place..<bytes.count)
      add(place..<range.lowerBound, isTarget: false)
      add(range, isTarget: true)
      place = range.upperBound
    }
    add(place..<bytes.count, isTarget: false)
    return segments
  }

  /// The format for models without a template: the role with a capital, a colon and the text, with a blank line between messages. What the
  /// assistant says ends with the end of text, or with the blank line where the model has none.
  private func plainSegments(of messages: [ChatMessage]) throws -> [Segment] {
    let end = endOfText.flatMap { tokenizer.token(for: $0) }
    var segments: [Segment] = []
    if let first = prefix.first, prefix.count == 1, let text = tokenizer.token(for: first) {
      segments.append(Segment(text: text, isTarget: false))
    }
    for (index, message) in messages.enumerated() {
      guard let content = message.content else {
        throw Unusable(
          problem: "message \(index + 1) is more than text, and the model has no chat template", remedy: "give messages of plain text")
      }
      let role = message.role.prefix(1).uppercased() + message.role.dropFirst()
      segments.append(Segment(text: "\(role): ", isTarget: false))
      if Self.isAssistant(message) {
        segments.append(Segment(text: content + (end ?? "\n\n"), isTarget: true))
        if end != nil, index < messages.count - 1 { segments.append(Segment(text: "\n\n", isTarget: false)) }
      } else {
        segments.append(Segment(text: content + "\n\n", isTarget: false))
      }
    }
    return segments
  }
}
