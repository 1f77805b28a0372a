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
        deepseek-quant --model deepseek-7b --output deepseek-7b-int8 --method symmetric --bits 8
        deepseek-quant --model M --output O --bits 4 --group-size 128 --eval text.txt
        deepseek-quant --model M --bits 8 --activations int8 --max-kl 0.01
      """,
    version: "\(Tool.name) \(Tool.version)")

  @OptionGroup var model: ModelOption
  @OptionGroup(title: "Quantization") var quantization: QuantizationOptions
  @OptionGroup(title: "Calibration") var calibration: CalibrationOptions
  @OptionGroup var runOptions: RunOptions

  @Option(help: "Where every random choice derives from. Default: 0.")
  var seed: UInt64?

  @Option(help: ArgumentHelp("Take passes, format and seed from a recipe instead of the flags above.", valueName: "file"))
  var recipe: String?

  @Flag(help: "Print the recipe that would run, and stop.")
  var printRecipe = false

  @Flag(help: "Check everything and print what would be written, without reading a weight.")
  var dryRun = false

  public init() {}

  public func run() throws {
    let recipe = try makeRecipe()
    if printRecipe {
      Terminal.print(recipe.yaml().trimmingCharacters(in: .newlines))
      return
    }
    let bundle = try ModelBundle(opening: model.model)
    let run = runOptions.run(bundle, recipe, defaultOutput: defaultOutput(bundle, recipe))
    if dryRun {
      let table = PlanTable(plan: try run.plan(), output: run.settings.output)
      Terminal.print(runOptions.resources.json ? table.json.text().trimmingCharacters(in: .newlines) : table.text)
      return
    }
    try RunOutcome(report: run.execute(), output: run.settings.output).finish(json: runOptions.resources.json)
  }

  private func makeRecipe() throws -> Recipe {
    guard let recipe else {
      let plan = calibration.plan(sequenceLength: runOptions.evaluation.sequenceLength)
      return Recipe(
        passes: try quantization.passes(isCalibrated: plan != nil), format: quantization.format, seed: seed ?? 0, calibration: plan)
    }
    guard !quantization.isSet, seed == nil else {
      throw CompressionError(
        "--recipe", "and flags that choose a quantization or a seed exclude each other", remedy: "change the recipe instead", kind: .usage)
    }
    let file = URL(fileURLWithPath: recipe)
    var stored = try Recipe(yaml: TextFile.read(file), file: file.lastPathComponent)
    if let text = calibration.text {
      guard calibration.samples == nil, calibration.strategy == nil else {
        throw CompressionError(
          "--recipe", "says itself how --calibration is sampled", remedy: "change the recipe instead", kind: .usage)
      }
      // The same text may lie elsewhere.
      stored.calibration = CalibrationPlan(
        text: text, samples: stored.calibration?.samples ?? 128, sequenceLength: stored.calibration?.sequenceLength ?? 0,
        strategy: stored.calibration?.strategy ?? .random)
    }
    return stored
  }

  private func defaultOutput(_ bundle: ModelBundle, _ recipe: Recipe) -> String {
    guard self.recipe == nil else { return "\(bundle.name)-optimized" }
    let targets = quantization.targets
    let activations = targets.activations == .int8 ? "-a8" : ""
    let format = recipe.format == .compressedTensors ? "" : "-\(recipe.format.rawValue)"
    return "\(bundle.name)-int\(targets.bits)\(activations)\(format)"
  }
}
