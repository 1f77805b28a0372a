import ArgumentParser
import DeepSeekOptimize

/// `--scheme`: the presets of compressed-tensors, which say in a word what several flags do.
enum SchemePreset: String, ExpressibleByArgument, CaseIterable {
  case w4a16 = "W4A16"
  case w4a16Asymmetric = "W4A16_ASYM"
  case w8a16 = "W8A16"
  case w8a8 = "W8A8"
  case fp8Dynamic = "FP8_DYNAMIC"
  case fp8Block = "FP8_BLOCK"
  case nvfp4a16 = "NVFP4A16"
  case mxfp4a16 = "MXFP4A16"

  init?(argument: String) { self.init(rawValue: argument.uppercased()) }

  var bits: Int {
    switch self {
    case .w8a16, .w8a8, .fp8Dynamic, .fp8Block: 8
    case .w4a16, .w4a16Asymmetric, .nvfp4a16, .mxfp4a16: 4
    }
  }

  var method: QuantizationTargets.Method { self == .w4a16Asymmetric ? .asymmetric : .symmetric }

  var groupSize: Int {
    switch self {
    case .w4a16, .w4a16Asymmetric, .w8a16: 128
    default: 0
    }
  }

  var type: WeightType {
    switch self {
    case .fp8Dynamic: .fp8
    case .fp8Block: .fp8Block
    case .nvfp4a16: .nvfp4
    case .mxfp4a16: .mxfp4
    default: .integer
    }
  }

  var activations: ActivationQuantization {
    switch self {
    case .w8a8: .int8
    case .fp8Dynamic, .fp8Block: .float8
    default: .none
    }
  }
}
