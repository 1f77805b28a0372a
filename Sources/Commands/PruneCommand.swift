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
        deepseek-optimize prune --model M --output O --ratio 0.3 --calibration train.txt
        deepseek-optimize prune --model M --mlp 0.4 --heads 0.25 --importance wanda --calibration train.txt
        deepseek-optimize prune --model M --hidden 0.2 --multiple 32 --dry-run
      """)

  @OptionGroup var model: ModelOption

  @Option(help: "The share of the channels of every MLP and of the heads that goes: 0.3, or 30%. Others say it for one kind.")
  var ratio: Share?

  @Option(help: "The share of the channels of every MLP.")
  var mlp: Share?

  @Option(help: "The share of the key and value heads, each with the query heads that share it.")
  var heads: Share?

  @Option(help: "The share of the width of the residual stream.")
  var hidden: Share?

  @Option(help: "The share of the ranks of multi-head latent attention: of the latents that queries, keys and values are made of.")
  var ranks: Share?

  @Option(
    help: """
      The share of the experts of every layer, those that give least to the tokens sent to them (REAP) where there is --calibration, else those \
      with the least weights.
      """)
  var experts: Share?

  @Option(help: "How many layers go: those that change least what passes through them. Needs --calibration.")
  var layers: Int?

  @Option(
    help: ArgumentHelp(
      "The most parameters that are left, 3000000 or 3M: the same share of MLP channels and of heads goes, the least that suffices.",
      valueName: "count"))
  var targetParameters: Count?

  @Flag(help: "Measure also what each kind of dimension costs alone, share by share, for the report.")
  var scan = false

  @OptionGroup(title: "Repair") var calibration: CalibrationOptions

  @Option(
    help: """
      What channels are judged by: l1, the sum of magnitudes of the weights that go with them; l2, of their squares; with --calibration also wanda, \
      of the weights that read them times what they read, fluctuation, of their squares times its variance, activations, of what they read alone, \
      or taylor, of weights times gradients. Default: l1.
      """)
  var importance = ChannelImportance.l1

  @Option(help: "What the channels that stay are a multiple of. Default: 64.")
  var multiple = 64

  @Flag(help: "Check everything and print what would be left, without reading a weight.")
  var dryRun = false

  @OptionGroup var runOptions: RunOptions

  func validate() throws {
    if runOptions.destination.resume { throw ValidationError("--resume: a pruning is not resumed; run it again") }
    if ratio != nil, mlp != nil, heads != nil {
      throw ValidationError("--ratio is for what --mlp and --heads do not say, and both are given: leave it out")
    }
    if targetParameters != nil, ratio != nil || mlp != nil || heads != nil {
      throw ValidationError("--target-parameters finds the share itself: leave --ratio, --mlp and --heads out")
    }
    if scan, runOptions.noEval { throw ValidationError("--no-eval leaves --scan nothing to measure on") }
    try runOptions.checkDivergenceGate(isBudget: false)
  }

  func run() throws {
    let bundle = try ModelBundle(opening: model.model)
    var pruning = StructuredPruning(
      mlp: (mlp ?? ratio)?.value ?? 0, heads: (heads ?? ratio)?.value ?? 0, hidden: hidden?.value ?? 0, layers: layers ?? 0,
      importance: importance,
      multiple: multiple)
    let settings = runOptions.settings(defaultOutput: "\(bundle.name)-pruned")
    pruning.targetParameters = targetParameters?.value ?? 0
    (pruning.ranks, pruning.experts) = (ranks?.value ?? 0, experts?.value ?? 0)
    var run = PruningRun(
      model: bundle, pruning: pruning, calibration: calibration.plan(sequenceLength: runOptions.evaluation.sequenceLength),
      settings: settings,
      progress: ProgressBar.handler(quiet: runOptions.resources.quiet))
    run.scans = scan
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

extension ChannelImportance: ExpressibleByArgument {}
