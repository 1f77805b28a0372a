import StructuredData

@testable import Reporting

/// Reports for the tests, with figures of a believable size.
enum Samples {
  static func layers(blocks: Int, name: String = "model.layers") -> [CompressionReport.Layer] {
    let kinds = [
      "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ]
    var layers: [CompressionReport.Layer] = []
    for block in 0..<blocks {
      for (index, kind) in kinds.enumerated() {
        var layer = CompressionReport.Layer(name: "\(name).\(block).\(kind)", bits: 4, groupSize: 128, format: "int4")
        layer.weightSQNRdB = 20 + Double(index) * 0.3
        layer.outputSQNRdB = 22 + Double((block * 7 + index * 3) % 11) * 0.4
        layer.clippedFraction = 0.0004
        if block == 1, index == 6 { layer.fallback = "diagonal Hessian" }
        layers.append(layer)
      }
    }
    return layers
  }

  static func report(blocks: Int = 4) -> CompressionReport {
    var report = CompressionReport(
      tool: .init(name: "deepseek-quant", version: "0.1.0"), model: .init(name: "demo", family: "llama", parameters: 6_815_744))
    report.recipe = [["pass": "gptq", "bits": 4, "group-size": 128, "options": ["damping": 0.01, "order": [1, 2]]]]
    report.inputs = .init(modelSHA256: String(repeating: "ab", count: 32), evalSHA256: String(repeating: "cd", count: 32))
    report.outputs = [.init(name: "model.safetensors", bytes: 7_214_336, sha256: String(repeating: "ef", count: 32))]
    report.size = .init(
      sourceBytes: 13_644_312, outputBytes: 7_214_336, ratio: 0.52875, bitsPerWeight: 8.47,
      byKind: [.init(kind: "attention", sourceBytes: 3_145_728, outputBytes: 1_572_864)])
    report.accuracy = accuracy
    report.calibration = .init(
      text: "train.txt", windows: 256, tokens: 65_536, sampling: "tiers", exactDuplicates: 3, nearDuplicates: 2,
      tierLosses: [2.8, 3.4, 3.6, 3.8, 4.1],
      trials: [.init(algorithm: "gptq", klDivergence: 0.0062, seconds: 3.5), .init(algorithm: "yaqa", klDivergence: 0.0039, seconds: 9.1)])
    report.activations = [
      .init(
        kind: "int8-static", perplexityRatio: 1.0021, perplexityRatioInterval: .init(lower: 1.0013, upper: 1.0029),
        klDivergence: .init(mean: 2.1e-3, standardError: 3e-5, median: 1.4e-3, p95: 7.6e-3, p99: 1.7e-2, p999: 4.1e-2, max: 0.15),
        topTokenAgreement: 0.971),
      .init(kind: "int8", perplexityRatio: 1.0004, klDivergence: .init(mean: 8.4e-4), topTokenAgreement: 0.984),
      .init(kind: "none", perplexityRatio: 1.0001, topTokenAgreement: 0.996),
    ]
    report.keyValueCache = .init(
      type: "int8", bytesPerToken: 1632, referenceBytesPerToken: 6144, perplexityRatio: 1.0001,
      perplexityRatioInterval: .init(lower: 0.9998, upper: 1.0004),
      klDivergence: .init(mean: 2.4e-5, standardError: 3e-7, median: 1.4e-5, p95: 7.6e-5, p99: 1.7e-4, p999: 4.1e-4, max: 1.5e-3),
      topTokenAgreement: 0.9964)
    report.allocation = .init(
      goal: "max-kl", limit: 0.01, bitsPerWeight: 2.71, weights: 4_718_592, bytes: 1_600_000, predictedKL: 0.0082, measuredKL: 0.0094,
      heldOutTokens: 32640, seconds: 41.5,
      rounds: [
        .init(bitsPerWeight: 2.66, predictedKL: 0.0091, measuredKL: 0.0107),
        .init(bitsPerWeight: 2.71, predictedKL: 0.0082, measuredKL: 0.0094),
      ],
      groups: (0..<blocks).map {
        .init(
          name: "model.layers.\($0).mlp.{gate_proj,up_proj}",
          layers: ["model.layers.\($0).mlp.gate_proj", "model.layers.\($0).mlp.up_proj"], bits: 3, groupSize: $0 % 2 * 128,
          weights: 393_216, bytes: 153_600, predictedKL: 2.7e-4)
      })
    report.layers = layers(blocks: blocks)
    report.speed = .init(
      prefillTokensPerSecond: .init(reference: 3120, compressed: 4185), decodeTokensPerSecond: .init(reference: 211.4, compressed: 362.9))
    report.resources = .init(
      wallSeconds: 48.31, peakMemoryBytes: 214_958_080, bytesRead: 27_288_624, bytesWritten: 7_301_120, threads: 2)
    report.gates = [
      .init(name: "perplexity increase", limit: 0.01, value: 0.0002, passed: true),
      .init(name: "mean KL divergence", limit: 0.00001, value: 0.00003, passed: false),
    ]
    report.warnings = ["The text is short."]
    return report
  }

  static var accuracy: CompressionReport.Accuracy {
    var accuracy = CompressionReport.Accuracy(text: "wiki.txt", tokens: 36_863, context: 512)
    accuracy.reference = .init(perplexity: 36.0712, standardError: 0.41)
    accuracy.compressed = .init(perplexity: 36.0784, standardError: 0.41)
    accuracy.perplexityRatio = 1.0002
    accuracy.perplexityRatioInterval = .init(lower: 0.9999, upper: 1.0005)
    accuracy.klDivergence = .init(
      mean: 3.12e-5, standardError: 2e-7, median: 1.3e-5, p95: 1.1e-4, p99: 2.6e-4, p999: 7.2e-4, max: 2.7e-3)
    accuracy.topTokenAgreement = 0.9986
    accuracy.flips = .init(gained: 41, lost: 47)
    accuracy.klHistogram = .init(values: (1...400).map { (index: Int) -> Double in Double(index * index) * 1e-8 })
    let likelihoods: [Double] = (0..<72).map { 3.5 + Double($0 % 7) * 0.1 }
    let divergences: [Double] = (0..<72).map { 3e-5 + Double($0 % 5) * 1e-7 }
    accuracy.windows = .init(negativeLogLikelihood: likelihoods, klDivergence: divergences)
    return accuracy
  }

  /// A report whose every text is hostile and long.
  static func hostile(layers count: Int) -> CompressionReport {
    let text = String(repeating: "\"><script>alert('x')</script>&\u{202E}\u{0}", count: 400)
    var report = report()
    report.tool = .init(name: text, version: text)
    report.model = .init(name: text, family: text, parameters: .max)
    report.recipe = [["pass": .string(text), "bits": .number(1e300)]]
    report.inputs = .init(modelSHA256: text, calibrationSHA256: text, evalSHA256: text)
    report.outputs = (0..<5000).map { _ in .init(name: text, bytes: .max, sha256: text) }
    report.size?.byKind = (0..<5000).map { _ in .init(kind: text, sourceBytes: .max, outputBytes: .max) }
    report.accuracy?.text = text
    report.accuracy?.tokens = .max
    report.activations = (0..<5000).map { _ in .init(kind: text, perplexityRatio: -1e308, topTokenAgreement: 1e308) }
    report.calibration?.text = text
    report.calibration?.sampling = text
    report.calibration?.trials = (0..<5000).map { _ in .init(algorithm: text, klDivergence: 1e308, seconds: -1e308) }
    report.keyValueCache?.type = text
    report.keyValueCache?.bytesPerToken = .max
    report.keyValueCache?.perplexityRatio = 1e308
    report.allocation?.goal = text
    report.allocation?.limit = 1e308
    report.allocation?.rounds = (0..<5000).map { _ in .init(bitsPerWeight: 1e308, predictedKL: -1e308) }
    report.allocation?.groups = (0..<5000).map { _ in
      .init(name: text, layers: [text], bits: .max, groupSize: .max, bytes: .max, predictedKL: 1e308)
    }
    report.layers = (0..<count).map {
      .init(
        name: "a.\($0 &* 92_233_720_368_547).\($0 % 40)x" + text, bits: 1e308, groupSize: .max, format: text,
        weightSQNRdB: Double($0) * 1e300, outputSQNRdB: -Double($0), clippedFraction: -1e308, fallback: text)
    }
    report.gates = (0..<5000).map { _ in .init(name: text, limit: -1e308, value: .leastNonzeroMagnitude, passed: false) }
    report.warnings = Array(repeating: text, count: 5000)
    return report
  }
}
