import ArgumentParser
import DeepSeekOptimize
import Foundation

/// What accuracy is measured on.
struct EvaluationOptions: ParsableArguments {
  @Option(
    name: .customLong("eval"), help: "The text to measure on: .txt, or .jsonl with a \"text\" member a line. Default: the demo text.",
    completion: .text)
  var text: String?

  @Option(
    name: .customLong("eval-tokens"),
    help: ArgumentHelp("The most tokens of the text to use, at least one window: 20000, 20k. Default: all.", valueName: "count"),
    transform: Count.read)
  var tokens: Count?

  @Option(
    help: ArgumentHelp(
      "Tokens a window, of calibration text as well: 512, 2k. Default: 512, at most the model's maximum.", valueName: "count"),
    transform: Count.windowLength)
  var sequenceLength: Int?

  @Option(
    help: ArgumentHelp("Windows that run together: fewer need less memory. Default: as many as make 2048 tokens.", valueName: "count"),
    transform: Count.number)
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
