/// A report as the README.md of a checkpoint: what was done, what it cost, and how the checkpoint is loaded.
///
/// It holds no time and no speed: the same model, recipe and texts give the same card.
public struct ModelCard: Sendable {
  /// What is known of the files beyond the report.
  public struct Output: Sendable, Equatable {
    /// What comes out of the model.
    public enum Task: String, Sendable { case generation = "text-generation", embedding = "feature-extraction" }
    /// What it is to its base model, as hubs have it.
    public enum Relation: String, Sendable { case quantized, finetune, adapter }

    public var task: Task
    /// What the files are: `safetensors in the layout of compressed-tensors`.
    public var form: String
    /// The base model, where its name can be one on a hub.
    public var baseModel: String?
    public var relation: Relation?
    /// The library that loads it, as hubs name it.
    public var library: String?
    public var tags: [String]
    public var usages: [Usage]
    /// The line that makes the same weights again.
    public var command: String?

    public init(
      task: Task = .generation, form: String, baseModel: String? = nil, relation: Relation? = nil, library: String? = nil,
      tags: [String] = [], usages: [Usage] = [], command: String? = nil
    ) {
      (self.task, self.form, self.baseModel, self.relation) = (task, form, baseModel, relation)
      (self.library, self.tags, self.usages, self.command) = (library, tags, usages, command)
    }
  }

  /// How one program loads it.
  public struct Usage: Sendable, Equatable {
    public var program: String
    /// `python` or `sh`.
    public var language: String
    public var code: String

    public init(_ program: String, language: String, _ code: String) {
      (self.program, self.language, self.code) = (program, language, code)
    }
  }

  /// What stands for the place of the files in ``Usage/code``.
  public static let place = "DIR"
  /// What stands for the place of the source in it.
  public static let source = "MODEL"

  public let report: CompressionReport
  public let output: Output

  public init(_ report: CompressionReport, of output: Output) { (self.report, self.output) = (report, output) }

  /// The file.
  public var text: String {
    frontMatter + "\n# \(Markdown.text(title, limit: 160))\n\n" + lead + notices + Markdown.section("What was done", done)
      + Markdown.section("What it cost", cost) + Markdown.section("How to load it", loading) + Markdown.section("How it was made", origin)
  }

  private var frontMatter: String {
    var matter = FrontMatter()
    matter.set("base_model", output.baseModel)
    if output.baseModel != nil { matter.set("base_model_relation", output.relation?.rawValue) }
    matter.set("library_name", output.library)
    matter.set("pipeline_tag", output.task.rawValue)
    matter.set("tags", output.tags)
    return matter.text
  }

  private var title: String {
    let name = report.model.name
    if output.relation == .adapter { return "Adapter for \(TerminalText.elided(name, to: 100))" }
    let recipe = ReportSummary(report: report).recipe
    return TerminalText.elided(name, to: 80) + (recipe.isEmpty ? "" : ", ") + TerminalText.elided(recipe, to: 70)
  }

  private var lead: String {
    let summary = ReportSummary(report: report)
    let words = [
      output.form.prefix(1).uppercased() + output.form.dropFirst() + ".", summary.model.isEmpty ? "" : "Source: \(summary.model).",
    ]
    return Markdown.text(words.filter { !$0.isEmpty }.joined(separator: " ")) + "\n"
  }

  /// What has to be known before the figures are believed comes before them.
  private var notices: String {
    let missed = report.gates.filter { !$0.passed }
    let gates = missed.prefix(20).map { gate in
      let figures = gate.figures
      let value = figures.value ?? "not measured"
      let limit = figures.limit.map { ", limit \($0)" } ?? ""
      return Markdown.item("Gate missed: \(TerminalText.elided(gate.name, to: 80)): \(value)\(limit)")
    }
    var warnings = report.warnings.prefix(Self.listedWarnings).map { Markdown.item($0) }
    if report.warnings.count > warnings.count { warnings.append("- and \(report.warnings.count - warnings.count) more in report.json\n") }
    return Markdown.section("Read this first", (gates + warnings).joined())
  }

  private static let listedWarnings = 30

  private var loading: String {
    guard !output.usages.isEmpty else { return "" }
    let parts = output.usages.map { "\n\(Markdown.text($0.program)):\n\n" + Markdown.code($0.code, language: $0.language) }
    let namesSource = output.usages.contains { $0.code.contains(Self.source) }
    return "`\(Self.place)` is the directory of this file\(namesSource ? ", `\(Self.source)` that of the source" : "").\n" + parts.joined()
  }

  private var origin: String {
    var body = Markdown.text("By \(TerminalText.elided(report.tool.name, to: 60)) \(TerminalText.elided(report.tool.version, to: 30)).")
    if let command = output.command {
      body += " The same weights again, from the same source:\n\n" + Markdown.code(command, language: "sh")
    } else {
      body += "\n"
    }
    if let digest = report.inputs?.modelSHA256 {
      body += "\n" + Markdown.text("SHA-256 of the source's weights: \(TerminalText.elided(digest, to: 64))") + "\n"
    }
    return body
      + "\nEverything that was measured is in `report.html` and `report.json`. Licence and intended use are those of the source.\n"
  }
}
