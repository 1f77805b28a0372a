import Diagnostics
import Tensors

/// The layouts that keep the codes of a matrix column by column, for kernels that read them so: GPTQ's and AWQ's.
///
/// Nothing is computed anew: codes, scales and zero points are rearranged. K inputs, N outputs, groups of g inputs:
///
/// | tensor | GPTQ | AWQ ("gemm") |
/// | --- | --- | --- |
/// | `qweight` I32 | `[K·bits/32, N]`, a column's codes a bit stream that runs down | `[K, N/8]`, nibbles hold the outputs 0, 2, 4, 6, 1, 3, 5, 7 of eight |
/// | `qzeros` I32 | `[K/g, N·bits/32]`, zero points less 1 in version 1, a bit stream | `[K/g, N/8]`, in the order of the codes |
/// | `scales` F16 | `[K/g, N]` | the same |
/// | `g_idx` I32 | `[K]`, the group of each input | none |
///
/// Zero points are those of unsigned codes. Symmetric weights have the middle of the range for one.
public enum ColumnPackedEncoding: Sendable, Hashable {
  /// - Parameter version: of how zero points are stored: 1 keeps them less 1, so that there is no zero point 0; 2 as they are.
  case gptq(version: Int)
  case awq

  /// The parts of a module, in checkpoint spelling.
  enum Part: String, CaseIterable {
    case codes = "qweight"
    case zeroPoints = "qzeros"
    case scales
    case groups = "g_idx"

    func name(in module: String) -> String { module.isEmpty ? rawValue : "\(module).\(rawValue)" }
  }

  /// As `--format` calls it.
  public var name: String {
    switch self {
    case .gptq: "gptq"
    case .awq: "awq"
    }
  }

  var parts: [Part] { self == .awq ? [.codes, .zeroPoints, .scales] : Part.allCases }

  /// The scheme that a weight comes back as: AWQ has zero points for symmetric weights, too.
  public func stored(_ scheme: QuantizationScheme) -> QuantizationScheme {
    guard self == .awq, scheme.offset == .none else { return scheme }
    var scheme = scheme
    scheme.offset = .zeroPoint
    return scheme
  }

  /// The tensors of a module.
  /// - Throws: of kind `usage` when the layout cannot hold the scheme or the shape; the remedy names the nearest one that it can.
  public func descriptors(
    module: String, scheme: QuantizationScheme, shape: Shape, scaleType: DataType = .float16
  ) throws(CheckpointError) -> [TensorDescriptor] {
    try check(scheme, shape: shape, module: module)
    let (outputs, inputs, bits) = (shape[0], shape[1], scheme.bits)
    let groups = QuantizedTensor.groupCount(inputs: inputs, scheme.granularity)
    let codes: Shape = self == .awq ? [inputs, outputs / 8] : [inputs / 32 * bits + inputs % 32 * bits / 32, outputs]
    return parts.map { part in
      let (type, shape): (DataType, Shape) =
        switch part {
        case .codes: (.int32, codes)
        case .zeroPoints: (.int32, [groups, CodePacking.words(of: outputs, bits: bits)])
        case .scales: (scaleType, [groups, outputs])
        case .groups: (.int32, [inputs])
        }
      return TensorDescriptor(name: part.name(in: module), dataType: type, shape: shape)
    }
  }

  /// The tensors with their values.
  /// - Throws: when float16 does not hold a scale exactly, or a zero point has no code.
  public func encode(_ weight: QuantizedTensor, module: String) throws(CheckpointError) -> [(TensorDescriptor, Tensor)] {
    let announced = try descriptors(module: module, scheme: weight.scheme, shape: weight.shape)
    let scales = try scales(of: weight, module: module)
    var encoded: [(TensorDescriptor, Tensor)] = []
    for (part, descriptor) in zip(parts, announced) {
      let values: Tensor? =
        switch part {
        case .codes: self == .awq ? CodePacking.awq(weight.codes) : CodePacking.transposed(weight.codes)
        case .zeroPoints: zeroPoints(of: weight)
        case .scales: CodePacking.transposed(scales)
        case .groups: Self.groups(of: weight)
        }
      guard let values, values.shape == descriptor.shape, values.dataType == descriptor.dataType else {
        guard part != .zeroPoints else {
          throw CheckpointError(
            kind: .usage, subject: descriptor.name,
            problem: "a zero point of 0 has no place in version 1 of GPTQ's layout, which keeps them less 1",
            remedy: "write it as version 2, as asymmetric weights are")
        }
        throw CheckpointError(
          kind: .usage, subject: descriptor.name, problem: "its values do not fit \(descriptor.dataType.rawValue) \(descriptor.shape)")
      }
      encoded.append((descriptor, values))
    }
    return encoded
  }

  /// - Throws: of kind `usage` when float16 does not hold a scale exactly.
  public func check(scalesOf weight: QuantizedTensor, module: String) throws(CheckpointError) {
    _ = try scales(of: weight, module: module)
  }

  private func scales(of weight: QuantizedTensor, module: String) throws(CheckpointError) -> Tensor {
    guard let scales = weight.scales.exactly(.float16) else {
      throw CheckpointError(
        kind: .usage, subject: Part.scales.name(in: module),
        problem: "\(name) keeps scales as float16, which does not hold these \(weight.scales.dataType.rawValue) ones exactly",
        remedy: "keep --format compressed-tensors, or quantize the original model with --format \(name)")
    }
    return scales
  }

  /// What a weight is read back as; the weight itself where it cannot be written.
  public func readBack(_ weight: QuantizedTensor) -> QuantizedTensor {
    let narrow = weight.withScales(as: .float16)
    let scheme = stored(weight.scheme)
    guard scheme != weight.scheme else { return narrow }
    return QuantizedTensor(
      scheme: scheme, shape: narrow.shape, codes: narrow.codes, scales: narrow.scales, zeroPoints: Self.zeros(narrow.scales.shape))
      ?? narrow
  }

  /// Bytes of 0: the middle of the range.
  static func zeros(_ shape: Shape) -> Tensor { Tensor(dataType: .int8, shape: shape) { _ in } }

  private func zeroPoints(of weight: QuantizedTensor) -> Tensor? {
    guard let points = CodePacking.transposed(weight.zeroPoints ?? Self.zeros(weight.scales.shape)) else { return nil }
    switch self {
    case .awq: return CodePacking.awq(alongColumns: points)
    case .gptq(let version):
      let bits = weight.scheme.bits
      return (version == 1 ? CodePacking.adding(-1, to: points, bits: bits) : points).flatMap {
        CodePacking.packed(signedBytes: $0, bits: bits)
      }
    }
  }

  /// Groups follow each other in the order of the inputs.
  private static func groups(of weight: QuantizedTensor) -> Tensor {
    Tensor(dataType: .int32, shape: [weight.inputs]) { target in
      let output = target.bindMemory(to: Int32.self)
      for input in 0..<weight.inputs { output[input] = Int32(truncatingIfNeeded: input / weight.groupSize) }
    }
  }
}
