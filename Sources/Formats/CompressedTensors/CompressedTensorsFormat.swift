import Diagnostics
import Tensors

/// How compressed-tensors arranges the codes of a module in a checkpoint.
public enum CompressedTensorsFormat: String, Sendable, Hashable, CaseIterable {
  /// Codes as a bit stream in 32-bit words, `weight_packed`: any width from 2 to 8 bits.
  case packQuantized = "pack-quantized"
  /// One signed byte per code, `weight`: what integer products read.
  case intQuantized = "int-quantized"
  /// The same bytes under an older name.
  case naiveQuantized = "naive-quantized"
  /// Eight-bit floats, `weight`.
  case floatQuantized = "float-quantized"
  /// Four-bit floats, two to a byte of `weight_packed`, under E4M3 scales.
  case nvfp4Packed = "nvfp4-pack-quantized"
  /// The same under powers of two.
  case mxfp4Packed = "mxfp4-pack-quantized"

  /// Whether codes lie in `weight_packed` rather than in `weight`.
  public var isPacked: Bool { self == .packQuantized || self == .nvfp4Packed || self == .mxfp4Packed }

  /// The arrangement that a scheme is written in.
  ///
  /// Integers that are weight-only, or below 8 bits, are packed. W8A8 is written as bytes, which is what vLLM's integer kernels read,
  /// except in mixture-of-experts layers: transformers loads experts from the packed form only. Floats have one form each.
  ///
  /// - Parameters:
  ///   - inputs: the extent of the input axis; groups must divide it.
  ///   - isExpert: whether the module is one of the routed experts of a mixture.
  /// - Throws: `CheckpointError` of kind `usage` when the format cannot hold the scheme; the remedy names the nearest one that it can.
  public static func format(
    for scheme: QuantizationScheme, inputs: Int? = nil, isExpert: Bool = false
  ) throws(CheckpointError) -> CompressedTensorsFormat {
    try checkHolds(scheme, inputs: inputs)
    switch (scheme.levels, scheme.scales) {
    case (.float8, _): return .floatQuantized
    case (.float4, .float8): return .nvfp4Packed
    case (.float4, _): return .mxfp4Packed
    default: return scheme.activations != .none && scheme.bits == 8 && !isExpert ? .intQuantized : .packQuantized
    }
  }

  /// The arrangement where a configuration names none.
  static func unnamed(for scheme: QuantizationScheme, isPacked: Bool) -> CompressedTensorsFormat {
    guard scheme.levels == .even else { return (try? format(for: scheme)) ?? .floatQuantized }
    return isPacked ? .packQuantized : .intQuantized
  }

  /// Whether weights of that scheme can lie in this arrangement.
  func holds(_ scheme: QuantizationScheme) -> Bool {
    switch self {
    case .packQuantized, .intQuantized: scheme.levels == .even
    case .naiveQuantized: scheme.levels == .even || scheme.levels == .float8
    case .floatQuantized: scheme.levels == .float8
    case .nvfp4Packed: scheme.levels == .float4 && scheme.scales == .float8
    case .mxfp4Packed: scheme.levels == .float4 && scheme.scales == .powerOfTwo
    }
  }

  private static func refused(_ problem: String, _ remedy: String) -> CheckpointError {
    CheckpointError(kind: .usage, subject: "compressed-tensors", problem: problem, remedy: remedy)
  }

  private static func checkHolds(_ scheme: QuantizationScheme, inputs: Int?) throws(CheckpointError) {
    switch (scheme.levels, scheme.scales, scheme.granularity) {
    case (.float8, .direct, .block(let side)):
      // Activations have scales for as many inputs, of which there must be whole groups.
      guard scheme.activations == .none || (inputs ?? side) % side == 0 else {
        throw refused(
          "float8 activations in groups of \(side) do not divide \(inputs ?? 0) inputs",
          "use --activations none, --type fp8, or --ignore it")
      }
      return
    case (.float8, .direct, .channel), (.float8, .direct, .tensor): return
    case (.float4, .float8, .group(16)), (.float4, .powerOfTwo, .group(32)): break
    case (.even, .direct, _) where scheme.offset != .minimum: break
    case (.float8, _, _):
      throw refused("compressed-tensors cannot hold \(scheme.name)", "use --type fp8, fp8-tensor or fp8-block")
    case (.even, .direct, _):
      throw refused("compressed-tensors cannot hold \(scheme.name)", "use --format mlx, or safetensors for dequantized weights")
    default:
      throw refused(
        "compressed-tensors cannot hold \(scheme.name)",
        "write the values with --format safetensors, or quantize with --type integer, fp8, nvfp4 or mxfp4")
    }
    guard (2...8).contains(scheme.bits) else {
      throw refused("it cannot hold \(scheme.bits)-bit codes", "use \(scheme.bits < 2 ? 2 : 8) bits")
    }
    guard case .group(let size) = scheme.granularity else { return }
    guard size > 0, size <= maximumGroupSize else {
      throw refused("a group of \(size) weights is none", "use a positive group size, or one scale per channel")
    }
    guard let inputs, inputs % size != 0 else { return }
    guard scheme.levels == .even else { throw refused("groups of \(size) do not divide \(inputs) inputs", "leave it dense with --ignore") }
    let divisors = [128, 64, 32, 16].filter { $0 < size && inputs % $0 == 0 }
    let nearest = divisors.first.map { "use groups of \($0), or one scale per channel" } ?? "use one scale per channel"
    throw refused("groups of \(size) do not divide \(inputs) inputs", nearest)
  }

  static let maximumGroupSize = 1 << 30

  /// What a user should know of the loaders of such a module, one sentence each; empty when every known one takes it.
  /// Checked with transformers 5.23 and compressed-tensors 0.20; for vLLM by reading its source.
  public func caveats(for scheme: QuantizationScheme) -> [String] {
    var caveats: [String] = []
    if needsDequantizing(scheme) {
      guard scheme.levels == .even else {
        return ["\(scheme.name): transformers loads it as bfloat16, or with CompressedTensorsConfig(dequantize=True)"]
      }
      caveats.append("\(scheme.name): transformers loads packed asymmetric weights only with CompressedTensorsConfig(dequantize=True)")
    }
    guard scheme.levels == .even else { return caveats }
    if scheme.bits != 4 && scheme.bits != 8 { caveats.append("\(scheme.name): vLLM reads 4 and 8 bits only") }
    guard scheme.activations != .none else { return caveats }
    if isPacked { caveats.append("\(scheme.name): vLLM does not read packed weights with int8 activations") }
    if !scheme.symmetric { caveats.append("\(scheme.name): vLLM wants symmetric weights with int8 activations") }
    return caveats
  }

  /// Whether transformers loads such a module only with `CompressedTensorsConfig(dequantize=True)`.
  func needsDequantizing(_ scheme: QuantizationScheme) -> Bool { isPacked && (!scheme.symmetric || scheme.levels != .even) }

  /// Whether vLLM is known to run such a module: what is neither refused nor left to its documentation. Of floats those are FP8, with a scale for
  /// each output, block, or the whole weight, and NVFP4 with activations as they are.
  func isRunByVLLM(_ scheme: QuantizationScheme) -> Bool {
    switch scheme.levels {
    case .float8: true
    case .float4: scheme.scales == .float8 && scheme.activations == .none
    case .even: scheme.symmetric && scheme.scales == .direct && [4, 8].contains(scheme.bits) && (scheme.activations == .none || !isPacked)
    default: false
    }
  }
}
