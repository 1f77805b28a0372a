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
      return Recipe(passes: [try quantization.pass()], format: quantization.format, seed: seed ?? 0)
    }
    guard !quantization.isSet, seed == nil else {
      throw CompressionError(
        "--recipe", "and flags that choose a quantization or a seed exclude each other", remedy: "change the recipe instead", kind: .usage)
    }
    let file = URL(fileURLWithPath: recipe)
    return try Recipe(yaml: TextFile.read(file), file: file.lastPathComponent)
  }

  private func defaultOutput(_ bundle: ModelBundle, _ recipe: Recipe) -> String {
    guard let pass = recipe.passes.first as? RoundToNearest, recipe.passes.count == 1 else { return "\(bundle.name)-optimized" }
    let activations = pass.targets.activations == .int8 ? "-a8" : ""
    let format = recipe.format == .compressedTensors ? "" : "-\(recipe.format.rawValue)"
    return "\(bundle.name)-int\(pass.targets.bits)\(activations)\(format)"
  }
}
