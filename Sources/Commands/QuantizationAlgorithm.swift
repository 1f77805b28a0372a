import ArgumentParser
import DeepSeekOptimize

/// `--algorithm`: how codes are found.
enum QuantizationAlgorithm: String, ExpressibleByArgument, CaseIterable {
  case rtn, mse, imatrix, hqq, awq, gptq, yaqa, autoround

  /// What is tried when none is named, cheapest first.
  static let candidates: [QuantizationAlgorithm] = [.imatrix, .gptq, .yaqa]

  /// The pass with these targets.
  func pass(_ targets: QuantizationTargets) -> any CompressionPass {
    switch self {
    case .rtn:
      var pass = RoundToNearest()
      pass.targets = targets
      return pass
    case .mse:
      var pass = MinimumSquaredError()
      pass.targets = targets
      return pass
    case .imatrix:
      var pass = ImportanceMatrix()
      pass.targets = targets
      return pass
    case .hqq:
      var pass = HalfQuadratic()
      pass.targets = targets
      return pass
    case .awq:
      var pass = ActivationAware()
      pass.targets = targets
      return pass
    case .gptq, .yaqa:
      var pass = GPTQ()
      pass.targets = targets
      pass.outputSensitivity = self == .yaqa
      return pass
    case .autoround:
      var pass = AutoRound()
      pass.targets = targets
      return pass
    }
  }
}

/// `--calibration` and what belongs to it.
struct CalibrationOptions: ParsableArguments {
  @Option(
    name: .customLong("calibration"),
    help: ArgumentHelp("The text that methods are calibrated on: .txt, or .jsonl with a \"text\" member a line.", valueName: "file"))
  var text: String?

  @Option(name: .customLong("calibration-samples"), help: "Windows of calibration text, each of --sequence-length tokens. Default: 128.")
  var samples: Int?

  @Option(
    name: .customLong("calibration-sampling"),
    help: "random, or tiers: windows graded by the model's own perplexity, equally from five tiers. Default: random.")
  var strategy: CalibrationStrategy?

  var isSet: Bool { text != nil || samples != nil || strategy != nil }

  func validate() throws {
    if let samples, !(1...1 << 20).contains(samples) { throw ValidationError("--calibration-samples \(samples) is not from 1 to 1048576") }
    if text == nil, samples != nil || strategy != nil {
      throw ValidationError("--calibration-samples and --calibration-sampling say how --calibration is sampled, which is not given")
    }
  }

  /// - Parameter sequenceLength: `--sequence-length`, when given.
  func plan(sequenceLength: Int?) -> CalibrationPlan? {
    text.map { CalibrationPlan(text: $0, samples: samples ?? 128, sequenceLength: sequenceLength ?? 0, strategy: strategy ?? .random) }
  }
}

extension CalibrationStrategy: ExpressibleByArgument {}
