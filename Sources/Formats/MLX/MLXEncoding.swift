import Diagnostics
import Tensors

/// The tensors that MLX keeps for a quantized layer, and how they follow from a `QuantizedTensor`.
///
/// No code is touched. What has whole zero points gets minima in their place, exactly or not at all.
public enum MLXEncoding {
  enum Part: String, CaseIterable {
    case weight, scales, biases

    func name(in module: String) -> String { module.isEmpty ? rawValue : "\(module).\(rawValue)" }
  }

  /// The names of the parts in the order that `descriptors` and `encode` have.
  public static let partNames = Part.allCases.map(\.rawValue)

  /// The tensors of a layer: codes, scales, and in the mode `affine` minima.
  /// - Parameters:
  ///   - shape: the logical weight, `[outputs, inputs]`, both positive.
  ///   - scaleType: the type of scales and minima; other modes than `affine` have their own.
  /// - Throws: when MLX cannot hold the scheme.
  public static func descriptors(
    module: String, scheme: QuantizationScheme, shape: Shape, scaleType: DataType
  ) throws(CheckpointError) -> [TensorDescriptor] {
    let name = Part.weight.name(in: module)
    guard shape.rank == 2, shape[0] > 0, shape[1] > 0, shape[0] <= maximumExtent, shape[1] <= maximumExtent else {
      throw CheckpointError(
        kind: .usage, subject: name, problem: "a weight of shape \(shape) cannot be quantized", remedy: "leave it dense with --ignore")
    }
    let settings: MLXSettings
    do { settings = try MLXSettings(for: scheme, inputs: shape[1]) } catch {
      throw CheckpointError(kind: error.kind, subject: name, problem: "mlx: \(error.problem)", remedy: error.remedy)
    }
    let extent = Shape([shape[0], shape[1] / settings.groupSize])
    let words = Shape([shape[0], QuantizedTensor.wordsPerRow(inputs: shape[1], bits: settings.bits)])
    let isAffine = settings.mode == .affine
    var tensors = [
      TensorDescriptor(name: name, dataType: .uint32, shape: words),
      TensorDescriptor(name: Part.scales.name(in: module), dataType: isAffine ? scaleType : .uint8, shape: extent),
    ]
    if isAffine { tensors.append(TensorDescriptor(name: Part.biases.name(in: module), dataType: scaleType, shape: extent)) }
    return tensors
  }

  /// Larger extents come from damaged files; the bound keeps every product of an extent and a width representable.
  static let maximumExtent = 1 << 40

  /// What is read back of a weight that is written.
  ///
  /// A symmetric weight's minimum is −2^(bits−1) times its scale, which every type holds; one with a zero point is held where −(zero point +
  /// 2^(bits−1)) times the scale is a value of the scales' type, which products of 8 bits and most scales are not.
  /// In float32, MLX's two roundings may differ by the last place from the one of such weights; in narrower types both are exact.
  /// - Throws: of kind `usage` where MLX would have other values.
  public static func stored(_ tensor: QuantizedTensor, module: String) throws(CheckpointError) -> QuantizedTensor {
    func refused(_ problem: String, _ remedy: String) -> CheckpointError {
      CheckpointError(kind: .usage, subject: Part.weight.name(in: module), problem: problem, remedy: remedy)
    }
    if let divisor = tensor.parts?.shared, tensor.scheme.scales == .float8, divisor.float32Values() != [1] {
      throw refused("mlx keeps no scale of a whole NVFP4 weight, and it has one", sharedScaleRemedy)
    }
    guard tensor.scheme.scales == .direct, tensor.scheme.levels == .even, tensor.scheme.offset != .minimum else { return tensor }
    guard let stored = tensor.withMinima() else {
      throw refused(
        "mlx keeps minima, and \(tensor.scales.dataType.rawValue) does not hold those of its zero points exactly", inexactRemedy)
    }
    return stored
  }

  /// For NVFP4 weights, of which every one that is quantized here has a scale of the whole.
  public static let sharedScaleRemedy = "quantize with --type mxfp4, or with --bits 4 --group-size 32"

  /// For weights whose zero points become no minima.
  public static let inexactRemedy = "quantize the original with --format mlx --method asymmetric, which finds minima in their own right"

  /// The tensors with their values.
  public static func encode(_ tensor: QuantizedTensor, module: String) throws(CheckpointError) -> [(TensorDescriptor, Tensor)] {
    let stored = try stored(tensor, module: module)
    let announced = try descriptors(module: module, scheme: stored.scheme, shape: stored.shape, scaleType: stored.scales.dataType)
    let parts = [stored.codes.reinterpreted(as: .uint32), scales(of: stored), stored.minima]
    var encoded: [(TensorDescriptor, Tensor)] = []
    for (descriptor, part) in zip(announced, parts) {
      guard let part, part.dataType == descriptor.dataType, part.shape == descriptor.shape else {
        throw CheckpointError(
          kind: .usage, subject: descriptor.name, problem: "its values do not fit \(descriptor.dataType.rawValue) \(descriptor.shape)")
      }
      encoded.append((descriptor, part))
    }
    return encoded
  }

  private static func scales(of tensor: QuantizedTensor) -> Tensor? {
    switch tensor.scheme.scales {
    case .powerOfTwo: BlockParts.exponents(tensor.scales)
    case .float8: tensor.parts?.codes.reinterpreted(as: .uint8)
    default: tensor.scales
    }
  }
}
