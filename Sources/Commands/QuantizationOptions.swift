import ArgumentParser
import DeepSeekOptimize

/// The flags that choose what is quantized, and how.
struct QuantizationOptions: ParsableArguments {
  @Option(help: "Bits per weight: 8, 6, 5, 4, 3 or 2. Default: 8.")
  var bits: Int?

  @Option(help: "symmetric or asymmetric. Default: symmetric.")
  var method: QuantizationTargets.Method?

  @Option(help: "Weights that share a scale along the input axis; 0 for one scale per output channel. Default: 0 at 8 bits, 128 below.")
  var groupSize: Int?

  @Option(
    help: """
      How codes are found: rtn (round to nearest), mse, hqq; with --calibration also imatrix, gptq, and yaqa (gptq that weighs what the model's \
      output feels). Default: rtn, or yaqa with --calibration and fewer than 8 bits.
      """)
  var algorithm: QuantizationAlgorithm?

  @Option(help: "How activations enter products: none, or int8 (per token, at run time). Default: none.")
  var activations: ActivationQuantization?

  @Option(help: "off, or attention-fp16: only the MLP is quantized. Default: off.")
  var mixedPrecision: QuantizationTargets.MixedPrecision?

  @Option(
    name: .customLong("override"),
    help: ArgumentHelp(
      "Other settings for some layers: 're:PATTERN=bits:4,group-size:64', or a layer's name for the pattern. Repeatable.", valueName: "rule"
    ))
  var overrides: [OverrideRule] = []

  @Option(help: ArgumentHelp("Leave these layers as they are: 're:PATTERN' or a name. Repeatable.", valueName: "pattern"))
  var ignore: [String] = []

  @Option(name: .customLong("format"), help: "compressed-tensors, hdf5, or safetensors (dequantized). Default: compressed-tensors.")
  var chosenFormat: OutputFormat?

  var format: OutputFormat { chosenFormat ?? .compressedTensors }

  /// Whether any of these flags was given.
  var isSet: Bool {
    bits != nil || method != nil || groupSize != nil || algorithm != nil || activations != nil || mixedPrecision != nil
      || !overrides.isEmpty || !ignore.isEmpty || chosenFormat != nil
  }

  func validate() throws {
    if let bits, ![8, 6, 5, 4, 3, 2].contains(bits) { throw ValidationError("--bits \(bits) is not 8, 6, 5, 4, 3 or 2") }
    if let groupSize, groupSize < 0 { throw ValidationError("--group-size \(groupSize) is negative") }
  }

  /// What is quantized, and to what.
  var targets: QuantizationTargets {
    var targets = QuantizationTargets()
    targets.bits = bits ?? 8
    targets.method = method ?? .symmetric
    targets.groupSize = groupSize ?? (targets.bits == 8 ? 0 : 128)
    targets.activations = activations ?? .none
    targets.mixedPrecision = mixedPrecision ?? .off
    targets.overrides = overrides.map(\.override)
    targets.ignore = ignore.map { ModulePattern($0) }
    return targets
  }

  func passes(isCalibrated: Bool) throws -> [any CompressionPass] {
    let targets = targets
    let algorithm = algorithm ?? (isCalibrated && targets.bits < 8 ? .yaqa : .rtn)
    return [algorithm.pass(targets)]
  }
}

/// `PATTERN=bits:8,group-size:64`.
struct OverrideRule: ExpressibleByArgument {
  let override: QuantizationTargets.Override

  init?(argument: String) {
    // The pattern may hold '=' itself: the settings follow the last one.
    guard let sign = argument.lastIndex(of: "="), sign != argument.startIndex else { return nil }
    var rule = QuantizationTargets.Override(pattern: ModulePattern(String(argument[..<sign])))
    for setting in argument[argument.index(after: sign)...].split(separator: ",", omittingEmptySubsequences: false) {
      let parts = setting.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, let value = Int(parts[1]), value >= 0 else { return nil }
      switch parts[0] {
      case "bits": rule.bits = value
      case "group-size": rule.groupSize = value
      default: return nil
      }
    }
    override = rule
  }
}

/// Limits that the result must keep.
struct GateOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Exit with status 2 when perplexity rises by more than this share: 0.01 or 1%.", valueName: "share"))
  var maxPerplexityIncrease: Share?

  @Option(help: ArgumentHelp("Exit with status 2 when the mean KL divergence is above this many nats.", valueName: "nats"))
  var maxKl: Double?

  var isSet: Bool { maxPerplexityIncrease != nil || maxKl != nil }

  var gates: AccuracyGates {
    AccuracyGates(maximumPerplexityIncrease: maxPerplexityIncrease?.value, maximumKLDivergence: maxKl)
  }
}

extension QuantizationTargets.Method: ExpressibleByArgument {}
extension QuantizationTargets.MixedPrecision: ExpressibleByArgument {}
extension ActivationQuantization: ExpressibleByArgument {}
extension OutputFormat: ExpressibleByArgument {}
