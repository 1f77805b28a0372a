import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-quant`, and `deepseek-optimize quant`.
public struct QuantCommand: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "deepseek-quant",
    abstract: "Quantize a model, check what was written, and report what it cost.",
    discussion: """
      EXAMPLES
        deepseek-quant --bits 8
        deepseek-quant --bits 4 --algorithm gptq --calibration demo
        deepseek-quant --model deepseek-7b --output deepseek-7b-int8 \\
          --method symmetric --bits 8
        deepseek-quant --model M --output O --bits 4 --group-size 128 --eval text.txt
        deepseek-quant --model M --bits 4 --algorithm gptq --calibration text.txt
        deepseek-quant --model M --mixed-precision auto --target-bpw 4.25 \\
          --calibration text.txt
        deepseek-quant --model M --bits 8 --activations int8 --max-kl 0.01
        deepseek-quant --model M --bits 4 --format mlx --method asymmetric
      """,
    version: "\(Tool.name) \(Tool.version)")

  @OptionGroup(title: "Model and output") var model: ModelOption
  @OptionGroup(title: "Quantization") var quantization: QuantizationOptions
  @OptionGroup(title: "Calibration") var calibration: CalibrationOptions
  @OptionGroup var runOptions: RunOptions

  @Option(help: "Where every random choice derives from. Default: 0.")
  var seed: UInt64?

  @Option(
    help: ArgumentHelp(
      "Take passes, format and seed from a recipe, a file or the name of one that ships, instead of the flags above.", valueName: "recipe"),
    completion: .recipeNames
  )
  var recipe: String?

  @Flag(help: "Print the recipe that would run, and stop. Where algorithms are tried, it tries them first.")
  var printRecipe = false

  @Flag(help: "Check everything and print what would be written, without reading a weight.")
  var dryRun = false

  @OptionGroup var ranks: RankOptions

  public init() {}

  public func validate() throws {
    if printRecipe, dryRun { throw ValidationError("--print-recipe and --dry-run each print something else: give one of them") }
    try ranks.requirePlan(isDryRun: dryRun, of: "deepseek-quant")
    let choice = quantization.mixedPrecision
    try runOptions.checkDivergenceGate(isBudget: choice.isAutomatic && choice.targetBitsPerWeight == nil)
  }

  public func run() throws {
    // HDF5 is Keras's layout for a model that came in it.
    let format =
      quantization.format == .hdf5
      ? quantization.format.resolved(for: try ModelBundle(opening: model.model, extent: dryRun ? .headers : .complete))
      : quantization.format
    var recipe = try makeRecipe(format: format)
    let budget = try quantization.mixedPrecision.budget(divergence: runOptions.gates.maxKl)
    if budget != nil, printRecipe {
      throw CompressionError(
        "--print-recipe", "cannot say what --mixed-precision auto will choose", remedy: "the output's recipe.yaml does", kind: .usage)
    }
    var trials: [AlgorithmTrial.Outcome] = []
    var isTried = self.recipe == nil && quantization.isTried(isCalibrated: recipe.calibration != nil)
    if printRecipe, !isTried {
      Terminal.print(recipe.yaml().trimmingCharacters(in: .newlines))
      return
    }
    // A plan reads no weight: headers are enough for it.
    let bundle = try ModelBundle(opening: model.model, extent: dryRun ? .headers : .complete)
    if isTried, bundle.graph.purpose == .encoder {
      // There are no predictions to try algorithms on.
      recipe.passes = quantization.passes(.gptq, isCalibrated: true, format: format)
      isTried = false
    }
    if isTried, dryRun {
      let names = QuantizationAlgorithm.candidates.map(\.rawValue).joined(separator: ", ")
      Terminal.printError("an algorithm would be chosen first: \(names), measured on a part of the calibration text")
    } else if isTried {
      let run = runOptions.run(bundle, recipe, defaultOutput: defaultOutput(bundle, recipe))
      // What cannot be written is not worth trying for; a recipe is written nowhere.
      if !printRecipe { _ = try run.plan() }
      (recipe.passes, trials) = try bestPasses(for: run)
      if printRecipe {
        Terminal.print(recipe.yaml().trimmingCharacters(in: .newlines))
        return
      }
    }
    let run = runOptions.run(bundle, recipe, defaultOutput: defaultOutput(bundle, recipe), trials: trials)
    let allocation = budget.map { BitAllocation(run, budget: $0) }
    if dryRun {
      let table = PlanTable(plan: try allocation?.plan(for: ranks.layout()) ?? run.plan(for: ranks.layout()), output: run.settings.output)
      let text = table.text(width: Terminal.terminalWidth, style: Terminal.outputStyle)
      if runOptions.resources.json { Terminal.print(json: table.json) } else { Terminal.print(text) }
      return
    }
    let whole = RecipeRun(
      model: bundle, recipe: recipe, settings: run.settings, progress: ProgressBar.handler(quiet: runOptions.resources.quiet))
    try RunOutcome(report: allocation?.execute() ?? whole.execute(), output: run.settings.output).finish(json: runOptions.resources.json)
  }

  /// Tries the algorithms that are worth it and says what came out.
  private func bestPasses(for run: CompressionRun) throws -> (passes: [any CompressionPass], trials: [AlgorithmTrial.Outcome]) {
    let candidates = QuantizationAlgorithm.candidates.map {
      ($0.rawValue, quantization.passes($0, isCalibrated: true, format: run.recipe.format))
    }
    let quiet = runOptions.resources.quiet
    let (outcomes, best) = try AlgorithmTrial().run(candidates, for: run) { if !quiet { Terminal.printError($0) } }
    if !quiet {
      let results = outcomes.map { "\($0.name) \($0.divergence.map { String(format: "%.5f", $0) } ?? "failed")" }.joined(separator: ", ")
      Terminal.printError("mean KL on held-out text: \(results); quantizing by \(outcomes[best].name)")
    }
    return (candidates[best].1, outcomes)
  }

  private func makeRecipe(format: OutputFormat) throws -> Recipe {
    guard let recipe else {
      let plan = calibration.plan(sequenceLength: runOptions.evaluation.sequenceLength)
      return Recipe(
        passes: quantization.passes(
          quantization.algorithm ?? quantization.usualAlgorithm(isCalibrated: plan != nil), isCalibrated: plan != nil, format: format),
        format: format, seed: seed ?? 0, calibration: plan)
    }
    guard !quantization.isSet, seed == nil else {
      throw CompressionError(
        "--recipe", "and flags that choose a quantization or a seed exclude each other", remedy: "change the recipe instead", kind: .usage)
    }
    guard calibration.samples == nil, calibration.strategy == nil else {
      throw CompressionError("--recipe", "says itself how --calibration is sampled", remedy: "change the recipe instead", kind: .usage)
    }
    let named = try NamedRecipe(opening: recipe).calibrated(on: calibration.text)
    named.remindOfText(calibration.text, for: model.model, isQuiet: runOptions.resources.quiet || printRecipe)
    return named.recipe
  }

  private func defaultOutput(_ bundle: ModelBundle, _ recipe: Recipe) -> String {
    if let recipe = self.recipe { return NamedRecipe.defaultOutput(of: recipe, for: bundle) }
    let targets = quantization.targets
    let activations = targets.activations == .none ? "" : "-a8"
    let type = targets.type == .integer ? "int\(targets.bits)" : targets.type.rawValue
    let format = recipe.format == .compressedTensors ? "" : "-\(recipe.format.rawValue)"
    let width = quantization.mixedPrecision.isAutomatic ? "mixed" : type
    return "\(bundle.name)-\(width)\(activations)\(format)"
  }
}
