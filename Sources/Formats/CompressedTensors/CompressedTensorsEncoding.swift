import Diagnostics
import Tensors

/// The tensors that compressed-tensors keeps for one quantized module, and how they follow from a `QuantizedTensor`.
///
/// Nothing is computed anew: codes, scales and zero points are rearranged, so the dequantized values stay what they are.
/// The layouts are those of compressed-tensors 0.20:
///
/// | tensor | `pack-quantized` | `int-quantized`, `naive-quantized` |
/// | --- | --- | --- |
/// | codes | `weight_packed` I32 `[N, ⌈K·bits/32⌉]` | `weight` I8 `[N, K]` |
/// | scales | `weight_scale` `[N, groups]` | the same |
/// | shape | `weight_shape` I64 `[2]` | none |
/// | scale of the inputs, when static | `input_scale` `[1]`, of the type of the scales | the same |
/// | zero points, when asymmetric | `weight_zero_point` I32 `[⌈N·bits/32⌉, groups]`, streams run down N | I8 `[N, groups]` |
///
/// Floats:
///
/// | tensor | `float-quantized` | `nvfp4-pack-quantized` | `mxfp4-pack-quantized` |
/// | --- | --- | --- | --- |
/// | codes | `weight` F8_E4M3 `[N, K]` | `weight_packed` U8 `[N, K/2]`, the low nibble first | the same |
/// | scales | `weight_scale` `[N, 1]`, `[1]` or one per square | F8_E4M3 `[N, K/16]` | U8 `[N, K/32]`, exponents plus 127 |
/// | what these are divided by | none | `weight_global_scale` F32 `[1]` | none |
public enum CompressedTensorsEncoding {
  /// The parts of a module that this package knows, in checkpoint spelling.
  enum Part: String, CaseIterable {
    case packed = "weight_packed"
    case bytes = "weight"
    case scale = "weight_scale"
    case shape = "weight_shape"
    case zeroPoint = "weight_zero_point"
    case inputScale = "input_scale"
    case globalScale = "weight_global_scale"

    func name(in module: String) -> String { module.isEmpty ? rawValue : "\(module).\(rawValue)" }
  }

  /// Every tensor that may hold a piece of the parameter `<module>.weight`.
  public static func partNames(ofParameter name: String) -> [String] {
    Part.allCases.map { $0.name(in: moduleName(ofParameter: name)) }
  }

  /// The module that a parameter `<module>.weight` belongs to.
  public static func moduleName(ofParameter name: String) -> String {
    name.hasSuffix(".weight") ? String(name.dropLast(".weight".count)) : name
  }

  /// Whether a module lies in one of the numbered experts of a mixture: `model.layers.3.mlp.experts.17.up_proj`.
  public static func isExpert(_ module: String) -> Bool {
    let parts = module.utf8.split(separator: UInt8(ascii: "."))
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    return zip(parts, parts.dropFirst()).contains { $0.elementsEqual("experts".utf8) && $1.allSatisfy(digits.contains) }
  }

  /// The tensors of a module, in the order codes, scales, shape, zero points, scale of the inputs.
  ///
  /// - Parameters:
  ///   - shape: the logical weight, `[outputs, inputs]`, both positive.
  ///   - scaleType: the type of the scales; loaders expect that of the model.
  ///   - format: nil for the one that `CompressedTensorsFormat.format(for:inputs:isExpert:)` chooses.
  public static func descriptors(
    module: String, scheme: QuantizationScheme, shape: Shape, scaleType: DataType, format: CompressedTensorsFormat? = nil
  ) throws(CheckpointError) -> [TensorDescriptor] {
    guard shape.rank == 2, shape[0] > 0, shape[1] > 0, shape[0] <= maximumExtent, shape[1] <= maximumExtent else {
      throw CheckpointError(
        kind: .usage, subject: Part.bytes.name(in: module), problem: "a weight of shape \(shape) cannot be quantized",
        remedy: "leave it dense with --ignore")
    }
    let chosen: CompressedTensorsFormat
    do {
      let natural = try CompressedTensorsFormat.format(for: scheme, inputs: shape[1], isExpert: isExpert(module))
      chosen = format ?? natural
    } catch {
      throw CheckpointError(kind: error.kind, subject: Part.bytes.name(in: module), problem: error.problem, remedy: error.remedy)
    }
    let (outputs, inputs) = (shape[0], shape[1])
    let groups = QuantizedTensor.groupCount(inputs: inputs, scheme.granularity)
    func tensor(_ part: Part, _ type: DataType, _ shape: Shape) -> TensorDescriptor {
      TensorDescriptor(name: part.name(in: module), dataType: type, shape: shape)
    }
    if scheme.levels != .even {
      return floatParts(scheme, shape: shape, scaleType: scaleType).map { tensor($0.part, $0.type, $0.shape) }
    }
    var tensors: [TensorDescriptor] = []
    if chosen.isPacked {
      tensors.append(tensor(.packed, .int32, [outputs, CodePacking.words(of: inputs, bits: scheme.bits)]))
    } else {
      tensors.append(tensor(.bytes, .int8, [outputs, inputs]))
    }
    tensors.append(tensor(.scale, scaleType, [outputs, groups]))
    if chosen.isPacked { tensors.append(tensor(.shape, .int64, [2])) }
    if !scheme.symmetric {
      let packed: Shape = [CodePacking.words(of: outputs, bits: scheme.bits), groups]
      tensors.append(chosen.isPacked ? tensor(.zeroPoint, .int32, packed) : tensor(.zeroPoint, .int8, [outputs, groups]))
    }
    if scheme.activations == .int8Static { tensors.append(tensor(.inputScale, scaleType, [1])) }
    return tensors
  }

  /// Larger extents come from damaged files; the bound keeps every product of an extent and a width representable.
  static let maximumExtent = 1 << 40

  /// The tensors with their values. Packed codes are passed on as they are, without a copy.
  public static func encode(
    _ tensor: QuantizedTensor, module: String, format: CompressedTensorsFormat? = nil
  ) throws(CheckpointError) -> [(TensorDescriptor, Tensor)] {
    let announced = try descriptors(
      module: module, scheme: tensor.scheme, shape: tensor.shape, scaleType: tensor.scales.dataType, format: format)
    var encoded: [(TensorDescriptor, Tensor)] = []
    for descriptor in announced {
      guard let values = part(of: tensor, descriptor, module: module), values.shape == descriptor.shape else {
        if tensor.scheme.activations == .int8Static, tensor.inputScale == nil {
          throw CheckpointError(
            kind: .usage, subject: descriptor.name, problem: "no scale of its static activations was found",
            remedy: "let the pass static-activations follow the one that quantizes")
        }
        throw CheckpointError(
          kind: .usage, subject: descriptor.name, problem: "its values do not fit \(descriptor.dataType.rawValue) \(descriptor.shape)")
      }
      encoded.append((descriptor, values))
    }
    return encoded
  }

  private static func part(of tensor: QuantizedTensor, _ descriptor: TensorDescriptor, module: String) -> Tensor? {
    let bits = tensor.scheme.bits
    switch Part.allCases.first(where: { $0.name(in: module) == descriptor.name }) {
    case _ where tensor.scheme.levels != .even:
      return Part.allCases.first { $0.name(in: module) == descriptor.name }.flatMap { floatValues($0, of: tensor) }
    case .packed: return tensor.codes
    case .bytes: return CodePacking.signedBytes(tensor.codes, columns: tensor.inputs, bits: bits)
    case .scale: return tensor.scales
    case .shape:
      return Tensor(dataType: .int64, shape: [2]) { bytes in
        bytes.storeBytes(of: Int64(tensor.outputs).littleEndian, toByteOffset: 0, as: Int64.self)
        bytes.storeBytes(of: Int64(tensor.inputs).littleEndian, toByteOffset: 8, as: Int64.self)
      }
    case .zeroPoint:
      guard let points = tensor.zeroPoints else { return nil }
      return descriptor.dataType == .int32 ? CodePacking.packedDownColumns(points, bits: bits) : points
    case .inputScale:
      return tensor.inputScale.flatMap { Tensor([$0], shape: [1]).converted(to: descriptor.dataType) }
    case .globalScale, nil: return nil
    }
  }
}
