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
    case .qat:
      var pass = QuantizationAwareTraining()
      pass.targets = targets
      if let form { pass.form = form }
      if let steps { pass.steps = steps }
      return pass
    case .autoround:
      var pass = AutoRound()
      pass.targets = targets
      return pass
    }
  }
}
