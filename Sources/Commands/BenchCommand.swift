import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize bench`.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Tokens per second of a model: of a prompt at once, and of one token after the other.",
    discussion: """
      Generated tokens begin an empty sequence, as llama-bench measures them. The models take turns, so that a change of the machine's speed \
      meets all of them; medians of the rounds count.

      EXAMPLES
        deepseek-optimize bench --model demo
        deepseek-optimize bench --model model-int4 --model model-int8 \\
          --prompt-tokens 512 --generate-tokens 64 --threads 1,2
      """)

  @Option(help: ArgumentHelp("A model; may be given several times. Default: demo.", valueName: "model"), completion: .model)
  var model: [String] = []

  @Option(
    help: ArgumentHelp("Tokens of the prompt, at most as many as the model has positions. Default: 512.", valueName: "count"),
    transform: Count.number)
  var promptTokens = 512

  @Option(help: ArgumentHelp("Tokens that are generated one after the other. Default: 64.", valueName: "count"), transform: Count.number)
  var generateTokens = 64

  @Option(help: ArgumentHelp("Rounds that count; one more comes before them. Default: 5.", valueName: "count"), transform: Count.number)
  var rounds = 5

  @Option(
    help: ArgumentHelp("Numbers of worker threads: 1,2. Default: one per processor.", valueName: "numbers"), transform: ThreadCounts.read)
  var threads: ThreadCounts?

  @Option(help: "What products are computed in: float32, or 16bit. Default: 16bit.")
  var compute = Arithmetic.sixteenBit

  @OptionGroup var display: DisplayOptions
  @OptionGroup var longRun: LongRunOptions

  func validate() throws {
    if !(1...1_000_000).contains(promptTokens) { throw ValidationError("--prompt-tokens \(promptTokens) is not from 1 to 1000000") }
    if !(1...1_000_000).contains(generateTokens) {
      throw ValidationError("--generate-tokens \(generateTokens) is not from 1 to 1000000")
    }
    if !(1...1000).contains(rounds) { throw ValidationError("--rounds \(rounds) is not from 1 to 1000") }
  }

  func run() throws {
    let paths = model.isEmpty ? [DemoModel.name] : model
    let bundles = try paths.map { path in
      let bundle = try ModelBundle(opening: path)
      try bundle.requirePredictions(for: "bench")
      return bundle
    }
    let room = bundles.map(\.graph.maximumPositions).min() ?? 0
    guard generateTokens <= room else {
      throw RecipeError(
        "--generate-tokens", "of \(generateTokens) is beyond the models' \(room) positions", remedy: "generate fewer", kind: .usage)
    }
    let vocabulary = bundles.map(\.graph.vocabularySize).min() ?? 1
    let prompt = (0..<min(promptTokens, room)).map { place in
      Int32(SeededRandom.value(seed: 0, index: UInt64(place)) % UInt64(vocabulary))
    }
    var rows: [(threads: Int, model: String, speed: Throughput)] = []
    for count in threads?.counts ?? [ProcessInfo.processInfo.activeProcessorCount] {
      let interpreter = Interpreter(pool: ThreadPool(threads: count)).computing(in: compute)
      let speeds = try Throughput.measure(
        bundles.map(\.graph), interpreter: interpreter, tokens: prompt, decodeTokens: generateTokens, rounds: rounds,
        decodesAlone: true, progress: ProgressBar.handler(quiet: display.quiet))
      rows += zip(paths, speeds).map { (count, $0, $1) }
    }
    if display.json { Terminal.print(json: document(rows, prompt.count)) } else { Terminal.print(table(rows, prompt.count)) }
  }

  private func table(_ rows: [(threads: Int, model: String, speed: Throughput)], _ prompt: Int) -> String {
    var table = TextTable([.left, .right, .right, .right])
    table.header(["model", "threads", "prefill \(prompt)", "decode \(generateTokens)"])
    for row in rows {
      let speeds = [row.speed.prefill, row.speed.decode].map { String(format: "%.1f", $0) }
      table.row(([row.model, "\(row.threads)"] + speeds).map { TextTable.Cell($0) })
    }
    let lines = table.lines(width: Terminal.terminalWidth ?? .max, style: Terminal.outputStyle)
    return (lines + ["", "tokens per second, computed in \(compute.rawValue), median of \(rounds)"]).joined(separator: "\n")
  }

  private func document(_ rows: [(threads: Int, model: String, speed: Throughput)], _ prompt: Int) -> JSONValue {
    let runs = rows.map { row -> JSONValue in
      [
        "model": .string(row.model), "threads": .integer(Int64(row.threads)), "promptTokens": .integer(Int64(prompt)),
        "generateTokens": .integer(Int64(generateTokens)), "compute": .string(compute.rawValue),
        "prefillTokensPerSecond": .number(row.speed.prefill), "decodeTokensPerSecond": .number(row.speed.decode),
      ]
    }
    return ["rounds": .integer(Int64(rounds)), "runs": .array(runs)]
  }
}

/// Numbers of threads: 1,2,4.
struct ThreadCounts: WrittenValue {
  static let forms = "numbers from 1 to 1024: 1,2,4"

  let counts: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    counts = parts.compactMap { $0 }
    guard counts.count == parts.count, !counts.isEmpty, counts.allSatisfy((1...1024).contains) else { return nil }
  }
}
