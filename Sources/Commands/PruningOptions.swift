import ArgumentParser
import DeepSeekOptimize

/// What goes, how much of it, and what it is judged by.
struct PruningOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The share of the channels of every MLP and of the heads that goes: 0.3, or 30%. Others say it for one kind.", valueName: "share"),
    transform: Share.read)
  var ratio: Share?

  @Option(help: ArgumentHelp("The share of the channels of every MLP.", valueName: "share"), transform: Share.read)
  var mlp: Share?

  @Option(
    help: ArgumentHelp("The share of the key and value heads, each with the query heads that share it.", valueName: "share"),
    transform: Share.read)
  var heads: Share?

  @Option(help: ArgumentHelp("The share of the width of the residual stream.", valueName: "share"), transform: Share.read)
  var hidden: Share?

  @Option(
    help: ArgumentHelp(
      "The share of the ranks of multi-head latent attention: of the latents that queries, keys and values are made of.", valueName: "share"
    ), transform: Share.read)
  var ranks: Share?

  @Option(
    help: ArgumentHelp(
      """
      The share of the experts of every layer, those that give least to the tokens sent to them (REAP) where there is --calibration, else those \
      with the least weights.
      """, valueName: "share"), transform: Share.read)
  var experts: Share?

  @Option(
    help: ArgumentHelp("How many layers go: those that change least what passes through them. Needs --calibration.", valueName: "count"),
    transform: Count.number)
  var layers: Int?

  @Option(
    help: ArgumentHelp(
      "The most parameters that are left, 3000000 or 3M: the same share of MLP channels and of heads goes, the least that suffices.",
      valueName: "count"), transform: Count.read)
  var targetParameters: Count?

  @Flag(help: "Measure also what each kind of dimension costs alone, share by share, for the report.")
  var scan = false

  @Option(
    help: """
      What channels are judged by: l1, the sum of magnitudes of the weights that go with them; l2, of their squares; with --calibration also wanda, \
      of the weights that read them times what they read, fluctuation, of their squares times its variance, activations, of what they read alone, \
      or taylor, of weights times gradients. Default: l1.
      """)
  var importance = ChannelImportance.l1

  @Option(help: ArgumentHelp("What the channels that stay are a multiple of. Default: 64.", valueName: "count"), transform: Count.number)
  var multiple = 64

  func validate() throws {
    if ratio != nil, mlp != nil, heads != nil {
      throw ValidationError("--ratio is for what --mlp and --heads do not say, and both are given: leave it out")
    }
    if targetParameters != nil, ratio != nil || mlp != nil || heads != nil {
      throw ValidationError("--target-parameters finds the share itself: leave --ratio, --mlp and --heads out")
    }
  }

  var pruning: StructuredPruning {
    var pruning = StructuredPruning(
      mlp: (mlp ?? ratio)?.value ?? 0, heads: (heads ?? ratio)?.value ?? 0, hidden: hidden?.value ?? 0, layers: layers ?? 0,
      importance: importance, multiple: multiple)
    pruning.targetParameters = targetParameters?.value ?? 0
    (pruning.ranks, pruning.experts) = (ranks?.value ?? 0, experts?.value ?? 0)
    return pruning
  }
}

extension ChannelImportance: ExpressibleByArgument {}
