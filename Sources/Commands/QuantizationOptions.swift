import ArgumentParser
import DeepSeekOptimize

/// The flags that choose what is quantized, and how.
struct QuantizationOptions: ParsableArguments {
  @Option(help: "Bits per weight: 8, 6, 5, 4, 3 or 2. Default: 8; 4 with --format awq and with --mixed-precision auto.", completion: .bits)
  var bits: Int?

  @Option(
    help: """
      symmetric or asymmetric: with whole zero points, or, with --format mlx, with minima that are real numbers. \
      Default: symmetric.
      """)
  var method: QuantizationTargets.Method?

  @Option(
    help: """
      Weights that share a scale along the input axis; 0 for one scale per output channel. Default: 0 at 8 bits, 128 below; 64 with --format mlx; \
      of the type with --format gguf.
      """, completion: .groupSize)
  var groupSize: Int?

  @Option(
    help: ArgumentHelp(
      """
      What codes and their scales are: integer; fp8, fp8-tensor, fp8-block (eight-bit floats with a scale per output, per weight, per 128x128), nvfp4, \
      mxfp4 (four-bit floats); affine (MLX); or a type of GGUF. Default: integer.
      """, valueName: "type"))
  var type: WeightType?

  @Option(
    help: ArgumentHelp(
      """
      A preset of compressed-tensors in place of --bits, --method, --type and --activations: \(SchemePreset.allCases.map(\.rawValue).joined(separator: ", ")).
      """, valueName: "preset"))
  var scheme: SchemePreset?

  @Option(
    help: """
      How codes are found: rtn (round to nearest), mse, hqq; with --calibration also imatrix, awq, gptq, yaqa (gptq that weighs what the model's \
      output feels), autoround (yaqa, then rounding learned block by block: slow), and qat (yaqa, then the whole model trained towards its \
      former predictions: slower, and the best at few bits). Default: rtn; with --calibration and fewer than 8 bits the best of imatrix, gptq \
      and yaqa, measured on held-out text.
      """)
  var algorithm: QuantizationAlgorithm?

  @Option(
    name: .customLong("training"),
    help: """
      What --algorithm qat trains: weights (with their scales), scales (codes stay: 8 bytes a weight instead of 20), or blockwise (rounding learned block by block, \
      then scales). Default: weights.
      """)
  var trainingForm: QuantizationAwareTraining.Form?

  @Option(
    help: ArgumentHelp("Steps that --algorithm qat trains for, of 16 windows each. Default: 600.", valueName: "count"),
    transform: Count.number)
  var trainingSteps: Int?

  @Option(
    help: """
      How activations enter products: none, int8 (a scale per token, found at run time), int8-static (a scale per layer, found on \
      --calibration text and stored), or float8 (eight-bit floats, a scale per token; with --type fp8). Default: none.
      """)
  var activations: ActivationQuantization?

  @Option(
    help: """
      keep: the few layers whose outputs int8 activations would hurt far more than others' keep float ones, as the report lists; quantize: none \
      does. Default: keep with --calibration, which it needs.
      """)
  var activationOutliers: OutlierHandling?

  @Option(
    help: ArgumentHelp(
      "Moves this share of the activations' range into the weights (SmoothQuant), which int8 activations need. Needs --calibration.",
      valueName: "share"))
  var smooth: Float?

  @Option(help: "hadamard: rotates features so that none stands out, folded into the weights.")
  var rotate: HadamardRotation.Kind?

  @OptionGroup var mixedPrecision: MixedPrecisionOptions

  @Option(
    name: .customLong("override"),
    help: ArgumentHelp(
      "Other settings for some layers: 're:PATTERN=bits:4,group-size:64' or 're:PATTERN=type:fp8', or a layer's name for the pattern. Repeatable.",
      valueName: "rule"), transform: OverrideRule.read)
  var overrides: [OverrideRule] = []

  @Option(help: ArgumentHelp("Leave these layers as they are: 're:PATTERN' or a name. Repeatable.", valueName: "pattern"))
  var ignore: [String] = []

  @Option(
    name: .customLong("format"),
    help: """
      compressed-tensors, gptq, awq, gguf, mlx, hdf5, keras (a KerasHub preset), or safetensors (dequantized). Default: compressed-tensors.
      """)
  var chosenFormat: OutputFormat?

  @Option(
    name: .customLong("gguf-type"),
    help: ArgumentHelp(
      """
      With --format gguf: the type of all that is quantized. Default: the one that leads at --bits.
      """, valueName: "type"))
  var chosenBlocks: BlockType?

  var ggufType: WeightType? { chosenBlocks?.type }

  var format: OutputFormat { chosenFormat ?? .compressedTensors }

  /// Whether any of these flags was given.
  var isSet: Bool {
    bits != nil || method != nil || type != nil || scheme != nil || groupSize != nil || algorithm != nil || activations != nil
      || activationOutliers != nil
      || trainingSteps != nil || trainingForm != nil || mixedPrecision.isSet
      || smooth != nil || rotate != nil || !overrides.isEmpty || !ignore.isEmpty || chosenFormat != nil || ggufType != nil
  }

  func validate() throws {
    if let scheme {
      guard bits == nil, method == nil, type == nil, activations == nil else {
        throw ValidationError(
          "--scheme \(scheme.rawValue) says itself what --bits, --method, --type and --activations are: leave those out")
      }
      guard groupSize == nil || scheme.groupSize > 0 else {
        throw ValidationError("--scheme \(scheme.rawValue) has no groups to choose: leave --group-size out")
      }
    }
    if let type, let method, let own = type.method, method != own {
      throw ValidationError("--type \(type.rawValue) is \(own.rawValue): leave --method out")
    }
    if mixedPrecision.isAutomatic,
      let fixed = type.flatMap({ $0.bits == nil ? nil : "--type \($0.rawValue)" }) ?? scheme.map({ "--scheme \($0.rawValue)" })
    {
      throw ValidationError("--mixed-precision auto chooses the bits, and \(fixed) has its own: give one of them")
    }
    if let type, bits != nil || groupSize != nil, let text = type.fixedForm {
      throw ValidationError("--type \(type.rawValue) is \(text): leave --bits and --group-size out")
    }
    if let bits, ![8, 6, 5, 4, 3, 2].contains(bits) { throw ValidationError("--bits \(bits) is not 8, 6, 5, 4, 3 or 2") }
    if activationOutliers != nil, ![.int8, .int8Static].contains(activations ?? scheme?.activations ?? ActivationQuantization.none) {
      throw ValidationError("--activation-outliers says what --activations int8 or int8-static leaves out, which is not given")
    }
    if mixedPrecision.isAutomatic, bits != nil {
      throw ValidationError("--mixed-precision auto chooses the bits: leave --bits out, or give some layers theirs with --override")
    }
    if trainingForm != nil, algorithm != .qat { throw ValidationError("--training is for --algorithm qat, which is not given") }
    if trainingSteps != nil, algorithm != .qat { throw ValidationError("--training-steps is for --algorithm qat, which is not given") }
    if let trainingSteps, trainingSteps < 1 { throw ValidationError("--training-steps \(trainingSteps) is not at least 1") }
    if let groupSize, groupSize < 0 { throw ValidationError("--group-size \(groupSize) is negative") }
    try checkBlocks()
    if let smooth, !(smooth >= 0 && smooth <= 1) { throw ValidationError("--smooth \(smooth) is not a share from 0 to 1") }
  }

  /// What is quantized, and to what.
  var targets: QuantizationTargets { targets(for: format) }

  /// - Parameter format: the container that is written: Keras's int8 layers quantize their inputs, whoever made them; MLX's have groups, and
  ///   minima rather than zero points.
  private func targets(for format: OutputFormat) -> QuantizationTargets {
    var targets = QuantizationTargets()
    // Bits that are chosen need a width to start from, and groups.
    targets.bits = bits ?? scheme?.bits ?? (mixedPrecision.isAutomatic || format == .awq ? 4 : 8)
    targets.method = method ?? scheme?.method ?? .symmetric
    targets.groupSize = groupSize ?? scheme?.groupSize ?? (format == .mlx ? 64 : targets.bits == 8 ? 0 : 128)
    if format == .mlx, targets.method == .asymmetric { targets.type = .affine }
    targets.activations = activations ?? scheme?.activations ?? (format == .keras ? .int8 : .none)
    if format == .gguf { targets.type = ggufType ?? simpleBlocks ?? .gguf }
    // What is named goes before what a format leads to; the integers of a scheme are MLX's own as well.
    if let type { targets.type = type } else if let scheme, format != .mlx || scheme.type != .integer { targets.type = scheme.type }
    if let bits = targets.type.bits { targets.bits = bits }
    if groupSize == nil, targets.type == .gguf || targets.type.bits != nil { targets.groupSize = 0 }
    targets.mixedPrecision = mixedPrecision.targets
    targets.overrides = overrides.map(\.override)
    targets.ignore = ignore.map { ModulePattern($0) }
    return targets
  }

  /// The passes with this algorithm, behind the transforms that are folded into the weights, before those that see to activations.
  func passes(_ algorithm: QuantizationAlgorithm, isCalibrated: Bool, format: OutputFormat) -> [any CompressionPass] {
    let targets = targets(for: format)
    var passes: [any CompressionPass] = []
    if let rotate {
      var pass = HadamardRotation()
      pass.kind = rotate
      passes.append(pass)
    }
    if let smooth { passes.append(SmoothQuant(alpha: smooth)) }
    passes.append(algorithm.pass(targets, training: trainingForm, steps: trainingSteps))
    guard targets.activations == .int8 || targets.activations == .int8Static else { return passes }
    if activationOutliers ?? (isCalibrated ? .keep : .quantize) == .keep { passes.append(ActivationOutliers()) }
    if targets.activations == .int8Static { passes.append(StaticActivationRanges()) }
    return passes
  }

  /// The algorithm where none is named and none is tried.
  func usualAlgorithm(isCalibrated: Bool) -> QuantizationAlgorithm {
    mixedPrecision.isAutomatic ? .yaqa : isCalibrated && !targets.type.takesFeedback ? .imatrix : .rtn
  }

  /// Whether the algorithm is found by trying.
  func isTried(isCalibrated: Bool) -> Bool {
    algorithm == nil && isCalibrated && targets.bits < 8 && !mixedPrecision.isAutomatic
  }
}

extension QuantizationAwareTraining.Form: ExpressibleByArgument {}

/// `PATTERN=bits:8,group-size:64`, `PATTERN=type:q6_k`.
struct OverrideRule: WrittenValue {
  static let forms = "'re:PATTERN=bits:4,group-size:64' or 're:PATTERN=type:fp8'"

  let override: QuantizationTargets.Override

  init?(argument: String) {
    // The pattern may hold '=' itself: the settings follow the last one.
    guard let sign = argument.lastIndex(of: "="), sign != argument.startIndex else { return nil }
    var rule = QuantizationTargets.Override(pattern: ModulePattern(String(argument[..<sign])))
    for setting in argument[argument.index(after: sign)...].split(separator: ",", omittingEmptySubsequences: false) {
      let parts = setting.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2 else { return nil }
      if parts[0] == "type" {
        guard let type = WeightType(rawValue: parts[1].lowercased()) else { return nil }
        rule.type = type
        continue
      }
      guard let value = Int(parts[1]), value >= 0 else { return nil }
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
  @Option(
    help: ArgumentHelp("Exit with status 2 when perplexity rises by more than this share: 0.01 or 1%.", valueName: "share"),
    transform: Share.read)
  var maxPerplexityIncrease: Share?

  @Option(
    help: ArgumentHelp(
      "Exit with status 2 when the mean KL divergence is above this many nats. With --mixed-precision auto, and without --target-bpw, also what bits are chosen for: the fewest that hold it.",
      valueName: "nats"))
  var maxKl: Double?

  var gates: AccuracyGates {
    AccuracyGates(maximumPerplexityIncrease: maxPerplexityIncrease?.value, maximumKLDivergence: maxKl)
  }
}

/// What becomes of layers whose inputs do not bear 8 bits.
enum OutlierHandling: String, ExpressibleByArgument, CaseIterable {
  case keep, quantize
}

extension QuantizationTargets.Method: ExpressibleByArgument {}

/// `--gguf-type`: the types of weights that GGUF has.
struct BlockType: ExpressibleByArgument {
  let type: WeightType

  static var allValueStrings: [String] { WeightType.allCases.filter { $0.isGGUF && $0 != .gguf }.map(\.rawValue) }

  init?(argument: String) {
    guard let type = WeightType(argument: argument), type.isGGUF, type != .gguf else { return nil }
    self.type = type
  }
}

extension WeightType: ExpressibleByArgument {
  public init?(argument: String) { self.init(rawValue: argument.lowercased()) }
}

extension ActivationQuantization: ExpressibleByArgument {}
extension HadamardRotation.Kind: ExpressibleByArgument {}
extension OutputFormat: ExpressibleByArgument {}
