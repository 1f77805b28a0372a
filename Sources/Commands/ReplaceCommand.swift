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
        deepseek-optimize replace --attention sliding-window --window 64 --layers 0-2
        deepseek-optimize replace --model M --output O --attention sliding-window --window 1024 --layers 0-2,4-6
        deepseek-optimize replace --model M --output O --attention top-tokens --tokens 1024 --block 64
        deepseek-optimize replace --model M --output O --activation relu
        deepseek-optimize replace --model M --output O --merge-experts 32 --calibration train.txt

      What it costs is healed by distillation: deepseek-optimize distill --teacher M --student O --data train.txt --output P
      """)

  @OptionGroup var model: ModelOption

  @Option(
    help: """
      What attention becomes: sliding-window, the last --window tokens; top-tokens, at most --tokens, in the blocks whose mean key has the \
      largest product with the query; global, all.
      """)
  var attention = ModuleReplacement.AttentionKind.keep

  @Option(help: "Tokens of a sliding window, the query's own included.")
  var window: Int?

  @Option(help: "Tokens that a query selects at most, a multiple of --block.")
  var tokens: Int?

  @Option(help: "Tokens that are selected together; with 1 they are selected by their exact scores, which saves less work. Default: 32.")
  var block: Int?

  @Option(help: "The layers whose attention is replaced, from 0: 0-3,5. Default: all.")
  var layers: String?

  @Option(help: "What the activation of MLPs becomes: relu, relu2, gelu, gelu-tanh or silu.")
  var activation = ModuleReplacement.ActivationKind.keep

  @Option(
    help: """
      What the RMS norms of a decoder's residual stream become: layer-norm, or dynamic-tanh, fitted to what they read of --calibration. Only this \
      program reads either.
      """)
  var normalization = ModuleReplacement.NormalizationKind.keep

  @Option(help: "How many routed experts every mixture is merged into, of every group as many.")
  var mergeExperts: Int?

  @OptionGroup(title: "Comparing experts, fitting norms") var calibration: CalibrationOptions

  @Flag(help: "Check everything and print what would change, without reading a weight.")
  var dryRun = false

  @OptionGroup var runOptions: RunOptions

  func validate() throws {
    if runOptions.destination.resume { throw ValidationError("--resume: a replacement is not resumed; run it again") }
    if block != nil, attention != .topTokens { throw ValidationError("--block is for --attention top-tokens") }
    if mergeExperts == 0 { throw ValidationError("--merge-experts 0 would leave none: leave it out to merge nothing") }
    if calibration.text != nil, mergeExperts == nil, normalization != .dynamicTanh {
      throw ValidationError("--calibration is read for --merge-experts and --normalization dynamic-tanh only")
    }
    try runOptions.checkDivergenceGate(isBudget: false)
  }

  func run() throws {
    let bundle = try ModelBundle(opening: model.model)
    var replacement = ModuleReplacement()
    (replacement.attention, replacement.activation, replacement.normalization) = (attention, activation, normalization)
    (replacement.window, replacement.tokens, replacement.block) = (window ?? 0, tokens ?? 0, block ?? replacement.block)
    (replacement.layers, replacement.mergeExperts) = (layers ?? "", mergeExperts ?? 0)
    let settings = runOptions.settings(defaultOutput: "\(bundle.name)-replaced")
    let run = ReplacementRun(
      model: bundle, replacement: replacement, calibration: calibration.plan(sequenceLength: runOptions.evaluation.sequenceLength),
      settings: settings, progress: ProgressBar.handler(quiet: runOptions.resources.quiet))
    let plan = try run.plan()
    if dryRun, runOptions.resources.json {
      Terminal.print(json(plan).text().trimmingCharacters(in: .newlines))
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

extension ModuleReplacement.AttentionKind: ExpressibleByArgument {}
extension ModuleReplacement.ActivationKind: ExpressibleByArgument {}
extension ModuleReplacement.NormalizationKind: ExpressibleByArgument {}
