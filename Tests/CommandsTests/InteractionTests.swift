import DeepSeekOptimize
import Foundation
import Testing

@testable import Commands

/// Commands as people and clusters meet them: stopped, watched, mistyped, completed, in colour.
@Suite struct InteractionTests {
  private let place: CommandDirectory
  private var directory: URL { place.url }

  init() throws {
    place = try CommandDirectory()
    try (0..<60).map { "{\"text\": \"line \($0) of a text that is read\"}\n" }.joined()
      .write(to: directory.appendingPathComponent("my data.jsonl"), atomically: true, encoding: .utf8)
  }

  private func start(_ words: [String], environment: [String: String] = [:], terminal: FileHandle? = nil) throws -> CommandProcess {
    try CommandProcess(words, in: directory, environment: environment, terminal: terminal)
  }

  private func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: directory.appendingPathComponent(name).path) }

  private let training = [
    "deepseek-finetune", "--data", "my data.jsonl", "--steps", "300", "--sequence-length", "32", "--batch-size", "2", "--held-out", "0",
    "--output", "it's",
  ]

  // MARK: Stopping

  @Test(arguments: [SIGINT, SIGTERM])
  func whatIsStoppedPrintsTheCommandThatContinues(_ signal: Int32) throws {
    let run = try start(training)
    try run.waitForError("training ")
    run.send(signal)
    #expect(run.wait() == 75, "\(run.errorText)")
    let mark = "what was done is kept. To continue: "
    let line = try #require(run.errorText.split(separator: "\n").last { $0.hasPrefix("error: ") })
    let range = try #require(line.range(of: mark), "\(line)")
    #expect(!exists("it's"))
    // As a person would: the line goes to a shell.
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    shell.arguments = ["-c", "\(line[range.upperBound...]) --quiet >/dev/null"]
    shell.currentDirectoryURL = directory
    try shell.run()
    shell.waitUntilExit()
    #expect(shell.terminationStatus == 0 && exists("it's"))
  }

  @Test(arguments: [
    ["deepseek-optimize", "eval"], ["deepseek-optimize", "bench", "--rounds", "50"],
    ["deepseek-optimize", "prune", "--mlp", "0.3", "--output", "o"],
    ["deepseek-optimize", "generate", "--prompt", "a", "--max-tokens", "500"],
  ])
  func whatCannotBeContinuedSaysSo(_ words: [String]) throws {
    let run = try start(words + ["--time-limit", "1ms"])
    #expect(run.wait() == 75, "\(run.errorText)")
    #expect(run.errorText.contains("--time-limit") && run.errorText.contains("nothing is kept"), "\(run.errorText)")
    #expect(!run.errorText.contains("To continue") && !exists("o") && !exists(".o.partial"))
  }

  // MARK: Metrics

  /// Every line of a scrape is a comment or a sample, and every sample has a type.
  private func samples(_ scrape: String) throws -> [String: Double] {
    let body = try #require(scrape.range(of: "\r\n\r\n")).upperBound
    var (types, samples) = (Set<String>(), [String: Double]())
    for line in scrape[body...].split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
      let words = line.split(separator: " ")
      if line.hasPrefix("# TYPE ") {
        #expect(words.count == 4 && ["counter", "gauge", "summary"].contains(words[3]))
        #expect(types.insert(String(words[2])).inserted)
      } else if !line.hasPrefix("# HELP ") {
        let space = try #require(line.lastIndex(of: " "))
        let series = String(line[..<space]), name = String(series.prefix { $0 != "{" })
        #expect(types.contains(name) && name.allSatisfy { $0.isLetter || $0 == "_" } && samples[series] == nil)
        let text = String(line[line.index(after: space)...])
        samples[series] = text == "NaN" ? .nan : try #require(Double(text))
      }
    }
    #expect(scrape.hasSuffix("\n"))
    return samples
  }

  @Test func aRunIsWatchedWhileItWorks() throws {
    // So long that it does not end before it was looked at.
    let run = try start(training.map { $0 == "300" ? "100000" : $0 } + ["--metrics-port", "0"])
    try run.waitForError("/metrics\n")
    let words = run.errorText.split(separator: "\n")[0]
    #expect(words.hasPrefix("metrics: http://127.0.0.1:"))
    let port = try #require(words.split(separator: ":").last?.split(separator: "/").first.flatMap { UInt16($0) })
    try run.waitForError("training ")
    var found: [String: Double] = [:]
    for _ in 0..<200 where found["deepseek_optimize_training_step"] == nil {
      let scrape = try Scrape.get("/metrics", port: port)
      #expect(scrape.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"))
      found = try samples(scrape)
      usleep(2000)
    }
    func value(_ name: String) -> Double { found["deepseek_optimize_\(name)"] ?? .nan }
    #expect(value("stage_info{stage=\"Training\"}") == 1 && value("command_info{command=\"train\"}") == 1)
    #expect((0...1).contains(value("stage_progress_ratio")) && value("training_step") >= 1 && value("training_loss") > 0)
    #expect(value("tokens_per_second") > 0 && value("stage_seconds") >= 0 && value("stages_total") >= 1)
    #expect(found["process_resident_memory_bytes"] ?? 0 > 1e6 && value("peak_memory_bytes") > 1e6)
    let began = found["process_start_time_seconds"] ?? 0
    #expect(abs(began - Date().timeIntervalSince1970) < 120)
    #expect(try Scrape.get("/", port: port).hasPrefix("HTTP/1.1 404 "))
    // Whoever comes second is told so before any work.
    let second = try start(["deepseek-quant", "--metrics-port", "\(port)", "--output", "o"])
    #expect(second.wait() == 73 && second.errorText.contains("127.0.0.1:\(port) is in use"), "\(second.errorText)")
    #expect(second.errorText.split(separator: "\n").count == 1 && !exists("o"))
    run.send(SIGINT)
    _ = run.wait()
  }

  @Test func beingWatchedChangesNoByte() throws {
    for (name, flags) in [("a", []), ("b", ["--metrics-port", "0"])] {
      let run = try start(["deepseek-quant", "--bits", "4", "--no-eval", "--output", name] + flags)
      #expect(run.wait() == 0, "\(run.errorText)")
    }
    func weights(_ name: String) throws -> Data { try Data(contentsOf: directory.appendingPathComponent("\(name)/model.safetensors")) }
    #expect(try weights("a") == weights("b"))
    for address in ["70000", "host", "::1:80"] {
      let run = try start(["deepseek-quant", "--metrics-port", address])
      #expect(run.wait() == 64 && run.errorText.contains("--metrics-port"))
    }
  }

  // MARK: Names

  @Test(arguments: [
    (["deepseek-quant", "--algorithm", "gtpq"], 64, "'gptq'"), (["deepseek-optimize", "quant", "--format", "gguff"], 64, "'gguf'"),
    (["deepseek-quant", "--scheme", "W4A61"], 64, "'W4A16'"), (["deepseek-quant", "--algoritm", "gptq"], 64, "'--algorithm'"),
    (["deepseek-optimize", "qaunt"], 64, "'quant'"), (["deepseek-finetune", "merg", "--model", "demo"], 64, "'merge'"),
    (["deepseek-finetune", "--taget", "all"], 64, "'--target'? See deepseek-finetune train --help"),
    (["deepseek-finetune", "--dta", "x"], 64, "'--data'"), (["deepseek-optimize", "help", "qunat"], 64, "'quant'"),
    (["deepseek-finetune", "merge", "--adaptr", "a"], 64, "'--adapter'? See deepseek-finetune merge --help"),
    (["deepseek-quant", "--ignore", "q_prj"], 64, "'q_proj'"),
    (["deepseek-quant", "--override", "mlp.dwn_proj=bits:4"], 64, "'mlp.down_proj'"),
    (["deepseek-quant", "--model", "deom"], 66, "'demo'"),
    (["deepseek-optimize", "eval", "--eval", "my-data.jsonl"], 66, "'my data.jsonl'"),
    (["deepseek-finetune", "--data", "./my dta.jsonl"], 66, "'./my data.jsonl'"),
  ])
  func mistypedNamesAreAnsweredWithTheNearest(_ words: [String], _ status: Int, _ hint: String) throws {
    let run = try start(words)
    #expect(run.wait() == Int32(status))
    #expect(run.errorText.lowercased().contains("did you mean \(hint)".lowercased()), "\(run.errorText)")
    #expect(run.errorText.split(separator: "\n").count == 1)
  }

  @Test(arguments: [
    ["deepseek-quant", "--algorithm", "zzz"], ["deepseek-quant", "--model", "nothing-like-it"], ["deepseek-optimize", "zzz"],
  ])
  func nothingIsSuggestedWhereNothingIsNear(_ words: [String]) throws {
    let run = try start(words)
    #expect(run.wait() != 0 && !run.errorText.lowercased().contains("did you mean"), "\(run.errorText)")
  }

  @Test(arguments: [
    (["run"], "see deepseek-optimize run --help"), (["compare"], "see deepseek-optimize compare --help"),
    (["eval", "--time-limit", "1x"], "write 90s, 30min"), (["eval", "--max-memory", "8"], "write 8GB, 512MiB"),
    (["eval", "--eval-tokens", "1.5"], "20000, 20k"), (["eval", "--metrics-port", "abc"], "9464 or 0.0.0.0:9464"),
    (["prune", "--ratio", "some"], "write 0.01 or 1%"), (["quant", "--override", "nonsense"], "write 're:PATTERN=bits:4"),
    (["quant", "--smooth", "much"], "write a number"), (["quant", "--sequence-length", "1"], "at least 2 tokens"),
    (["quant", "--format", "gguf", "--gguf-type", "affine"], "q8_0"),
  ])
  func mistakesSayWhatToWrite(_ words: [String], _ remedy: String) throws {
    let run = try start(["deepseek-optimize"] + words)
    #expect(run.wait() == 64 && run.errorText.contains(remedy), "\(run.errorText)")
    #expect(run.errorText.split(separator: "\n").count == 1 && !run.errorText.contains(".;"), "\(run.errorText)")
  }

  /// Shells offer `help` behind every command.
  @Test func helpIsAWordOfEveryCommand() throws {
    let run = try start(["deepseek-quant", "help"])
    #expect(run.wait() == 0 && run.outputText.contains("USAGE: deepseek-quant"), "\(run.errorText)")
  }

  // MARK: Units

  @Test func countsAndTimesAreWrittenAsPeopleDo() throws {
    let run = try start([
      "deepseek-optimize", "eval", "--eval-tokens", "1k", "--sequence-length", "0.5Ki", "--time-limit", "1h30m", "--max-memory", "1GiB",
      "--json", "--quiet",
    ])
    #expect(run.wait() == 0, "\(run.errorText)")
    #expect(try CompressionReport(json: JSONValue(parsing: run.outputText)).accuracy?.tokens == 511)
    for wrong in [["--eval-tokens", "some"], ["--time-limit", "soon"], ["--time-limit", "0"], ["--max-memory", "big"]] {
      #expect(try start(["deepseek-optimize", "eval"] + wrong).wait() == 64)
    }
  }

  // MARK: Colour

  @Test func colourIsForTerminalsOnly() throws {
    let words = ["deepseek-optimize", "eval", "--eval-tokens", "1024"]
    func shown(_ environment: [String: String]) throws -> String {
      let terminal = try #require(PseudoTerminal())
      defer { terminal.close() }
      let run = try start(words, environment: environment, terminal: terminal.other)
      let done = Done(run)
      let text = terminal.text { done.isSet }
      #expect(done.status == 0, "\(text)")
      return text
    }
    let coloured = try shown(["TERM": "xterm"])
    #expect(coloured.contains("perplexity") && coloured.contains("\u{1B}["))
    for environment in [["TERM": "xterm", "NO_COLOR": "1"], ["TERM": "dumb"]] {
      let plain = try shown(environment)
      // A bar clears its line, which is no colour; where nothing can be cleared there is none.
      if environment["TERM"] == "dumb" { #expect(!plain.contains("\u{1B}"), "\(plain)") }
      let rest = plain.replacingOccurrences(of: "\u{1B}[K", with: "")
      #expect(plain.contains("perplexity") && !rest.contains("\u{1B}["), "\(plain)")
    }
    let piped = try start(words, environment: ["TERM": "xterm"])
    #expect(piped.wait() == 0 && piped.outputText.contains("perplexity"))
    #expect(!piped.outputText.contains("\u{1B}") && !piped.errorText.contains("\u{1B}") && !piped.errorText.contains("\r"))
  }

  /// Waits for a process beside the reading of its terminal, which would otherwise be full one day.
  private final class Done: @unchecked Sendable {
    private let lock = NSLock()
    private var end: Int32?

    init(_ run: CommandProcess) {
      nonisolated(unsafe) let run = run
      Thread { [self] in
        let status = run.wait()
        lock.withLock { end = status }
      }.start()
    }

    var isSet: Bool { lock.withLock { end != nil } }
    var status: Int32? { lock.withLock { end } }
  }
}
