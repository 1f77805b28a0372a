import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize prune`.
struct PruneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Leave out the channels and heads that matter least: a smaller dense checkpoint that loads anywhere.",
    discussion: """
      EXAMPLES
        deepseek-optimize prune --ratio 0.3 --calibration demo
        deepseek-optimize prune --model M --output O --ratio 0.3 \\
          --calibration train.txt
        deepseek-optimize prune --model M --mlp 0.4 --heads 0.25 \\
          --importance wanda --calibration train.txt
        deepseek-optimize prune --model M --hidden 0.2 --multiple 32 --dry-run
      """)

  @OptionGroup(title: "Model and output") var model: ModelOption
  @OptionGroup(title: "Pruning") var choice: PruningOptions
  @OptionGroup(title: "Repair") var calibration: CalibrationOptions

  @Flag(help: "Check everything and print what would be left, without reading a weight.")
  var dryRun = false

  @OptionGroup var runOptions: RunOptionsOf<NothingToResume>

  func validate() throws {
    if choice.scan, runOptions.noEval { throw ValidationError("--no-eval leaves --scan nothing to measure on") }
    try runOptions.checkDivergenceGate(isBudget: false)
  }

  func run() throws {
    let bundle = try ModelBundle(opening: model.model)
    let settings = runOptions.settings(defaultOutput: "\(bundle.name)-pruned")
    var run = PruningRun(
      model: bundle, pruning: choice.pruning, calibration: calibration.plan(sequenceLength: runOptions.evaluation.sequenceLength),
      settings: settings,
      progress: ProgressBar.handler(quiet: runOptions.resources.quiet))
    run.scans = choice.scan
    let plan = try run.plan()
    if dryRun || !runOptions.resources.json { Terminal.print(text(plan)) }
    if dryRun { return }
    try RunOutcome(report: run.execute(), output: settings.output).finish(json: runOptions.resources.json)
  }

  private func text(_ plan: PruningRun.Plan) -> String {
    var lines = plan.dimensions.map {
      "\($0.kind): \($0.kept) of \($0.units) stay" + ($0.count > 1 ? ", in \($0.count) layers" : "")
    }
    let share = 100 * (1 - Double(plan.keptParameters) / Double(max(1, plan.parameters)))
    lines.append("parameters: \(plan.keptParameters) of \(plan.parameters), \(String(format: "%.1f", share)) % less")
    return lines.joined(separator: "\n") + "\n"
  }
}
