import ArgumentParser
import DeepSeekOptimize

/// `--algorithm`: how codes are found.
enum QuantizationAlgorithm: String, ExpressibleByArgument, CaseIterable {
  case rtn, mse, imatrix, hqq, awq, gptq, yaqa, autoround, qat

  /// What is tried when none is named, cheapest first.
  static let candidates: [QuantizationAlgorithm] = [.imatrix, .gptq, .yaqa]

  /// The pass with these targets.
  func pass(_ targets: QuantizationTargets, training form: QuantizationAwareTraining.Form? = nil, steps: Int? = nil) -> any CompressionPass
  {
    func aimed<Pass: CompressionPass>(
      _ pass: Pass, _ place: WritableKeyPath<Pass, QuantizationTargets>, _ change: (inout Pass) -> Void = { _ in }
    ) -> any CompressionPass {
      var pass = pass
      pass[keyPath: place] = targets
      change(&pass)
      return pass
    }
    return switch self {
    case .rtn: aimed(RoundToNearest(), \.targets)
    case .mse: aimed(MinimumSquaredError(), \.targets)
    case .imatrix: aimed(ImportanceMatrix(), \.targets)
    case .hqq: aimed(HalfQuadratic(), \.targets)
    case .awq: aimed(ActivationAware(), \.targets)
    case .gptq, .yaqa: aimed(GPTQ(), \.targets) { $0.outputSensitivity = self == .yaqa }
    case .autoround: aimed(AutoRound(), \.targets)
    case .qat:
      aimed(QuantizationAwareTraining(), \.targets) { pass in
        if let form { pass.form = form }
        if let steps { pass.steps = steps }
      }
    }
  }
}
