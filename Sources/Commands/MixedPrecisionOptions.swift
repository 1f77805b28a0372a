import ArgumentParser
import DeepSeekOptimize

/// `--mixed-precision`: which layers have more bits than others.
enum MixedPrecisionChoice: String, ExpressibleByArgument, CaseIterable {
  case off
  case attentionFP16 = "attention-fp16"
  /// Of a mixture of experts what every token uses has more bits.
  case roles
  /// Bits are chosen by measurement, within a budget.
  case auto
}

/// `--mixed-precision` and what belongs to it.
struct MixedPrecisionOptions: ParsableArguments {
  @Option(
    name: .customLong("mixed-precision"),
    help: """
      off; attention-fp16: only the MLP is quantized; roles: of a mixture of experts attention, shared experts and dense layers have 8 bits beside \
      experts of 6, 6 beside 4, 5 beside 3, 4 beside 2; or auto: every group of fused layers has the bits that --target-bpw or --max-kl allows, \
      by what they cost on --calibration. Default: off.
      """)
  var choice: MixedPrecisionChoice?

  @Option(
    name: .customLong("target-bpw"),
    help: ArgumentHelp(
      "For --mixed-precision auto: the most bits per quantized weight, scales and zero points included.", valueName: "bits"))
  var targetBitsPerWeight: Double?

  var isSet: Bool { choice != nil || targetBitsPerWeight != nil }
  var isAutomatic: Bool { choice == .auto }

  func validate() throws {
    if let targetBitsPerWeight {
      guard isAutomatic else { throw ValidationError("--target-bpw is a budget for --mixed-precision auto, which is not given") }
      guard targetBitsPerWeight > 0, targetBitsPerWeight.isFinite else {
        throw ValidationError("--target-bpw \(targetBitsPerWeight) is not a number of bits")
      }
    }
  }

  var targets: QuantizationTargets.MixedPrecision {
    switch choice {
    case .attentionFP16: .attentionFP16
    case .roles: .roles
    case .off, .auto, nil: .off
    }
  }

  /// What bits are chosen for; nil when they are given.
  /// - Parameter divergence: `--max-kl`, a gate in any case, and the budget unless `--target-bpw` is one.
  func budget(divergence: Double?) throws -> BitBudget? {
    guard isAutomatic else { return nil }
    if let targetBitsPerWeight { return .bitsPerWeight(targetBitsPerWeight) }
    if let divergence { return .klDivergence(divergence) }
    throw ValidationError("--mixed-precision auto needs a budget: --target-bpw BITS or --max-kl NATS")
  }
}
