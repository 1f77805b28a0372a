import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize replace`.
struct ReplaceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replace",
    abstract: "Put cheaper modules around the weights: windows or selected tokens in attention, activations, norms, merged experts.",
    discussion: """
      EXAMPLES
        deepseek-optimize replace --attention sliding-window --window 64 \\
          --layers 0-2
        deepseek-optimize replace --model M --output O \\
          --attention sliding-window --window 1024 --layers 0-2,4-6
        deepseek-optimize replace --model M --output O \\
          --attention top-tokens --tokens 1024 --block 64
        deepseek-optimize replace --model M --output O --activation relu
        deepseek-optimize replace --model M --output O --merge-experts 32 \\
          --calibration train.txt

      What it costs is healed by distillation:
        deepseek-optimize distill --teacher M --student O --data train.txt \\
          --output P
      """)

  @OptionGroup(title: "Model and output") var model: ModelOption
  @OptionGroup(title: "Replacing") var choice: ReplacementOptions
  @OptionGroup(title: "Comparing experts, fitting norms") var calibration: CalibrationOptions

  @Flag(help: "Check everything and print what would change, without reading a weight.")
  var dryRun = false

  @OptionGroup var runOptions: RunOptionsOf<NothingToResume>

  func validate() throws {
    if calibration.text != nil, choice.mergeExperts == nil, choice.normalization != .dynamicTanh {
      throw ValidationError("--calibration is read for --merge-experts and --normalization dynamic-tanh only")
    }
    try runOptions.checkDivergenceGate(isBudget: false)
  }

  func run() throws {
    let bundle = try ModelBundle(opening: model.model)
    let settings = runOptions.settings(defaultOutput: "\(bundle.name)-replaced")
    let run = ReplacementRun(
      model: bundle, replacement: choice.replacement, calibration: calibration.plan(sequenceLength: runOptions.evaluation.sequenceLength),
      settings: settings, progress: ProgressBar.handler(quiet: runOptions.resources.quiet))
    let plan = try run.plan()
    if dryRun, runOptions.resources.json {
      Terminal.print(json: json(plan))
      return
    }
    if dryRun || !runOptions.resources.json { Terminal.print(text(plan)) }
    if dryRun { return }
    try RunOutcome(report: run.execute(), output: settings.output).finish(json: runOptions.resources.json)
  }

  private func json(_ plan: ReplacementRun.Plan) -> JSONValue {
    [
      "modules": .array(
        plan.modules.map { ["kind": .string($0.kind), "before": .string($0.before), "after": .string($0.after)] }),
      "parameters": .integer(Int64(plan.parameters)), "keptParameters": .integer(Int64(plan.keptParameters)),
      "notes": .array(plan.caveats.map(JSONValue.string)),
    ]
  }

  private func text(_ plan: ReplacementRun.Plan) -> String {
    var lines = plan.modules.map { "\($0.kind): \($0.after) (was: \($0.before))" }
    if plan.keptParameters != plan.parameters { lines.append("parameters: \(plan.keptParameters) of \(plan.parameters) are left") }
    if dryRun { lines += plan.caveats.map { "note: \($0)" } }
    return lines.joined(separator: "\n") + "\n"
  }
}
