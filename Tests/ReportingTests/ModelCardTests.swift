import StructuredData
import Testing

@testable import Reporting

@Suite struct ModelCardTests {
  private var output: ModelCard.Output {
    ModelCard.Output(
      form: "safetensors in the layout of compressed-tensors", baseModel: "deepseek-ai/deepseek-llm-7b-base", relation: .quantized,
      library: "transformers", tags: ["compressed-tensors", "4-bit"],
      usages: [ModelCard.Usage("vLLM", language: "sh", "vllm serve DIR")],
      command: "deepseek-quant --recipe recipe.yaml --model MODEL --output OUTPUT --calibration TEXT")
  }

  private var small: CompressionReport {
    var report = Samples.report(blocks: 1)
    report.recipe = [
      ["pass": "smooth", "strength": 0.5],
      [
        "pass": "gptq", "bits": 4, "group-size": 128, "method": "symmetric", "activations": "none",
        "overrides": [["pattern": "re:.*down_proj", "bits": 8]],
      ],
    ]
    report.layers?[6].format = "int8"
    report.warnings = ["the head_dim of *all* layers <1> is short"]
    return report
  }

  @Test func aCardSaysWhatWasDoneWhatItCostAndHowToLoadIt() {
    #expect(ModelCard(small, of: output).text == Self.golden)
  }

  /// It depends on no clock.
  @Test func figuresOfTheRunAreNotInIt() {
    var other = small
    other.resources = .init(wallSeconds: 1, threads: 64)
    other.speed = nil
    other.calibration?.trials = []
    #expect(ModelCard(other, of: output).text == Self.golden)
  }

  @Test func whatWasNotMeasuredSaysSo() {
    var report = small
    (report.accuracy, report.gates, report.warnings) = (nil, [], [])
    let text = ModelCard(report, of: output).text
    #expect(text.contains("| perplexity | not measured | not measured |  |\n"))
    #expect(text.contains("| KL divergence, mean, nats per token |  | not measured |  |\n"))
    #expect(text.contains("| same most likely token |  | not measured |  |\n"))
    #expect(!text.contains("Measured on") && !text.contains("Read this first"))
    var encoder = output
    encoder.task = .embedding
    #expect(ModelCard(report, of: encoder).text.contains("| cosine of embeddings |  | not measured |  |\n"))
  }

  @Test func encodersHaveFiguresOfEmbeddings() {
    var report = small
    report.accuracy = nil
    report.embeddings = .init(text: "lines.txt", sentences: 1200, pooling: "mean", meanCosine: 0.99987, nearestAgreement: 0.981)
    var encoder = output
    encoder.task = .embedding
    let text = ModelCard(report, of: encoder).text
    #expect(text.contains("pipeline_tag: feature-extraction\n"))
    #expect(text.contains("| embeddings: cosine, mean |  | 0.999870 |  |\n"))
    #expect(text.contains("Against the source, on 1,200 lines of lines.txt.\n"))
    #expect(!text.contains("perplexity"))
  }

  @Test func conversionsAndBlockTypesAreCalledWhatTheyAre() {
    var report = small
    report.recipe = []
    #expect(ModelCard(report, of: output).text.contains("- The values of the source, in another container.\n"))
    // The type says the width, whatever the option that it overrides.
    report.recipe = [["pass": "mse", "bits": 8, "group-size": 0, "type": "q4_k"]]
    let text = ModelCard(report, of: output).text
    #expect(text.contains("- Quantized with scales of least squared error (mse): q4\\_k\n") && text.contains("# demo, mse q4\\_k\n"))
    // These choose groups of their own.
    report.recipe = [["pass": "mse", "bits": 4, "group-size": 128, "method": "symmetric", "type": "gguf"]]
    let other = ModelCard(report, of: output).text
    #expect(other.contains("(mse): 4-bit, types of GGUF\n") && other.contains("# demo, mse 4-bit gguf\n"))
  }

  /// Nothing from a file becomes markup: outside our own code there is no tag, no link, no heading and no row of a table.
  @Test func hostileTextStaysText() {
    var report = Samples.hostile(layers: 300)
    let marks = "](http://a.b) ![x](y) **b** `c` | d | <img src=x> ~~e~~ $f$ @g www.h.i &lt; \\"
    report.warnings = ["\n# heading\n\n---\n", "1. one", "- two", marks] + report.warnings
    report.recipe = [["pass": .string(marks + "\n\n# x"), "bits": 4, "type": .string(marks)]]
    report.calibration?.text = marks
    report.passes = [.init(name: marks)]
    report.replacement = .init(modules: [.init(kind: marks, before: marks, after: "\n# x")])
    report.model.name = "a\n---\n# b" + marks
    let text = ModelCard(report, of: output).text
    #expect(text.utf8.count < 200_000)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.filter { $0 == "---" }.count == 2)
    #expect(lines.filter { $0.hasPrefix("#") }.count == 6)
    // A bracket behind a backslash closes nothing.
    let bare = text.replacing("\\]", with: "")
    for mark in ["<", "](", "://", "www.", "@"] { #expect(!bare.contains(mark), "\(mark)") }
    #expect(
      text.contains("- # heading") == false && text.contains("- \\# heading") && text.contains("- 1\\. one") && text.contains("- \\- two"))
    for row in lines where row.hasPrefix("| ") {
      #expect([5, 7].contains(row.filter { $0 == "|" }.count), "\(row)")
    }
    #expect(!text.unicodeScalars.contains("\u{202E}") && !text.unicodeScalars.contains("\u{0}"))
  }

  @Test(arguments: [
    ("gguf", "gguf"), ("4-bit", "4-bit"), ("org/name", "\"org/name\""), ("no", "\"no\""), ("1e3", "\"1e3\""), ("", "\"\""),
    ("a: b", "\"a: b\""), ("x\n- y", "\"x?- y\""), ("\"", "\"\\\"\""), ("Demo", "\"Demo\""), ("123", "\"123\""), ("-a", "\"-a\""),
  ])
  func scalarsAreWordsOrQuoted(_ text: String, _ yaml: String) { #expect(FrontMatter.scalar(text) == yaml) }

  private static let golden = """
    ---
    base_model: "deepseek-ai/deepseek-llm-7b-base"
    base_model_relation: quantized
    library_name: transformers
    pipeline_tag: text-generation
    tags:
    - compressed-tensors
    - 4-bit
    ---

    # demo, smooth + gptq 4-bit g128 with other bits in places

    Safetensors in the layout of compressed-tensors. Source: llama, 6.82 M parameters.

    ## Read this first

    - Gate missed: mean KL divergence: 0.00003, limit 0.00001
    - the head\\_dim of \\*all\\* layers &lt;1&gt; is short

    ## What was done

    - Activations smoothed, folded into the weights (smooth)
    - GPTQ (gptq): 4-bit, groups of 128, symmetric, 1 override
    - Calibrated on 256 windows of train.txt, 65,536 tokens.
    - 7 layers quantized: int4 (6), int8 (1).

    ## What it cost

    |  | reference | this checkpoint | change |
    | --- | ---: | ---: | ---: |
    | weights on disk | 13.6 MB | 7.21 MB | 0.53× |
    | bits per weight, everything counted |  | 8.47 |  |
    | perplexity | 36.07 ± 0.41 | 36.08 ± 0.41 | +0.02 % (95 %: -0.01 % to +0.05 %) |
    | KL divergence, mean, nats per token |  | 0.0000312 |  |
    | KL divergence, 99 % below |  | 0.000260 |  |
    | same most likely token |  | 99.86 % |  |

    Measured on wiki.txt, 36,863 scored predictions, in windows of 512 tokens, each run alone from an empty cache.

    ## How to load it

    `DIR` is the directory of this file.

    vLLM:

    ```sh
    vllm serve DIR
    ```

    ## How it was made

    By deepseek-quant 0.1.0. The same weights again, from the same source:

    ```sh
    deepseek-quant --recipe recipe.yaml --model MODEL --output OUTPUT --calibration TEXT
    ```

    SHA-256 of the source's weights: \(String(repeating: "ab", count: 32))

    Everything that was measured is in `report.html` and `report.json`. Licence and intended use are those of the source.

    """
}
