import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `--calibration` and what belongs to it.
struct CalibrationOptions: ParsableArguments {
  @Option(
    name: .customLong("calibration"),
    help: ArgumentHelp(
      "The text that methods are calibrated on: .txt, or .jsonl with a \"text\" member a line; or demo, the text that ships.",
      valueName: "file"), completion: .textOrDemo)
  var text: String?

  @Option(
    name: .customLong("calibration-samples"),
    help: ArgumentHelp(
      "How many windows of calibration text: 512, 1k. Each has --sequence-length tokens. Default: 128.", valueName: "count"),
    transform: Count.read)
  var samples: Count?

  @Option(
    name: .customLong("calibration-sampling"),
    help: "random, or tiers: windows graded by the model's own perplexity, equally from five tiers. Default: random.")
  var strategy: CalibrationStrategy?

  func validate() throws {
    if let samples, !(1...1 << 20).contains(samples.value) {
      throw ValidationError("--calibration-samples \(samples.value) is not from 1 to 1048576")
    }
    if text == nil, samples != nil || strategy != nil {
      throw ValidationError("--calibration-samples and --calibration-sampling say how --calibration is sampled, which is not given")
    }
  }

  /// - Parameter sequenceLength: `--sequence-length`, when given.
  func plan(sequenceLength: Int?) -> CalibrationPlan? {
    text.map {
      CalibrationPlan(
        text: $0, samples: samples?.value ?? CalibrationPlan.defaultSamples, sequenceLength: sequenceLength ?? 0,
        strategy: strategy ?? .random)
    }
  }
}

extension NamedRecipe {
  /// Says before the work that the text of the demo model stands in for one of the model's own kind.
  func remindOfText(_ calibration: String?, for model: String, isQuiet: Bool) {
    guard usesDemoText, calibration == nil, model != DemoModel.name, !isQuiet else { return }
    Terminal.printError(
      "calibrating on the text that ships with the demo model: --calibration FILE names one that suits this model better")
  }
}

extension CalibrationStrategy: ExpressibleByArgument {}
