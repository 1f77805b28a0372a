import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// The card that runs leave beside their reports.
@Suite struct ModelCardRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func card(
    _ passes: [any CompressionPass], of model: String = "demo", to name: String = "out", format: OutputFormat = .compressedTensors,
    evaluation: EvaluationSettings? = nil, threads: Int = 2
  ) throws -> String {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    (settings.evaluation, settings.threads) = (evaluation, threads)
    _ = try CompressionRun(model: ModelBundle(opening: model), recipe: Recipe(passes: passes, format: format), settings: settings).execute()
    return try String(contentsOfFile: directory.path("\(name)/README.md"), encoding: .utf8)
  }

  private func copyDemo(to name: String) throws -> String {
    let place = directory.path(name)
    try FileManager.default.createDirectory(
      at: URL(fileURLWithPath: place).deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.copyItem(at: DemoModel.directory, to: URL(fileURLWithPath: place))
    return place
  }

  @Test func aRunWritesOneAndThreadsDoNotChangeIt() throws {
    let evaluation = EvaluationSettings(tokens: 1024)
    let cards = try [1, 3].map { try card([RoundToNearest(bits: 8)], to: "out\($0)", evaluation: evaluation, threads: $0) }
    #expect(cards[0] == cards[1])
    for words in [
      "library_name: transformers\npipeline_tag: text-generation\ntags:\n- compressed-tensors\n- 8-bit\n---\n",
      "# demo, round-to-nearest 8-bit\n",
      "- 28 layers quantized: W8A16.\n", "| perplexity | ", "Measured on evaluation.txt, 1,022 scored predictions",
      "AutoModelForCausalLM.from_pretrained(\"DIR\")\n", "vllm serve DIR\n", "deepseek-optimize generate --model DIR --prompt",
      "By DeepSeekOptimize \(Tool.version).", "deepseek-quant --recipe recipe.yaml --model MODEL --output OUTPUT\n",
    ] {
      #expect(cards[0].contains(words), "\(words)")
    }
    #expect(!cards[0].contains("base_model"))
  }

  /// Each container is loaded by what reads it, and by nothing else; what was not measured is not claimed.
  @Test(arguments: OutputFormat.allCases) func everyContainerSaysHowItIsLoaded(_ format: OutputFormat) throws {
    let text = try card([], format: format)
    #expect(text.contains("deepseek-optimize generate --model DIR") && text.contains("| perplexity | not measured | not measured |  |\n"))
    #expect(text.contains("- The values of the source, in another container.\n"))
    let runtimes = format.card.runtimes
    let marks: [(Runtime, String)] = [
      (.transformers, "from transformers import"), (.vllm, "vllm serve DIR"), (.llamaCpp, "llama-cli -m DIR/model.gguf"),
      (.kerasHub, "CausalLM.from_preset(\"DIR\")"), (.mlx, "mlx_lm.generate --model DIR"),
    ]
    for (runtime, mark) in marks { #expect(text.contains(mark) == runtimes.contains(runtime), "\(mark)") }
    // Without codes it is no layout's.
    if format.card.isPlainWithoutCodes { #expect(text.contains("Safetensors without quantized weights.") && !text.contains("tags:")) }
    // It opens with its card in it.
    _ = try ModelBundle(opening: directory.path("out"))
  }

  /// What a loader does not take is not offered to it.
  @Test func schemesDecideWhoLoadsThem() throws {
    let asymmetric = try card([RoundToNearest(bits: 4, method: .asymmetric, groupSize: 64)], to: "a")
    #expect(asymmetric.contains("from_pretrained(\"DIR\", quantization_config=CompressedTensorsConfig(dequantize=True))"))
    #expect(!asymmetric.contains("vllm") && asymmetric.contains("- 4-bit\n"))
    #expect(asymmetric.contains("transformers loads packed asymmetric weights only with CompressedTensorsConfig(dequantize=True)"))
    #expect(try !card([RoundToNearest(bits: 3, groupSize: 64)], to: "b").contains("vllm"))
    var mixed = RoundToNearest(bits: 4, method: .asymmetric, groupSize: 64)
    mixed.targets.overrides = [.init(pattern: "re:.*down_proj", bits: 8)]
    let several = try card([mixed], to: "c")
    #expect(!several.contains("from transformers") && !several.contains("vllm serve") && several.contains("- mixed-precision\n"))
    var activations = RoundToNearest(bits: 8)
    activations.targets.activations = .int8
    #expect(try card([activations], to: "d").contains("vllm serve DIR"))
  }

  /// What transformers passes over in GPTQ's settings, and what vLLM runs of floats.
  @Test func rulesAndFloatsDecideWhoLoadsThem() throws {
    var rules = RoundToNearest(bits: 4, groupSize: 32)
    #expect(try card([rules], to: "a", format: .gptq).contains("from transformers import"))
    rules.targets.overrides = [.init(pattern: "re:.*down_proj", bits: 8)]
    let several = try card([rules], to: "b", format: .gptq)
    #expect(!several.contains("from transformers import") && several.contains("vllm serve DIR"))
    rules.targets.overrides = [.init(pattern: "lm_head", bits: 4)]
    #expect(try !card([rules], to: "c", format: .gptq).contains("from transformers import"))
    for (index, type) in [WeightType.fp8, .fp8Tensor, .fp8Block, .nvfp4, .mxfp4].enumerated() {
      var pass = RoundToNearest()
      pass.targets.type = type
      #expect(try card([pass], to: "f\(index)").contains("vllm serve DIR") == (type != .mxfp4), "\(type)")
    }
  }

  /// A directory may be called anything.
  @Test func aHostileNameIsNeitherMarkupNorABaseModel() throws {
    let name = "a](x) <b>*c*\n# d | `e` \"f\": {g}"
    let text = try card([RoundToNearest(bits: 8)], of: copyDemo(to: name))
    #expect(text.contains("# a\\](x) &lt;b&gt;\\*c\\* \\# d &#124; \\`e\\` \"f\": {g}, round-to-nearest 8-bit\n"))
    #expect(!text.contains("base_model") && !text.contains("<b>") && !text.contains("\n# d"))
  }

  @Test func baseModelsAreNamedWhereTheyCanBe() throws {
    #expect(try card([], of: copyDemo(to: "Llama-3.2_1B"), to: "a").contains("base_model: \"Llama-3.2_1B\"\n"))
    let cached = try copyDemo(to: "models--org--Some.Model/snapshots/0123abcd")
    let text = try card([RoundToNearest(bits: 8)], of: cached, to: "b")
    #expect(text.contains("base_model: \"org/Some.Model\"\nbase_model_relation: quantized\n"))
    #expect(try !card([], of: copyDemo(to: "-x-"), to: "c").contains("base_model"))
  }

  /// The source's card speaks of the source.
  @Test func theSourcesCardIsNotCopied() throws {
    let model = try copyDemo(to: "model")
    try Data("the source's".utf8).write(to: URL(fileURLWithPath: model).appendingPathComponent("README.md"))
    for format in [OutputFormat.compressedTensors, .keras] {
      #expect(try card([], of: model, to: format.rawValue, format: format).hasPrefix("---\n"))
    }
    #expect(try card([], of: directory.path("keras"), to: "again", format: .keras).contains("# keras\n"))
  }

  /// Modules that other programs have no words for are not offered to them.
  @Test func replacedModulesAreLoadedByThisProgram() throws {
    var replacement = ModuleReplacement()
    (replacement.attention, replacement.tokens, replacement.block) = (.topTokens, 16, 8)
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.evaluation = nil
    _ = try ReplacementRun(model: ModelBundle(opening: "demo"), replacement: replacement, settings: settings).execute()
    let text = try String(contentsOfFile: directory.path("out/README.md"), encoding: .utf8)
    #expect(!text.contains("from transformers") && !text.contains("vllm serve") && text.contains("deepseek-optimize generate --model DIR"))
    #expect(text.contains("- attention: ") && text.contains("deepseek-optimize run recipe.yaml --model MODEL --output OUTPUT\n"))
  }
}
