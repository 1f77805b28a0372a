import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize eval`.
struct EvalCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "eval",
    abstract: "Perplexity of a model; against a reference also KL divergence, agreement and flips.",
    discussion: """
      EXAMPLES
        deepseek-optimize eval --model demo
        deepseek-optimize eval --model demo-int8 --reference demo \\
          --eval text.txt --sequence-length 256
        deepseek-optimize eval --model demo --kv-cache int8
        deepseek-optimize eval --model demo --adapter demo-lora --reference demo
      """)

  @OptionGroup(title: "Model") var model: ModelOption
  @OptionGroup(title: "Model") var adapter: AdapterOption
  @OptionGroup(title: "Model") var comparison: ReferenceOption
  @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions
  @OptionGroup(title: "Running") var resources: ResourceOptions
  @OptionGroup(title: "Running") var division: DivisionOption

  @Option(
    name: .customLong("report"), help: ArgumentHelp("Also write the report as HTML.", valueName: "file"),
    completion: .file(extensions: ["html"]))
  var reportFile: String?

  @Option(
    help: ArgumentHelp("Instead of measuring, write the logits of the text's first window: a .safetensors file.", valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var saveLogits: String?

  @Option(
    help: ArgumentHelp("Instead of measuring, write an encoder's embeddings of the text's lines: a .safetensors file.", valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var saveEmbeddings: String?

  private var reference: String? { comparison.reference }

  func validate() throws {
    if saveLogits != nil, reference != nil || reportFile != nil || resources.json || evaluation.tokens != nil {
      throw ValidationError("--save-logits measures nothing: leave out --reference, --report, --json and --eval-tokens")
    }
    if saveEmbeddings != nil, reference != nil || reportFile != nil || resources.json || saveLogits != nil {
      throw ValidationError("--save-embeddings measures nothing: leave out --reference, --report, --json and --save-logits")
    }
    if saveLogits != nil || saveEmbeddings != nil, evaluation.compute != .float32 {
      throw ValidationError("what --save-logits and --save-embeddings write is computed in float32: leave --compute out")
    }
  }

  func run() throws {
    // What is written as it is computed, the first process computes.
    if saveEmbeddings != nil || saveLogits != nil, !Launch.group.isFirst { return }
    let bundle = try adapter.apply(to: ModelBundle(opening: model.model), threads: resources.threads)
    if let saveEmbeddings {
      try bundle.saveEmbeddings(
        of: evaluation.settings, to: URL(fileURLWithPath: saveEmbeddings), pool: ThreadPool(threads: resources.threads))
      return
    }
    if let saveLogits {
      try bundle.saveLogits(
        of: evaluation.settings.text, tokens: evaluation.settings.context ?? 512, to: URL(fileURLWithPath: saveLogits),
        pool: ThreadPool(threads: resources.threads))
      return
    }
    let measurement = try Measurement(
      model: bundle, reference: reference.map(ModelBundle.init(opening:)),
      settings: evaluation.settings, threads: resources.threads, group: Launch.group,
      tensorParallel: division.enableTensorParallel, maximumMemory: resources.maxMemory?.bytes,
      progress: ProgressBar.handler(quiet: resources.quiet))
    let report = try measurement.report()
    if let reportFile, Launch.group.isFirst { try TextOutput.write(HTMLReport.render(report), to: reportFile) }
    guard !resources.json else { return Terminal.print(json: report.json) }
    Terminal.print(ReportTable(report).text(style: Terminal.outputStyle, width: Terminal.outputWidth).trimmingCharacters(in: .newlines))
  }
}

/// `--reference`.
struct ReferenceOption: ParsableArguments {
  @Option(help: ArgumentHelp("The model to compare with.", valueName: "model"), completion: .model)
  var reference: String?
}
