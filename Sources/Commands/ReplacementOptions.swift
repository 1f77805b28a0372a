import ArgumentParser
import DeepSeekOptimize

/// What is replaced, and by what.
struct ReplacementOptions: ParsableArguments {
  @Option(
    help: """
      What attention becomes: sliding-window, the last --window tokens; top-tokens, at most --tokens, in the blocks whose mean key has the \
      largest product with the query; global, all.
      """)
  var attention = ModuleReplacement.AttentionKind.keep

  @Option(help: ArgumentHelp("Tokens of a sliding window, the query's own included.", valueName: "count"), transform: Count.number)
  var window: Int?

  @Option(help: ArgumentHelp("Tokens that a query selects at most, a multiple of --block.", valueName: "count"), transform: Count.number)
  var tokens: Int?

  @Option(
    help: ArgumentHelp(
      "Tokens that are selected together; with 1 they are selected by their exact scores, which saves less work. Default: 32.",
      valueName: "count"), transform: Count.number)
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

  @Option(
    help: ArgumentHelp("How many routed experts every mixture is merged into, of every group as many.", valueName: "count"),
    transform: Count.number)
  var mergeExperts: Int?

  func validate() throws {
    if block != nil, attention != .topTokens { throw ValidationError("--block is for --attention top-tokens") }
    if mergeExperts == 0 { throw ValidationError("--merge-experts 0 would leave none: leave it out to merge nothing") }
  }

  var replacement: ModuleReplacement {
    var replacement = ModuleReplacement()
    (replacement.attention, replacement.activation, replacement.normalization) = (attention, activation, normalization)
    (replacement.window, replacement.tokens, replacement.block) = (window ?? 0, tokens ?? 0, block ?? replacement.block)
    (replacement.layers, replacement.mergeExperts) = (layers ?? "", mergeExperts ?? 0)
    return replacement
  }
}

extension ModuleReplacement.AttentionKind: ExpressibleByArgument {}
extension ModuleReplacement.ActivationKind: ExpressibleByArgument {}
extension ModuleReplacement.NormalizationKind: ExpressibleByArgument {}
