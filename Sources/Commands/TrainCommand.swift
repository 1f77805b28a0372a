import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-finetune train`, which is what it does when no subcommand is named.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train low-rank adapters (LoRA) for a model, or all its parameters.",
    discussion: """
      EXAMPLES
        deepseek-finetune --model M --data train.jsonl --output A
        deepseek-finetune --model M --data train.jsonl --rank 32 --target all --dora
        deepseek-finetune --model M --data train.jsonl --bits 4 --output A
        deepseek-finetune --model M --data text.txt --method full \\
          --learning-rate 2e-5
      """)

  @OptionGroup(title: "Model and output") var model: ModelOption
  @OptionGroup(title: "Model and output") var destination: OutputOptions
  @OptionGroup(title: "Data") var data: FinetuneDataOptions
  @OptionGroup(title: "Adapters") var adapters: AdapterOptions
  @OptionGroup(title: "Training") var training: TrainingOptions

  @Option(
    help: "Start from named settings (--list-recipes); flags change single ones, and what a recipe switches on stays on.",
    completion: .finetunePresets)
  var recipe: String?

  @Flag(help: "List the named settings and what they reached on the demo model, and stop.")
  var listRecipes = false

  @Option(help: "Where every random choice derives from. Default: 0.")
  var seed: UInt64 = 0

  @OptionGroup(title: "Running") var pool: ThreadsOption
  @OptionGroup(title: "Running") var longRun: LongRunOptions
  @OptionGroup(title: "Running") var display: DisplayOptions

  func validate() throws {
    if !listRecipes { _ = try data.url() }
    if data.heldOut?.value == 0, training.patience ?? 0 > 0 || training.evalEvery != nil {
      throw ValidationError("--held-out 0 leaves nothing to evaluate on, which --patience and --eval-every are about")
    }
  }

  func run() throws {
    if listRecipes {
      let table = PresetTable(presets: try FinetunePreset.all(), parameters: try ModelBundle(opening: DemoModel.name).graph.parameterCount)
      let text = table.text(width: Terminal.terminalWidth, style: Terminal.outputStyle)
      if display.json { Terminal.print(json: table.json) } else { Terminal.print(text) }
      return
    }
    let bundle = try ModelBundle(opening: model.model)
    let settings = try makeSettings()
    var run = FinetuneRun(
      model: bundle, named: model.model, data: try data.url(),
      settings: settings, output: URL(fileURLWithPath: destination.output ?? "\(bundle.name)-\(settings.method.rawValue)"),
      threads: pool.threads ?? Launch.threads, group: Launch.group, progress: FinetuneProgressLine.handler(quiet: display.quiet))
    run.evaluation = data.evaluationURL
    run.adapterFormat = adapters.format
    run.overwrite = destination.overwrite
    run.resume = destination.resume
    run.saveInterval = training.saveEvery
    let report = try run.execute()
    if display.json {
      Terminal.print(json: report.json)
    } else {
      Terminal.print(
        ReportTable(report).text(style: Terminal.outputStyle, width: Terminal.outputWidth).trimmingCharacters(in: .newlines) + "\n")
      Terminal.print("\(settings.method == .lora ? "adapter" : "checkpoint")     \(run.output.path)")
      Terminal.print("report      \(run.output.appendingPathComponent("report.html").path)")
    }
  }

  private func makeSettings() throws -> FinetuneSettings {
    var settings = try recipe.map { try FinetunePreset.named($0).settings } ?? FinetuneSettings()
    // All parameters move at once: each by less.
    if settings.method != .full, adapters.method == .full { settings.learningRate = 2e-5 }
    settings.seed = seed
    training.apply(to: &settings)
    data.apply(to: &settings)
    try adapters.apply(to: &settings)
    if settings.cycles > 1, settings.schedule != .cosine {
      throw ValidationError("--cycles are of --schedule cosine, which is not chosen")
    }
    return settings
  }
}
