import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize generate`.
struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Text from a prompt, to see that a model still talks.",
    discussion: """
      EXAMPLES
        deepseek-optimize generate --prompt "The lighthouse"
        deepseek-optimize generate --model demo-int8 --prompt "The lighthouse" \\
          --max-tokens 40
      """)

  @OptionGroup var model: ModelOption
  @OptionGroup var adapter: AdapterOption

  @Option(help: "The text to continue.")
  var prompt: String

  @Option(help: ArgumentHelp("The most tokens to add. Default: 64.", valueName: "count"), transform: Count.number)
  var maxTokens = 64

  @Option(help: "0 takes the likeliest token each time; 1 draws from the model's distribution.")
  var temperature = 0.0

  @Option(help: "Draw only from the likeliest tokens that together reach this probability.")
  var topP = 1.0

  @Option(help: "Where every random choice derives from.")
  var seed: UInt64 = 0

  @Option(name: .customLong("kv-cache"), help: "How keys and values are kept: none (float32), or int8. Default: none.")
  var keyValueCache = KeyValueQuantization.none

  @Option(help: "What products are computed in: float32, or 16bit, which with AVX-512 is about twice as fast on prompts. Default: 16bit.")
  var compute = Arithmetic.sixteenBit

  @OptionGroup var pool: ThreadsOption
  @OptionGroup var longRun: LongRunOptions

  private var threads: Int? { pool.threads }

  func validate() throws {
    if maxTokens < 1 { throw ValidationError("--max-tokens \(maxTokens) is not at least 1") }
    if temperature < 0 || !temperature.isFinite { throw ValidationError("--temperature \(temperature) is not 0 or more") }
    if topP <= 0 || topP > 1 { throw ValidationError("--top-p \(topP) is not above 0 and at most 1") }
  }

  func run() throws {
    let bundle = try adapter.apply(to: ModelBundle(opening: model.model), threads: threads)
    var generator = try TextGenerator(
      model: bundle, threads: threads, sampling: Sampling(temperature: temperature, topP: topP, seed: seed), keyValues: keyValueCache,
      arithmetic: compute)
    // On a terminal the text itself shows how far it is; until it comes, a bar does.
    var isBegun = false
    let progress = ProgressBar.handler(quiet: false)
    let telemetry = RunTelemetry.current
    func say(_ text: String) {
      if !isBegun { Terminal.write(prompt, to: STDOUT_FILENO) }
      isBegun = true
      Terminal.write(text, to: STDOUT_FILENO)
    }
    let statistics: TextGenerator.Statistics
    do {
      statistics = try generator.generate(
        from: prompt, maximumTokens: maxTokens,
        progress: { step in
          if step.stage == TextGenerator.decodingStage, Terminal.outputIsTerminal {
            telemetry?.update(step)
          } else {
            progress?(step)
          }
        }, onText: say)
    } catch let stop as StoppedFailure {
      if isBegun { Terminal.write("\n", to: STDOUT_FILENO) }
      throw stop
    }
    say("\n")
    Terminal.printError(
      String(
        format: "%d tokens of prompt in %.2f s, %d generated in %.2f s (%.1f tokens/s)", statistics.promptTokens,
        statistics.prefillSeconds, statistics.generatedTokens, statistics.decodeSeconds,
        Double(statistics.generatedTokens) / max(statistics.decodeSeconds, 1e-9)))
    if keyValueCache != .none {
      Terminal.printError(
        "\(keyValueCache.rawValue) cache: \(statistics.cacheBytesPerToken) bytes a token (float32: \(statistics.floatCacheBytesPerToken))")
    }
  }
}

extension KeyValueQuantization: ExpressibleByArgument {}
extension Arithmetic: ExpressibleByArgument {}
