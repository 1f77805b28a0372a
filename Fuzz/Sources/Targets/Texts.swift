import DeepSeekOptimize
import Foundation

/// A recipe in YAML. One that is read must be written as what reads the same.
struct RecipeTarget: FuzzTarget {
  static let name = "recipe"
  private let file: URL

  init(in directory: URL) { file = directory.appendingPathComponent("recipe.yaml") }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: file)
    let recipe = try NamedRecipe(opening: file.path).recipe
    let text = recipe.yaml()
    let again: String
    do { again = try Recipe(yaml: text).yaml() } catch { throw Unequal(problem: "what was written is refused: \(error)\n\(text)") }
    guard again == text else { throw Unequal(problem: "\(text)\nreads as\n\(again)") }
  }

  private struct Unequal: Error {
    let problem: String
  }
}

/// Training data, a record in each line.
struct ChatTarget: FuzzTarget {
  static let name = "chat"
  private let file: URL
  private let encoders: [ExampleEncoder]

  init(in directory: URL) throws {
    file = directory.appendingPathComponent("data.jsonl")
    let tokenizer = try ModelBundle.tokenizer(of: "demo")
    let template = try ChatTemplate(
      """
      {%- for message in messages -%}<|{{ message['role'] }}|>{% if message.content is string %}{{ message.content | trim }}\
      {% else %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}{{ eos_token }}{% endfor %}
      """, specialTokens: ["eos_token": "</s>"])
    let date = TemplateDate(year: 2025, month: 1, day: 2, weekday: 4)
    encoders = try [nil, template].map {
      try ExampleEncoder(tokenizer: tokenizer, chatTemplate: $0, endOfText: 1, maximumLength: 64, date: date)
    }
  }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: file)
    try tryAll(
      encoders.map { encoder in
        {
          let (examples, _) = try TrainingFile(file).examples(using: encoder)
          _ = try TrainingPacker(length: encoder.maximumLength).pack(examples, order: Array(examples.indices))
        }
      })
  }
}

/// `chat_template.jinja`.
struct TemplateTarget: FuzzTarget {
  static let name = "template"
  private let directory: URL

  init(in directory: URL) { self.directory = directory }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: directory.appendingPathComponent("chat_template.jinja"))
    guard let template = try ChatTemplate.read(from: directory) else { return }
    var variables = Self.variables
    for member in template.specialTokens.members { variables[member.key] = member.value }
    // The limits of the program allow seconds; the fuzzer is to come round more often.
    let limits = TemplateLimits(steps: 200_000, bytes: 4 << 20)
    _ = try template.template.render(variables, date: TemplateDate(year: 2025, month: 1, day: 2, weekday: 4), limits: limits)
  }

  private static let variables: JSONObject = [
    "messages": [
      ["role": "system", "content": "Be brief."],
      ["role": "user", "content": "  Where is <b>Łódź</b>?\n"],
      ["role": "assistant", "content": .null, "tool_calls": [["name": "find", "arguments": ["place": "Łódź", "n": 3, "x": 1.5]]]],
      ["role": "tool", "content": "[51.8, 19.5]"],
      ["role": "user", "content": [["type": "text", "text": "Thanks"]]],
    ],
    "tools": [["type": "function", "function": ["name": "find", "parameters": ["type": "object"]]]],
    "documents": .null, "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "numbers": [3, 1, 2],
  ]
}

/// `report.json`, as `compare` reads it.
struct ReportTarget: FuzzTarget {
  static let name = "report"
  private let file: URL

  init(in directory: URL) { file = directory.appendingPathComponent("report.json") }

  func open(_ input: UnsafeRawBufferPointer) throws {
    try input.write(to: file)
    let report = try StoredReport.read(file.path)
    _ = report.json.text()
    _ = HTMLReport.render(report)
  }
}
