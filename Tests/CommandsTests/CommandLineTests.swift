import DeepSeekOptimize
import Foundation
import Testing

/// The executables from outside: what they print, how they end, and what they leave behind.
@Suite struct CommandLineTests {
  struct Outcome {
    let status: Int32
    let output: String
    let error: String
  }

  private let place: CommandDirectory
  private var directory: URL { place.url }

  init() throws { place = try CommandDirectory() }

  /// Runs an executable of this build in a directory of the test's own.
  private func run(_ arguments: String..., input: String = "") throws -> Outcome { try runList(arguments, input: input) }

  private func runList(_ arguments: [String], input: String = "") throws -> Outcome {
    let process = Process()
    process.executableURL = CommandProcess.products.appendingPathComponent(arguments[0])
    process.arguments = Array(arguments.dropFirst())
    process.currentDirectoryURL = directory
    let names = ["out", "err", "in"].map { directory.appendingPathComponent("std\($0)-\(UUID().uuidString)") }
    try input.write(to: names[2], atomically: true, encoding: .utf8)
    for name in names.prefix(2) { try Data().write(to: name) }
    process.standardOutput = try FileHandle(forWritingTo: names[0])
    process.standardError = try FileHandle(forWritingTo: names[1])
    process.standardInput = try FileHandle(forReadingFrom: names[2])
    try process.run()
    process.waitUntilExit()
    defer { for name in names { try? FileManager.default.removeItem(at: name) } }
    return Outcome(
      status: process.terminationStatus, output: try String(contentsOf: names[0], encoding: .utf8),
      error: try String(contentsOf: names[1], encoding: .utf8))
  }

  private var contents: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []).sorted() }

  private func copyDemo(to name: String) throws -> URL {
    let target = directory.appendingPathComponent(name)
    try FileManager.default.copyItem(at: DemoModel.directory, to: target)
    return target
  }

  /// One line that starts with "error:", the status, and nothing left behind.
  private func expectRefusal(_ outcome: Outcome, _ status: Int32, leaving: [String] = [], _ words: String...) {
    #expect(outcome.status == status, "\(outcome.error)")
    let lines = outcome.error.split(separator: "\n")
    #expect(lines.count == 1 && lines[0].hasPrefix("error: "), "\(outcome.error)")
    for word in words { #expect(outcome.error.contains(word), "\(outcome.error)") }
    #expect(outcome.output.isEmpty)
    #expect(contents == leaving)
  }

  @Test func theDemoRunPrintsATableAndBothPaths() throws {
    let outcome = try run("deepseek-quant", "--bits", "8", "--eval-tokens", "2048")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("perplexity") && outcome.output.contains("demo-int8/report.html"))
    #expect(contents == ["demo-int8"])
  }

  @Test func jsonIsAloneOnStandardOutput() throws {
    let outcome = try run("deepseek-optimize", "quant", "--bits", "4", "--eval-tokens", "1024", "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try CompressionReport(json: JSONValue(parsing: outcome.output))
    #expect(report.accuracy?.tokens == 2 * 511)
    #expect(report.layers?.count == 28)
  }

  @Test func benchMeasuresEveryModelAtEveryNumberOfThreads() throws {
    let flags = ["--prompt-tokens", "16", "--generate-tokens", "2", "--rounds", "1"]
    let outcome = try runList(["deepseek-optimize", "bench", "--model", "demo", "--threads", "1,2", "--json"] + flags)
    #expect(outcome.status == 0, "\(outcome.error)")
    let runs = try #require(JSONValue(parsing: outcome.output)["runs"]?.array)
    #expect(runs.compactMap { $0["threads"]?.integer } == [1, 2])
    for run in runs {
      #expect((run["prefillTokensPerSecond"]?.double ?? 0) > 0 && (run["decodeTokensPerSecond"]?.double ?? 0) > 0)
      #expect(run["compute"]?.string == "16bit")
    }
    #expect(try runList(["deepseek-optimize", "bench"] + flags).output.contains("tokens per second"))
    for wrong in [["--threads", "0"], ["--threads", "1,"], ["--rounds", "0"], ["--generate-tokens", "100000"], ["--compute", "int4"]] {
      expectRefusal(try runList(["deepseek-optimize", "bench"] + wrong), 64)
    }
  }

  /// What was not computed in float32 says so.
  @Test func evaluationSaysWhatItComputedIn() throws {
    let outcome = try run("deepseek-optimize", "eval", "--eval-tokens", "1024", "--compute", "16bit", "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    let fast = try CompressionReport(json: JSONValue(parsing: outcome.output)).accuracy
    #expect(fast?.compute == "16bit")
    let exact = try CompressionReport(json: JSONValue(parsing: run("deepseek-optimize", "eval", "--eval-tokens", "1024", "--json").output))
      .accuracy
    #expect(exact?.compute == nil)
    let ratio = try #require(fast?.compressed?.perplexity) / (try #require(exact?.compressed?.perplexity))
    #expect(abs(ratio - 1) < 0.01 && ratio != 1)
    for saving in ["--save-logits", "--save-embeddings"] {
      expectRefusal(try run("deepseek-optimize", "eval", saving, "o", "--compute", "16bit"), 64, "--compute")
    }
  }

  /// Commands that write models of other modules or sizes measure as `eval` does.
  @Test(arguments: [
    ["prune", "--mlp", "0.3"], ["replace", "--attention", "sliding-window", "--window", "32"],
    [
      "distill", "--teacher", "demo", "--student", "demo", "--data", "demo", "--window-length", "64", "--logit-steps", "1", "--no-features",
      "--no-policy", "--no-robustness",
    ],
    ["quant", "--bits", "4"],
  ])
  func everyReportSaysWhatItComputedIn(_ command: [String]) throws {
    let flags = ["--eval-tokens", "1024", "--json", "--quiet", "--compute", "16bit"]
    func accuracy(_ arguments: [String]) throws -> CompressionReport.Accuracy {
      let outcome = try runList(["deepseek-optimize"] + arguments)
      #expect(outcome.status == 0, "\(outcome.error)")
      return try #require(CompressionReport(json: JSONValue(parsing: outcome.output)).accuracy)
    }
    let reported = try accuracy(command + flags + ["--output", "o"])
    let measured = try accuracy(["eval", "--model", "o", "--reference", "demo"] + flags)
    #expect(reported.compute == "16bit" && reported == measured)
  }

  @Test(arguments: [
    ["--bits", "7"], ["--bits", "eight"], ["--bit", "8"], ["--method", "both"], ["--group-size", "-1"], ["--group-size", "100"],
    ["--threads", "0"],
    ["--override", "nonsense"], ["--override", "q_proj=bits:9"], ["--override", "re:.*nothing=bits:4"], ["--ignore", "re:("],
    ["--ignore", "absent"],
    ["--method", "asymmetric", "--activations", "int8"], ["--eval-tokens", "1"], ["--no-eval", "--max-kl", "1"], ["--max-memory", "lots"],
    ["--sequence-length", "513"], ["--output", "", "--overwrite"], ["--output", ".", "--overwrite"], ["--batch-size", "0"],
    ["--max-memory", "33MB"], ["--activations", "int8", "--format", "safetensors"], ["--format", "onnx"], ["stray"],
    ["--kv-cache", "int4"], ["--kv-cache", ""], ["--kv-cache"], ["--no-eval", "--kv-cache", "int8"], ["--no-eval", "--compute", "16bit"],
    ["--algorithm", "gptq"], ["--algorithm", "autoround"], ["--smooth", "0.5"], ["--smooth", "2", "--calibration", "demo"],
    ["--calibration-samples", "4"], ["--calibration-samples", "0", "--calibration", "demo"], ["--calibration-sampling", "tiers"],
    ["--activation-outliers", "keep"], ["--activations", "int8-static"], ["--rotate", "fourier"],
    ["--mixed-precision", "auto"], ["--mixed-precision", "auto", "--calibration", "demo"], ["--target-bpw", "4"],
    ["--calibration", "demo", "--sequence-length", "513"], ["--print-recipe", "--dry-run"],
    ["--ranks", "4"], ["--ranks", "0", "--dry-run"], ["--ranks", "2", "--nodes", "3", "--dry-run"], ["--nodes", "2", "--dry-run"],
    ["--link-rate", "10GB", "--dry-run"], ["--ranks", "2", "--link-rate", "10", "--dry-run"],
    ["--format", "gptq", "--bits", "5"], ["--format", "awq", "--bits", "8"], ["--format", "awq", "--group-size", "16"],
    ["--format", "awq", "--group-size", "32", "--override", "re:.*q_proj=group-size:64"], ["--format", "gptq", "--activations", "int8"],
    ["--format", "gptq", "--type", "fp8"], ["--type", "fp8", "--bits", "8"], ["--type", "fp8", "--activations", "int8"],
    ["--activations", "float8"], ["--type", "fp9"], ["--scheme", "W5A16"], ["--scheme", "W4A16", "--bits", "4"],
    ["--scheme", "NVFP4A16", "--group-size", "32"], ["--override", "q_proj=type:fp9"],
    ["--type", "fp8", "--override", "re:.*down_proj=bits:4,group-size:64"], ["--type", "nvfp4", "--method", "asymmetric"],
    ["--mixed-precision", "auto", "--target-bpw", "5", "--calibration", "demo", "--type", "fp8"],
    ["--mixed-precision", "auto", "--target-bpw", "5", "--calibration", "demo", "--scheme", "W4A16"],
  ])
  func wrongUsageEndsWith64(_ arguments: [String]) throws {
    let process = ["deepseek-quant"] + arguments
    let outcome = try runList(process)
    expectRefusal(outcome, 64)
  }

  @Test(arguments: [
    [], ["--data"], ["--data", "d.jsonl", "--rank", "0"], ["--data", "d.jsonl", "--target", "absent"],
    ["--data", "d.jsonl", "--bits", "7"],
    ["--data", "d.jsonl", "--group-size", "64"], ["--data", "d.jsonl", "--method", "full", "--rank", "8"],
    ["--data", "d.jsonl", "--method", "full", "--format", "mlx"], ["--data", "d.jsonl", "--steps", "3", "--epochs", "2"],
    ["--data", "d.jsonl", "--schedule", "linear", "--cycles", "2"], ["--data", "d.jsonl", "--held-out", "0", "--patience", "2"],
    ["--data", "d.jsonl", "--held-out", "0.1", "--eval", "d.jsonl"], ["--data", "d.jsonl", "--no-shuffle", "--curriculum"],
    ["--data", "d.jsonl", "--sequence-length", "100000"], ["--data", "d.jsonl", "--learning-rate", "-1"],
    ["--data", "d.jsonl", "--recipe", "none"], ["--data", "d.jsonl", "--nf4", "--bits", "4"], ["--data", "d.jsonl", "--start", "loftq"],
    ["--data", "d.jsonl", "--recipe", "qlora", "--method", "full"], ["merge", "--model", "demo"], ["unmerge"], ["merge", "--bits", "4"],
  ])
  func wrongFineTuningEndsWith64(_ arguments: [String]) throws {
    try (0..<40).map { "{\"text\": \"line \($0) of a few\"}\n" }.joined()
      .write(to: directory.appendingPathComponent("d.jsonl"), atomically: true, encoding: .utf8)
    expectRefusal(try runList(["deepseek-finetune"] + arguments), 64, leaving: ["d.jsonl"])
  }

  /// Training is what the command does without a subcommand; merging and unmerging give the model back.
  @Test func adaptersAreTrainedMergedAndTakenOut() throws {
    let demo = try copyDemo(to: "model")
    try (0..<40).map { "{\"text\": \"line \($0) of a text\"}\n" }.joined().write(
      to: directory.appendingPathComponent("data.jsonl"), atomically: true, encoding: .utf8)
    func succeed(_ arguments: String...) throws -> Outcome {
      let outcome = try runList(arguments)
      #expect(outcome.status == 0, "\(outcome.error)")
      return outcome
    }
    let common = ["--data", "data.jsonl", "--steps", "2", "--sequence-length", "32", "--batch-size", "2", "--quiet"]
    for (name, flags) in [
      ("a", ["--recipe", "lora-all"]), ("b", ["--nf4", "--start", "loftq"]), ("c", ["--start", "pissa", "--precision", "float16"]),
    ] {
      let outcome = try runList(["deepseek-finetune", "--model", "model", "--output", name] + flags + common)
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    #expect(FileManager.default.fileExists(atPath: directory.appendingPathComponent("b/base/model.safetensors").path))
    _ = try succeed("deepseek-finetune", "merge", "--model", "model", "--adapter", "a", "--output", "merged", "--no-eval", "--quiet")
    _ = try succeed("deepseek-optimize", "finetune", "unmerge", "--model", "merged", "--output", "back", "--no-eval", "--quiet")
    let (before, after) = (demo.appendingPathComponent("model.safetensors"), directory.appendingPathComponent("back/model.safetensors"))
    #expect(try Data(contentsOf: before) == Data(contentsOf: after))
    // What the output's recipe says works from anywhere.
    let recipe = try String(contentsOf: directory.appendingPathComponent("merged/recipe.yaml"), encoding: .utf8)
    #expect(recipe.contains(directory.appendingPathComponent("a").lastPathComponent) && recipe.contains("adapter: \"/"))
    #expect(try succeed("deepseek-finetune", "--list-recipes").output.contains("lora-all"))
    #expect(try JSONValue(parsing: succeed("deepseek-finetune", "--list-recipes", "--json").output).array?.isEmpty == false)
    let full = try succeed(
      "deepseek-finetune", "--recipe", "lora", "--method", "full", "--data", "data.jsonl", "--steps", "1", "--sequence-length", "32",
      "--output", "f",
      "--json", "--quiet")
    #expect(full.output.contains("2e-05") || full.output.contains("0.00002"), "\(full.output.prefix(2000))")
  }

  @Test func modelsArePruned() throws {
    let dry = try run("deepseek-optimize", "prune", "--ratio", "30%", "--dry-run")
    #expect(dry.status == 0 && dry.output.contains("parameters: ") && contents.isEmpty, "\(dry.error)")
    let outcome = try run("deepseek-optimize", "prune", "--ratio", "0.3", "--output", "small", "--eval-tokens", "1024", "--json", "--quiet")
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try CompressionReport(json: JSONValue(parsing: outcome.output))
    #expect(report.accuracy != nil && contents == ["small"])
    let missed = try run(
      "deepseek-optimize", "prune", "--ratio", "0.3", "--output", "small", "--overwrite", "--eval-tokens", "1024", "--max-kl", "0.0001",
      "--json",
      "--quiet")
    #expect(missed.status == 2 && missed.error.contains("a gate was missed"), "\(missed.error)")
    for arguments in [
      ["--ratio", "1.5"], ["--ratio", "0.3", "--mlp", "0.1", "--heads", "0.5"], [], ["--mlp", "0.3", "--multiple", "0"],
      ["--ratio", "0.3", "--resume"],
      ["--importance", "l3", "--ratio", "0.1"], ["--importance", "wanda", "--ratio", "0.3"],
    ] {
      expectRefusal(try runList(["deepseek-optimize", "prune"] + arguments), 64, leaving: ["small"])
    }
  }

  @Test func modulesAreReplaced() throws {
    let dry = try run("deepseek-optimize", "replace", "--attention", "top-tokens", "--tokens", "64", "--dry-run")
    #expect(dry.status == 0 && dry.output.contains("top 64 tokens in blocks of 32") && dry.output.contains("note: "), "\(dry.error)")
    #expect(contents.isEmpty)
    let outcome = try run(
      "deepseek-optimize", "replace", "--attention", "sliding-window", "--window", "32", "--layers", "0-2", "--output", "small",
      "--eval-tokens", "1024", "--json", "--quiet")
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try CompressionReport(json: JSONValue(parsing: outcome.output))
    #expect(report.replacement?.modules.first?.after == "sliding window 32 in layers 0-2; global in 3" && contents == ["small"])
    let listing = try run("deepseek-optimize", "inspect", "small", "--graph")
    #expect(listing.output.contains("window 32"))
    for arguments in [
      [], ["--attention", "sliding-window"], ["--attention", "sliding-window", "--window", "0"], ["--attention", "diagonal"],
      ["--attention", "sliding-window", "--window", "8", "--layers", "4"], ["--window", "8"], ["--activation", "mish"],
      ["--activation", "silu"], ["--merge-experts", "4"], ["--merge-experts", "0"], ["--normalization", "dynamic-tanh"],
      ["--attention", "top-tokens", "--tokens", "40"], ["--activation", "relu", "--block", "8"], ["--activation", "relu", "--resume"],
    ] {
      expectRefusal(try runList(["deepseek-optimize", "replace"] + arguments), 64, leaving: ["small"])
    }
    for line in ["{activation: mish}", "{windows: 3}", "{attention: sliding-window, window: many}"] {
      try "passes:\n- replace: \(line)\n".write(to: directory.appendingPathComponent("r.yaml"), atomically: true, encoding: .utf8)
      expectRefusal(try run("deepseek-optimize", "run", "r.yaml"), 78, leaving: ["r.yaml", "small"])
    }
  }

  @Test func modelsAreDistilled() throws {
    let pruned = try run("deepseek-optimize", "prune", "--mlp", "0.3", "--output", "small", "--no-eval", "--quiet")
    #expect(pruned.status == 0, "\(pruned.error)")
    let flags = ["--teacher", "demo", "--student", "small", "--data", "demo", "--window-length", "64", "--batch-windows", "4"]
    let outcome = try runList(
      ["deepseek-optimize", "distill"] + flags + ["--steps", "12", "--output", "taught", "--eval-tokens", "1024", "--json", "--quiet"])
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try CompressionReport(json: JSONValue(parsing: outcome.output))
    #expect(report.distillation?.stages.map(\.name) == ["features", "logits", "policy", "robustness"] && contents == ["small", "taught"])
    for (arguments, status) in [
      (["--steps", "0"], 64), (["--logit-steps", "0", "--no-features", "--no-policy", "--no-robustness"], 64),
      (["--window-length", "100000"], 64), (["--layer-map", "1,x"], 64), (["--layer-map", "0,1"], 64), (["--text-weight", "2"], 64),
      (["--data", "absent.txt"], 66), (["--teacher", "absent"], 66),
    ] as [([String], Int32)] {
      expectRefusal(try runList(["deepseek-optimize", "distill"] + flags + arguments), status, leaving: ["small", "taught"])
    }
  }

  @Test func wrongTrainingDataEndsWith65And66() throws {
    try "{\"text\": \"a\"}\n{\"txt\": 1}\n".write(to: directory.appendingPathComponent("bad.jsonl"), atomically: true, encoding: .utf8)
    expectRefusal(try run("deepseek-finetune", "--data", "bad.jsonl"), 65, leaving: ["bad.jsonl"], "line 2")
    expectRefusal(try run("deepseek-finetune", "--data", "absent.jsonl"), 66, leaving: ["bad.jsonl"], "absent.jsonl")
  }

  @Test(arguments: [
    ["--mixed-precision", "auto", "--bits", "4", "--target-bpw", "4"],
    ["--mixed-precision", "auto", "--target-bpw", "1", "--calibration", "demo"],
  ])
  func budgetsThatCannotBeKeptEndWith64(_ arguments: [String]) throws { expectRefusal(try runList(["deepseek-quant"] + arguments), 64) }

  /// There `--max-kl` is what bits are chosen for, on text that was held out: no evaluation is needed.
  @Test func aBudgetOfDivergenceNeedsNoEvaluation() throws {
    let outcome = try run(
      "deepseek-quant", "--mixed-precision", "auto", "--max-kl", "0.05", "--calibration", "demo", "--sequence-length", "64",
      "--calibration-samples", "24", "--no-eval", "--output", "out", "--quiet")
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try StoredReport.read(directory.appendingPathComponent("out").path)
    #expect(report.gates.isEmpty && (report.allocation?.measuredKL ?? 1) <= 0.05 && report.accuracy == nil)
  }

  @Test func calibrationTextsAreChecked() throws {
    expectRefusal(try run("deepseek-quant", "--algorithm", "gptq", "--calibration", "absent.txt"), 66, "absent.txt")
    try "Too short.".write(to: directory.appendingPathComponent("t.txt"), atomically: true, encoding: .utf8)
    expectRefusal(
      try run("deepseek-quant", "--bits", "4", "--algorithm", "gptq", "--calibration", "t.txt", "--quiet"), 65, leaving: ["t.txt"], "t.txt")
    let recipe = try run("deepseek-quant", "--algorithm", "gptq", "--bits", "3", "--calibration", "t.txt", "--print-recipe")
    try recipe.output.write(to: directory.appendingPathComponent("r.yaml"), atomically: true, encoding: .utf8)
    expectRefusal(
      try run("deepseek-quant", "--recipe", "r.yaml", "--calibration-samples", "4", "--calibration", "demo"), 64,
      leaving: ["r.yaml", "t.txt"])
    // The same recipe on a text that will do.
    let outcome = try run("deepseek-optimize", "run", "r.yaml", "--calibration", "demo", "--no-eval", "--quiet")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(contents == ["demo-r", "r.yaml", "t.txt"])
  }

  /// Without an algorithm the candidates are announced, measured, and reported, and the best is what runs.
  @Test func algorithmsAreTriedWhenNoneIsNamed() throws {
    let dry = try run("deepseek-quant", "--bits", "3", "--calibration", "demo", "--dry-run")
    #expect(dry.status == 0 && dry.error.contains("imatrix, gptq, yaqa") && contents.isEmpty, "\(dry.error)")
    let outcome = try run(
      "deepseek-quant", "--bits", "3", "--calibration", "demo", "--sequence-length", "64", "--calibration-samples", "24", "--eval-tokens",
      "2048", "--output", "out")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error.contains("trying imatrix, gptq, yaqa on 18 windows"), "\(outcome.error)")
    let report = try StoredReport.read(directory.appendingPathComponent("out").path)
    let trials = try #require(report.calibration?.trials)
    #expect(trials.map(\.algorithm) == ["imatrix", "gptq", "yaqa"])
    let best = try #require(trials.min { ($0.klDivergence ?? .infinity) < ($1.klDivergence ?? .infinity) })
    #expect(outcome.error.contains("quantizing by \(best.algorithm)"))
    #expect(report.recipe.first?["pass"]?.string == (best.algorithm == "imatrix" ? "imatrix" : "gptq"))
  }

  @Test func mlxIsAffineInGroupsOf64() throws {
    let made = try run("deepseek-quant", "--bits", "4", "--format", "mlx", "--method", "asymmetric", "--no-eval", "--output", "mlx")
    #expect(made.status == 0, "\(made.error)")
    let configuration = try JSONValue(
      parsing: String(contentsOf: directory.appendingPathComponent("mlx/config.json"), encoding: .utf8))
    #expect(configuration["quantization"]?["group_size"] == 64 && configuration["quantization"]?["bits"] == 4)
    let recipe = try String(contentsOf: directory.appendingPathComponent("mlx/recipe.yaml"), encoding: .utf8)
    #expect(recipe.contains("type: \"affine\"") && recipe.contains("format: mlx"))
    let seen = try run("deepseek-optimize", "inspect", "--model", "mlx")
    #expect(seen.output.contains("W4A16 g64 affine"))
    let converted = try run("deepseek-optimize", "convert", "--model", "mlx", "--format", "safetensors", "--output", "dense")
    #expect(converted.status == 0, "\(converted.error)")
    for (flags, remedy) in [
      (["--bits", "8", "--group-size", "0"], "--group-size 64"), (["--activations", "int8"], "--activations none"),
      (["--bits", "4", "--method", "asymmetric", "--algorithm", "hqq"], "--algorithm gptq, imatrix"),
    ] {
      let refused = try runList(["deepseek-quant", "--format", "mlx", "--output", "refused"] + flags)
      #expect(refused.status == 64 && refused.error.contains(remedy), "\(flags): \(refused.error)")
    }
    #expect(!contents.contains("refused"))
  }

  @Test func missingInputsEndWith66() throws {
    expectRefusal(try run("deepseek-quant", "--model", "absent"), 66, "absent")
    expectRefusal(try run("deepseek-quant", "--eval", "absent.txt"), 66, "absent.txt")
    expectRefusal(try run("deepseek-quant", "--recipe", "absent.yaml"), 66, "absent.yaml")
    expectRefusal(try run("deepseek-optimize", "inspect", "absent"), 66, "absent")
  }

  @Test func aWrongRecipeEndsWith78() throws {
    try "passes:\n- round-to-nearest: {bit: 4}\n".write(to: directory.appendingPathComponent("r.yaml"), atomically: true, encoding: .utf8)
    expectRefusal(try run("deepseek-quant", "--recipe", "r.yaml"), 78, leaving: ["r.yaml"], "bit")
  }

  @Test func existingAndImpossibleOutputsEndWith73() throws {
    try FileManager.default.createDirectory(at: directory.appendingPathComponent("out"), withIntermediateDirectories: true)
    expectRefusal(try run("deepseek-quant", "--output", "out"), 73, leaving: ["out"], "--overwrite")
    expectRefusal(try run("deepseek-quant", "--output", "no/where"), 73, leaving: ["out"], "no")
    expectRefusal(try run("deepseek-quant", "--output", "/proc/out"), 73, leaving: ["out"], "/proc")
  }

  @Test func damagedModelsEndWith65AndLeaveNothing() throws {
    let model = try copyDemo(to: "m")
    let weights = model.appendingPathComponent("model.safetensors")
    let good = try Data(contentsOf: weights)
    let length = Int(good.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    let header = String(decoding: good[8..<8 + length], as: UTF8.self)

    func write(header: String) throws {
      let bytes = Array(header.utf8)
      try (withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { Data($0) } + bytes + good[(8 + length)...]).write(to: weights)
    }

    try good.prefix(good.count - 1000).write(to: weights)
    expectRefusal(try run("deepseek-quant", "--model", "m"), 65, leaving: ["m"], "model.safetensors")
    try good.prefix(5).write(to: weights)
    expectRefusal(try run("deepseek-quant", "--model", "m"), 65, leaving: ["m"])
    try (Data(repeating: 0xFF, count: 8) + good.dropFirst(8)).write(to: weights)
    expectRefusal(try run("deepseek-quant", "--model", "m"), 65, leaving: ["m"])
    // Two tensors over the same bytes.
    try write(header: header.replacingOccurrences(of: "[262144,524288]", with: "[0,262144]"))
    expectRefusal(try run("deepseek-quant", "--model", "m"), 65, leaving: ["m"])
    // A tensor under another name is one that is missing.
    try write(header: header.replacingOccurrences(of: "layers.2.mlp.up_proj", with: "layers.2.mlp.um_proj"))
    expectRefusal(try run("deepseek-quant", "--model", "m"), 65, leaving: ["m"], "model.layers.2.mlp.up_proj.weight")
    try good.write(to: weights)
    let configuration = model.appendingPathComponent("config.json")
    let text = try String(contentsOf: configuration, encoding: .utf8)
    try text.replacingOccurrences(of: "\"model_type\": \"llama\"", with: "\"model_type\": \"mamba\"").write(
      to: configuration, atomically: true, encoding: .utf8)
    expectRefusal(try run("deepseek-quant", "--model", "m"), 65, leaving: ["m"], "mamba", "llama")
    try text.dropLast(20).description.write(to: configuration, atomically: true, encoding: .utf8)
    expectRefusal(try run("deepseek-quant", "--model", "m"), 65, leaving: ["m"], "config.json")
  }

  @Test func aMissedGateEndsWith2AndKeepsTheCheckpoint() throws {
    let outcome = try run("deepseek-quant", "--bits", "2", "--eval-tokens", "1024", "--max-kl", "0.0001", "--output", "o", "--quiet")
    #expect(outcome.status == 2)
    #expect(outcome.error.contains("gate") && outcome.error.split(separator: "\n").count == 1)
    #expect(contents == ["o"])
    #expect(try StoredReport.read(directory.appendingPathComponent("o").path).gates.map(\.passed) == [false])
  }

  @Test func aQuantizedCacheIsMeasuredAndUsed() throws {
    for arguments in [["eval", "--kv-cache", "fp8"], ["generate", "--prompt=a", "--kv-cache", "int4"]] {
      expectRefusal(try runList(["deepseek-optimize"] + arguments), 64, "--kv-cache", "int8")
    }
    let evaluation = try run("deepseek-optimize", "eval", "--kv-cache", "int8", "--eval-tokens", "1024", "--json", "--quiet")
    let report = try CompressionReport(json: JSONValue(parsing: evaluation.output))
    #expect(report.keyValueCache?.type == "int8" && report.keyValueCache?.bytesPerToken == 576)
    // The float figures do not notice, and threads change no bit.
    for (threads, cache) in [("1", "int8"), ("3", "int8"), ("5", "none")] {
      let other = try run(
        "deepseek-optimize", "eval", "--kv-cache", cache, "--eval-tokens", "1024", "--json", "--quiet", "--threads", threads)
      let again = try CompressionReport(json: JSONValue(parsing: other.output))
      #expect(again.accuracy == report.accuracy && again.keyValueCache == (cache == "none" ? nil : report.keyValueCache))
    }
    let table = try run("deepseek-optimize", "eval", "--kv-cache", "int8", "--eval-tokens", "1024", "--report", "r.html", "--quiet")
    #expect(table.output.contains("Key/value cache") && contents == ["r.html"])
    let without = try run("deepseek-optimize", "eval", "--kv-cache", "none", "--eval-tokens", "1024", "--json", "--quiet")
    #expect(try JSONValue(parsing: without.output)["keyValueCache"] == nil)
    let generated = try run("deepseek-optimize", "generate", "--prompt", "The lighthouse", "--max-tokens", "8", "--kv-cache", "int8")
    #expect(generated.status == 0 && generated.output.hasPrefix("The lighthouse") && generated.output.count > 16)
    #expect(generated.error.contains("576 bytes a token"))
  }

  @Test func dryRunsAndPrintedRecipesWriteNothing() throws {
    let document = try run("deepseek-quant", "--bits", "4", "--dry-run", "--json")
    #expect(try JSONValue(parsing: document.output)["tensors"]?.array?.count == 39)
    let plan = try run("deepseek-quant", "--bits", "4", "--dry-run")
    #expect(plan.status == 0 && plan.output.contains("W4A16 g128") && plan.output.contains("nothing was written"))
    let recipe = try run("deepseek-quant", "--bits", "4", "--print-recipe")
    #expect(try Recipe(yaml: recipe.output).passes.first as? RoundToNearest == RoundToNearest(bits: 4, groupSize: 128))
    #expect(contents.isEmpty)
  }

  /// Several processes are planned here, and started elsewhere.
  @Test func ranksArePlannedAndNotStarted() throws {
    let started = try run("deepseek-quant", "--bits", "4", "--ranks", "4")
    expectRefusal(started, 64, "--dry-run", "mpirun -n 4 deepseek-quant")
    let flags = ["--bits", "4", "--algorithm", "gptq", "--calibration", "demo", "--dry-run", "--ranks", "4", "--nodes", "2"]
    let plan = try runList(["deepseek-quant"] + flags)
    #expect(plan.status == 0, "\(plan.error)")
    #expect(plan.output.contains("4 ranks on 2 machines") && plan.output.contains("quantized weights: "), "\(plan.output)")
    let document = try runList(["deepseek-quant", "--json", "--link-rate", "2.5GB"] + flags)
    let ranks = try #require(try JSONValue(parsing: document.output)["ranks"])
    #expect(ranks["ranks"]?.array?.count == 4 && ranks["nodes"] == 2 && ranks["linkBytesPerSecond"]?.double == 2.5e9)
    let kinds = ranks["exchanges"]?.array?.compactMap { $0["kind"]?.string }
    #expect(kinds == ["layer-inputs", "weights", "scores"])
    let divided = try JSONValue(parsing: runList(["deepseek-quant", "--json", "--enable-tensor-parallel"] + flags).output)
    let parallel = divided["ranks"]?["exchanges"]?.array?.compactMap { $0["kind"]?.string }
    #expect(parallel == ["sums", "weights", "layer-outputs", "scores"])
    let alone = try run("deepseek-quant", "--bits", "4", "--dry-run", "--json")
    #expect(try JSONValue(parsing: alone.output)["ranks"] == nil)
    #expect(contents.isEmpty)
  }

  @Test func recipesHaveNames() throws {
    let list = try run("deepseek-optimize", "run", "--list")
    #expect(list.status == 0 && list.output.contains("w4-gptq") && list.output.contains("mean KL"), "\(list.error)")
    let rows = try #require(try JSONValue(parsing: run("deepseek-optimize", "run", "--list", "--json").output).array)
    #expect(rows.count >= 12 && rows.allSatisfy { $0["measured"]?["bitsPerWeight"]?.double != nil })
    // What is printed is a recipe, and the same one.
    let printed = try run("deepseek-optimize", "run", "w8a8-smoothquant", "--print-recipe", "--calibration", "t.txt")
    let file = directory.appendingPathComponent("r.yaml")
    try printed.output.write(to: file, atomically: true, encoding: .utf8)
    #expect(try run("deepseek-optimize", "run", "r.yaml", "--print-recipe").output == printed.output)
    #expect(try Recipe(yaml: printed.output).calibration?.text == "t.txt")
    let flags = ["--eval-tokens", "512", "--sequence-length", "64", "--quiet", "--output", "out"]
    let model = try copyDemo(to: "model")
    let outcome = try runList(["deepseek-optimize", "run", "w8a8", "--model", model.path] + flags)
    #expect(outcome.status == 0 && outcome.output.contains("checkpoint"), "\(outcome.error)")
    let left = ["model", "out", "r.yaml"]
    expectRefusal(try run("deepseek-optimize", "run", "w4-gtpq"), 64, leaving: left, "did you mean 'w4-gptq'")
    try "passes:\n- gptq\n- smooth\n".write(to: file, atomically: true, encoding: .utf8)
    expectRefusal(
      try run("deepseek-optimize", "run", "r.yaml", "--calibration", "demo"), 78, leaving: left, "the order that works is smooth, gptq")
    for arguments in [["--list", "w8"], [], ["--list", "--print-recipe"]] {
      #expect(try runList(["deepseek-optimize", "run"] + arguments).status == 64)
    }
  }

  @Test func aDryRunIsContentWithHeaders() throws {
    let model = try copyDemo(to: "model")
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: model.path).first { $0.hasSuffix(".safetensors") })
    let file = model.appendingPathComponent(name)
    let data = try Data(contentsOf: file)
    let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    try data.prefix(8 + length).write(to: file)
    let plan = try run("deepseek-quant", "--model", "model", "--bits", "4", "--dry-run")
    #expect(plan.status == 0 && plan.output.contains("headers only"), "\(plan.error)")
    for word in ["peak memory", "bytes to move", "time  ", "bits per weight", "head: kept by default", "not a linear layer"] {
      #expect(plan.output.contains(word), "\(word)")
    }
    let document = try JSONValue(parsing: run("deepseek-quant", "--model", "model", "--bits", "4", "--dry-run", "--json").output)
    #expect(document["canRun"]?.bool == false && document["tensors"]?.array?.count == 39)
    #expect(document["tensors"]?.array?.allSatisfy { $0["reason"]?.string != nil && $0["source"]?.string != nil } == true)
    #expect(document["memory"]?["peakBytes"]?.integer ?? 0 > 0 && document["time"]?["assumptions"]?.array?.isEmpty == false)
    for arguments in [["quant", "--bits", "4"], ["eval"], ["inspect"], ["convert", "--format", "safetensors", "--output", "out"]] {
      expectRefusal(try runList(["deepseek-optimize"] + arguments + ["--model", "model"]), 65, leaving: ["model"], "truncated")
    }
  }

  @Test func aFullStandardOutputIsAnError() throws {
    guard let full = FileHandle(forWritingAtPath: "/dev/full") else { return }
    let process = Process()
    process.executableURL = CommandProcess.products.appendingPathComponent("deepseek-optimize")
    process.arguments = ["inspect"]
    process.standardOutput = full
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 74)
  }

  @Test func helpAndVersionGoToStandardOutput() throws {
    for arguments in [["deepseek-quant", "--help"], ["deepseek-quant", "--version"], ["deepseek-optimize", "--help"]] {
      let outcome = try runList(arguments)
      #expect(outcome.status == 0 && !outcome.output.isEmpty && outcome.error.isEmpty)
    }
  }

  @Test func theOtherCommandsDoTheirWork() throws {
    #expect(try run("deepseek-quant", "--bits", "8", "--eval-tokens", "1024", "--output", "a", "--quiet").status == 0)
    #expect(try run("deepseek-quant", "--bits", "3", "--eval-tokens", "1024", "--output", "b", "--quiet").status == 0)
    let inspection = try run("deepseek-optimize", "inspect", "a", "--json")
    #expect(try JSONValue(parsing: inspection.output)["parameters"]?.integer == 1_049_728)
    #expect(try run("deepseek-optimize", "inspect", "a", "--graph").output.contains("W8A16"))
    let comparison = try run("deepseek-optimize", "compare", "a", "b", "--output", "c.html")
    #expect(comparison.status == 0, "\(comparison.error)")
    #expect(contents == ["a", "b", "c.html"])
    #expect(comparison.output.contains("against 1") && comparison.output.split(separator: "\n").allSatisfy { $0.count <= 100 })
    #expect(try run("deepseek-optimize", "compare", "a", "b", "--markdown").output.hasPrefix("| report | size |"))
    let csv = try run("deepseek-optimize", "compare", "a", "b", "--csv")
    #expect(csv.output.hasPrefix("report,tool.name,") && csv.output.components(separatedBy: "\r\n").count == 4)
    // One report is exported as it is; the ending says how.
    #expect(try run("deepseek-optimize", "compare", "a", "--layers", "--output", "c.csv").status == 0)
    let layers = try String(contentsOf: directory.appendingPathComponent("c.csv"), encoding: .utf8)
    #expect(layers.hasPrefix("report,name,block,") && layers.contains("a,model.layers.0.self_attn.q_proj,0,q_proj,8,0,"))
    #expect(try run("deepseek-optimize", "compare", "a/report.json", "--output", "c.html").output.contains("bits per weight"))
    for flags in [["--output", "c.txt"], ["--csv", "--json"], ["--layers"], ["--layers", "--markdown"]] {
      #expect(try runList(["deepseek-optimize", "compare", "a"] + flags).status == 64, "\(flags)")
    }
    let evaluation = try run(
      "deepseek-optimize", "eval", "--model", "a", "--reference", "demo", "--eval-tokens", "1024", "--json", "--quiet")
    let report = try CompressionReport(json: JSONValue(parsing: evaluation.output))
    #expect(report.accuracy?.klDivergence != nil)
    let generated = try run("deepseek-optimize", "generate", "--model", "a", "--prompt", "The lighthouse", "--max-tokens", "8")
    #expect(generated.status == 0 && generated.output.hasPrefix("The lighthouse") && generated.output.count > 16)
    let ids = try run("deepseek-optimize", "tokenize", input: "The lighthouse\nand the sea\n")
    #expect(ids.output.split(separator: "\n").count == 2)
    let array = try run("deepseek-optimize", "tokenize", "--json", "--whole", input: "The lighthouse\nand the sea\n")
    #expect(try JSONValue(parsing: array.output).array?.count == 1)
  }

  /// A GGUF file is a model like any other, and what its types do not allow is refused before anything is written.
  @Test func ggufFilesAreWrittenAndRead() throws {
    #expect(try run("deepseek-quant", "--bits", "4", "--format", "gguf", "--output", "out", "--no-eval").status == 0)
    let inspected = try run("deepseek-optimize", "inspect", "out/model.gguf")
    #expect(inspected.status == 0 && inspected.output.contains("W5A16 g32"))
    let report = try String(contentsOf: directory.appendingPathComponent("out/report.json"), encoding: .utf8)
    #expect(report.contains("Q4_K"))
    let eval = try run("deepseek-optimize", "eval", "--model", "out/model.gguf", "--eval-tokens", "512", "--json")
    #expect(eval.status == 0, "\(eval.error)")
    for flags in [
      ["--gguf-type", "q4_k"], ["--format", "gguf", "--gguf-type", "q4_k", "--group-size", "32"],
      ["--format", "gguf", "--gguf-type", "nvfp4"],
      ["--format", "gguf", "--bits", "6", "--group-size", "32"], ["--format", "gguf", "--bits", "8", "--activations", "int8"],
      ["--format", "gguf", "--gguf-type", "q4_k", "--bits", "8"], ["--format", "gguf", "--gguf-type", "q4_k", "--type", "fp8"],
      ["--format", "gguf", "--bits", "4", "--override", "re:.*down_proj=group-size:64"],
      ["--format", "gguf", "--mixed-precision", "auto", "--target-bpw", "5", "--calibration", "demo", "--group-size", "32"],
      ["--format", "gguf", "--bits", "8", "--method", "asymmetric"], ["--format", "gguf", "--bits", "2", "--method", "symmetric"],
      ["--format", "gguf", "--scheme", "W4A16"], ["--format", "gguf", "--type", "integer", "--bits", "4"],
    ] {
      let outcome = try runList(["deepseek-quant", "--output", "refused"] + flags)
      #expect(outcome.status == 64 && outcome.error.contains("error: "), "\(flags): \(outcome.error)")
    }
    try FileHandle(forWritingTo: directory.appendingPathComponent("out/model.gguf")).truncate(atOffset: 100_000)
    let broken = try run("deepseek-optimize", "inspect", "out/model.gguf")
    #expect(broken.status == 65 && broken.error.contains("model.gguf"), "\(broken.error)")
    #expect(contents == ["out"])
  }
}
