import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize convert`.
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "The same values in another container.",
    discussion: """
      EXAMPLES
        deepseek-optimize convert --model demo-int8 --format hdf5 \\
          --output demo-int8-hdf5
        deepseek-optimize convert --model demo-int8 --format safetensors \\
          --output demo-dequantized
        deepseek-optimize convert --model model.gguf --format safetensors \\
          --output model-values
      """)

  @OptionGroup(title: "Model and output") var model: ModelOption
  @OptionGroup(title: "Model and output") var destination: OutputOptions

  @OptionGroup(title: "Model and output") var container: ContainerOption
  @OptionGroup(title: "Running") var resources: ResourceOptions

  private var format: OutputFormat { container.format }

  func run() throws {
    let bundle = try ModelBundle(opening: model.model)
    var settings = RunSettings(output: URL(fileURLWithPath: destination.output ?? "\(bundle.name)-\(format.rawValue)"))
    settings.group = Launch.group
    settings.overwrite = destination.overwrite
    settings.resume = destination.resume
    settings.evaluation = nil
    settings.threads = resources.threads
    let run = CompressionRun(
      model: bundle, recipe: Recipe(passes: [], format: format), settings: settings, progress: ProgressBar.handler(quiet: resources.quiet))
    try RunOutcome(report: run.execute(), output: settings.output).finish(json: resources.json)
  }
}

/// `--format`, which has no default here.
struct ContainerOption: ParsableArguments {
  @Option(help: "compressed-tensors, gptq, awq, gguf, mlx, hdf5, keras (a KerasHub preset), or safetensors (dequantized to float32).")
  var format: OutputFormat
}
