import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `--model`.
struct ModelOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The model: a Hugging Face directory, a .safetensors or an HDF5 file, or demo, the model that ships.", valueName: "model"),
    completion: .model)
  var model = DemoModel.name
}

/// `--adapter`.
struct AdapterOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "An adapter to run the model with: a directory that PEFT, mlx-lm or deepseek-finetune wrote.", valueName: "directory"),
    completion: .directory)
  var adapter: String?

  func apply(to model: ModelBundle, threads: Int?) throws -> ModelBundle {
    guard let adapter else { return model }
    return try model.adapted(by: URL(fileURLWithPath: adapter), pool: ThreadPool(threads: threads))
  }
}

/// Where the output goes.
struct OutputOptions: ParsableArguments {
  @Option(help: "The directory to write; it must not exist.", completion: .directory)
  var output: String?

  @Flag(help: "Replace an existing output.")
  var overwrite = false

  func validate() throws {
    if let output, [".", "..", "/"].contains(output) || output.allSatisfy(\.isWhitespace) {
      throw ValidationError("--output '\(output)' is not the name of a new directory")
    }
  }

  @Flag(help: "Continue a run with the same model and recipe that was stopped or killed.")
  var resume = false
}

/// What accuracy is measured on.
struct EvaluationOptions: ParsableArguments {
  @Option(
    name: .customLong("eval"), help: "The text to measure on: .txt, or .jsonl with a \"text\" member a line. Default: the demo text.",
    completion: .text)
  var text: String?

  @Option(
    name: .customLong("eval-tokens"),
    help: ArgumentHelp("The most tokens of the text to use, at least one window: 20000, 20k. Default: all.", valueName: "count"))
  var tokens: Count?

  @Option(help: "Tokens a window, of calibration text as well. Default: 512, at most the model's maximum.")
  var sequenceLength: Int?

  @Option(help: "Windows that run together: fewer need less memory. Default: as many as make 2048 tokens.")
  var batchSize: Int?

  @Option(
    name: .customLong("kv-cache"),
    help: "Measure also what a quantized cache of keys and values costs: none, or int8. Default: none.")
  var keyValueCache = KeyValueQuantization.none

  @Option(
    help: ArgumentHelp(
      "What products are computed in: float32, or 16bit, which with AVX-512 is about twice as fast, and which the report names. Default: float32.",
      valueName: "arithmetic"))
  var compute = Arithmetic.float32

  func validate() throws {
    if let batchSize, !(1...65536).contains(batchSize) { throw ValidationError("--batch-size \(batchSize) is not from 1 to 65536") }
    if let tokens, tokens.value < 2 { throw ValidationError("--eval-tokens \(tokens.value) is not at least 2") }
    if let sequenceLength, sequenceLength < 2 { throw ValidationError("--sequence-length \(sequenceLength) is not at least 2") }
  }

  var settings: EvaluationSettings {
    var settings = EvaluationSettings(
      text: text.map { URL(fileURLWithPath: $0) } ?? DemoModel.evaluationText, context: sequenceLength, tokens: tokens?.value)
    settings.batchSize = batchSize
    settings.keyValueCache = keyValueCache
    settings.arithmetic = compute
    return settings
  }
}

/// What a run may use.
struct ResourceOptions: ParsableArguments {
  @Option(help: "Worker threads. Default: one per processor. The output never depends on it.")
  var threads: Int?

  @Option(help: ArgumentHelp("The most memory for activations and buffers: 8GB, 512MiB.", valueName: "size"))
  var maxMemory: ByteSize?

  @OptionGroup var longRun: LongRunOptions

  @Flag(name: .shortAndLong, help: "Show no progress.")
  var quiet = false

  @Flag(help: "Print the result as JSON alone on standard output.")
  var json = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads \(threads) is not from 1 to 1024") }
  }
}

/// A number of bytes as people write it: 8GB, 512MiB, 1500000.
struct ByteSize: ExpressibleByArgument {
  let bytes: Int

  init?(argument: String) {
    let units: [(String, Double)] = [
      ("KIB", 1024), ("MIB", 1_048_576), ("GIB", 1_073_741_824), ("TIB", 1_099_511_627_776), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9),
      ("TB", 1e12), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("B", 1),
    ]
    let text = argument.uppercased().replacingOccurrences(of: " ", with: "")
    let unit = units.first { text.hasSuffix($0.0) }
    guard let value = Double(unit.map { String(text.dropLast($0.0.count)) } ?? text), value.isFinite, value > 0 else { return nil }
    let bytes = value * (unit?.1 ?? 1)
    guard bytes >= 1_048_576, bytes < 1e18 else { return nil }
    self.bytes = Int(bytes)
  }
}

/// A share: 0.01 or 1%.
struct Share: ExpressibleByArgument {
  let value: Double

  init?(argument: String) {
    let isPercent = argument.hasSuffix("%")
    guard let value = Double(isPercent ? String(argument.dropLast()) : argument), value.isFinite else { return nil }
    self.value = isPercent ? value / 100 : value
  }
}
