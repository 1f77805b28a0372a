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
  @OptionGroup var destination: OutputOptions
  @OptionGroup(title: "Quantization") var quantization: QuantizationOptions
  @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions

  @Flag(help: "Do not measure the result.")
  var noEval = false

  @OptionGroup(title: "Gates") var gates: GateOptions
  @OptionGroup(title: "Running") var resources: ResourceOptions

  @Option(help: "Where every random choice derives from.")
  var seed: UInt64 = 0

  @Option(help: ArgumentHelp("Take passes, format and seed from a recipe instead of the flags above.", valueName: "file"))
  var recipe: String?

  @Flag(help: "Print the recipe that would run, and stop.")
  var printRecipe = false

  @Flag(help: "Check everything and print what would be written, without reading a weight.")
  var dryRun = false

  public init() {}

  public func validate() throws {
    if noEval, gates.isSet { throw ValidationError("--no-eval leaves nothing for a gate to measure") }
  }

  public func run() throws {
    let recipe = try makeRecipe()
    if printRecipe {
      Terminal.print(recipe.yaml().trimmingCharacters(in: .newlines))
      return
    }
    let bundle = try ModelBundle(opening: model.model)
    var settings = RunSettings(output: URL(fileURLWithPath: destination.output ?? defaultOutput(bundle, recipe)))
    settings.overwrite = destination.overwrite
    settings.resume = destination.resume
    settings.evaluation = noEval ? nil : evaluation.settings
    settings.gates = gates.gates
    settings.threads = resources.threads
    settings.maximumMemory = resources.maxMemory?.bytes
    let run = CompressionRun(
      model: bundle, recipe: recipe, settings: settings, progress: ProgressBar.handler(quiet: resources.quiet))
    if dryRun {
      Terminal.print(try PlanTable(run.plan(), model: bundle, output: settings.output).text)
      return
    }
    try RunOutcome(report: run.execute(), output: settings.output).finish(json: resources.json)
  }

  private func makeRecipe() throws -> Recipe {
    guard let recipe else {
      return Recipe(passes: [try quantization.pass()], format: quantization.format, seed: seed)
    }
    guard !quantization.isSet else {
      throw CompressionError(
        "--recipe", "and flags that choose a quantization exclude each other", remedy: "change the recipe instead", kind: .usage)
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

extension Recipe {
  /// `run` and `convert` name outputs alike.
  static func unchanged(format: OutputFormat) -> Recipe { Recipe(passes: [], format: format) }
}
