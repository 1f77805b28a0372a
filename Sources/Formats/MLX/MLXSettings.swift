import Diagnostics
import StructuredData
import Tensors

/// How MLX keeps the codes of one layer: what config.json says under `quantization`, for all layers or for one.
///
/// Of a layer `m` there are `m.weight`, U32 `[N, K·bits/32]`, in the bit stream of the canonical form; `m.scales`, `[N, K/group]`; and in the
/// mode `affine` `m.biases`, of the type of the scales and as many: weight = code · scale + bias, in two roundings. In `mxfp4` the scales are
/// E8M0 bytes for groups of 32, in `nvfp4` E4M3 bytes for groups of 16; codes are E2M1 there.
public struct MLXSettings: Sendable, Hashable {
  /// What codes and scales are.
  public enum Mode: String, Sendable, Hashable, CaseIterable { case affine, mxfp4, nvfp4 }

  public let groupSize: Int
  public let bits: Int
  public let mode: Mode

  /// What MLX 0.32 has kernels for, but for 1 bit.
  static let affineBits = [2, 3, 4, 5, 6, 8]
  static let affineGroups = [32, 64, 128]

  /// Nil for what MLX does not have, or this package does not read.
  public init?(groupSize: Int, bits: Int, mode: Mode) {
    switch mode {
    case .affine: guard Self.affineBits.contains(bits), Self.affineGroups.contains(groupSize) else { return nil }
    case .mxfp4: guard bits == 4, groupSize == 32 else { return nil }
    case .nvfp4: guard bits == 4, groupSize == 16 else { return nil }
    }
    (self.groupSize, self.bits, self.mode) = (groupSize, bits, mode)
  }

  /// The settings of a scheme.
  /// - Parameter inputs: the extent of the input axis; groups must divide it.
  /// - Throws: of kind `usage` when MLX cannot hold it; the remedy names the nearest form that it can.
  public init(for scheme: QuantizationScheme, inputs: Int) throws(CheckpointError) {
    func refused(_ problem: String, _ remedy: String) -> CheckpointError {
      CheckpointError(kind: .usage, subject: "mlx", problem: problem, remedy: remedy)
    }
    guard scheme.activations == .none else {
      throw refused("nothing in it quantizes activations at run time", "use --activations none, or --format compressed-tensors")
    }
    var settings: MLXSettings?
    switch (scheme.levels, scheme.scales, scheme.granularity) {
    case (.even, .direct, let granularity):
      let size = granularity.groupSize(inputs: inputs)
      guard Self.affineBits.contains(scheme.bits) else { throw refused("it cannot hold \(scheme.bits)-bit codes", "use 8 bits") }
      guard case .group = granularity, Self.affineGroups.contains(size), inputs % size == 0 else {
        let fitting = Self.affineGroups.filter { inputs % $0 == 0 }
        guard let nearest = fitting.last(where: { $0 <= max(size, 32) }) else {
          throw refused("\(inputs) inputs are no whole number of groups of 32", "--ignore it")
        }
        let asked = granularity == .channel ? "one scale per channel" : "groups of \(size)"
        throw refused(
          "it has groups of 32, 64 and 128 weights, not \(asked)",
          "use --group-size \(granularity == .channel ? min(nearest, 64) : nearest)")
      }
      settings = MLXSettings(groupSize: size, bits: scheme.bits, mode: .affine)
    case (.float4, .powerOfTwo, .group(let size)): settings = MLXSettings(groupSize: size, bits: scheme.bits, mode: .mxfp4)
    case (.float4, .float8, .group(let size)): settings = MLXSettings(groupSize: size, bits: scheme.bits, mode: .nvfp4)
    default: break
    }
    guard let settings, inputs % settings.groupSize == 0 else {
      throw refused(
        "it cannot hold \(scheme.name)", "use --bits \(Self.affineBits.last { $0 <= scheme.bits } ?? 4) --method asymmetric --group-size 64"
      )
    }
    self = settings
  }

  /// The scheme of a weight that is read back: in the mode `affine` every group has a minimum, whatever it was quantized as.
  public var scheme: QuantizationScheme {
    switch mode {
    case .affine: QuantizationScheme(bits: bits, offset: .minimum, granularity: .group(groupSize))
    case .mxfp4: QuantizationScheme(bits: bits, offset: .none, granularity: .group(groupSize), levels: .float4, scales: .powerOfTwo)
    case .nvfp4: QuantizationScheme(bits: bits, offset: .none, granularity: .group(groupSize), levels: .float4, scales: .float8)
    }
  }

  /// As config.json has it.
  public var json: JSONValue {
    ["group_size": .integer(Int64(groupSize)), "bits": .integer(Int64(bits)), "mode": .string(mode.rawValue)]
  }
}
