import CKernels

/// A quantized weight matrix `[outputs, inputs]`, in the one canonical form that every writer re-encodes and every kernel reads.
///
/// The weight is `(code − zeroPoint) · scale`, computed in float32, with codes in `scheme.codeRange`; with levels that are not even it is
/// `scheme.levels.values[u] · scale`, *u* being the code as it is stored.
/// Codes are stored unsigned, `u = code + 2^(bits−1)`: code *i* of a row owns bits `[i·bits, (i+1)·bits)` of a little-endian bit stream
/// that starts on a 32-bit word. This is the payload of compressed-tensors' `pack-quantized` and of MLX (formats.md 2 and 3), so both are
/// written without touching a code.
public struct QuantizedTensor: Sendable {
  public let scheme: QuantizationScheme
  /// `[outputs, inputs]`.
  public let shape: Shape
  /// Int32 `[outputs, words]`, `words = ⌈inputs·bits/32⌉`.
  public let codes: Tensor
  /// float32, float16 or bfloat16, `[outputs, groups]`: exactly the values that are stored.
  public let scales: Tensor
  /// Int8 `[outputs, groups]`, signed like the codes; nil when symmetric.
  public let zeroPoints: Tensor?
  /// The scale of the layer's inputs, representable in the type of `scales`; only with `int8Static`, and nil there until calibration has found
  /// it: the inputs then have a scale per token.
  public let inputScale: Float?

  public var outputs: Int { shape[0] }
  public var inputs: Int { shape[1] }
  public var groupSize: Int { scheme.granularity.groupSize(inputs: inputs) }
  /// Scales per row.
  public var groups: Int { Self.groupCount(inputs: inputs, scheme.granularity) }
  /// 32-bit words per row of codes.
  public var wordsPerRow: Int { Self.wordsPerRow(inputs: inputs, bits: scheme.bits) }

  /// Nil unless every part has the type and extent that scheme and shape ask for, and the scheme suits its levels.
  public init?(
    scheme: QuantizationScheme, shape: Shape, codes: Tensor, scales: Tensor, zeroPoints: Tensor?, inputScale: Float? = nil
  ) {
    guard shape.rank == 2, shape[0] > 0, shape[1] > 0, (2...8).contains(scheme.bits), scheme.suitsLevels else { return nil }
    if case .group(let size) = scheme.granularity, size <= 0 { return nil }
    let (outputs, inputs) = (shape[0], shape[1])
    let parts = Shape([outputs, Self.groupCount(inputs: inputs, scheme.granularity)])
    guard codes.dataType == .int32, codes.shape == [outputs, Self.wordsPerRow(inputs: inputs, bits: scheme.bits)],
      [.float32, .float16, .bfloat16].contains(scales.dataType), scales.shape == parts,
      (zeroPoints == nil) == scheme.symmetric
    else { return nil }
    if let zeroPoints, zeroPoints.dataType != .int8 || zeroPoints.shape != parts { return nil }
    if let inputScale {
      guard scheme.activations == .int8Static, inputScale > 0, inputScale.isFinite, scales.dataType.rounded(inputScale) == inputScale
      else { return nil }
    }
    self.inputScale = inputScale
    self.scheme = scheme
    self.shape = shape
    self.codes = codes
    self.scales = scales
    self.zeroPoints = zeroPoints
  }

  public static func wordsPerRow(inputs: Int, bits: Int) -> Int { (inputs * bits + 31) / 32 }

  /// Groups in a row; the last one is shorter when the size does not divide `inputs`.
  public static func groupCount(inputs: Int, _ granularity: Granularity) -> Int {
    let size = granularity.groupSize(inputs: inputs)
    return (inputs + size - 1) / size
  }

  /// The same weights under inputs of another kind; nil when the scale does not go with it.
  public func quantizingInputs(as activations: ActivationQuantization, scale: Float? = nil) -> QuantizedTensor? {
    var scheme = scheme
    scheme.activations = activations
    return QuantizedTensor(scheme: scheme, shape: shape, codes: codes, scales: scales, zeroPoints: zeroPoints, inputScale: scale)
  }

  /// The same weights, their scales of another type that holds them exactly; itself when it does not.
  public func withScales(as type: DataType) -> QuantizedTensor {
    guard type != scales.dataType, let converted = scales.converted(to: type) else { return self }
    return QuantizedTensor(
      scheme: scheme, shape: shape, codes: codes, scales: converted, zeroPoints: zeroPoints, inputScale: inputScale) ?? self
  }

  /// Bytes of codes, scales and zero points together.
  public var byteCount: Int { codes.byteCount + scales.byteCount + (zeroPoints?.byteCount ?? 0) }

  /// The weights as float32 `[outputs, inputs]`.
  public func dequantized() -> Tensor {
    Tensor(dataType: .float32, shape: shape) { target in
      guard let output = target.bindMemory(to: Float.self).baseAddress else { return }
      withKernelView { view in
        var view = view
        dso_dequantize(&view, 0, Int64(outputs), output, Int64(inputs))
      }
    }
  }

  /// Hands the parts to `body` in the form kernels take; valid during the call only, but for `levels`, which stay.
  public func withKernelView<Result>(_ body: (dso_weights) throws -> Result) rethrows -> Result {
    let scaleValues = scales.float32Values() ?? []
    return try codes.withUnsafeBytes { codes in
      try scaleValues.withUnsafeBufferPointer { scales in
        var view = dso_weights()
        view.storage = DSO_STORAGE_QUANTIZED
        view.data = codes.baseAddress
        view.row_bytes = Int64(wordsPerRow * 4)
        view.n = Int64(outputs)
        view.k = Int64(inputs)
        view.bits = Int32(scheme.bits)
        view.group_size = Int64(groupSize)
        view.scales = scales.baseAddress
        view.levels = scheme.levels.kernelTable
        guard let zeroPoints else { return try body(view) }
        return try zeroPoints.withUnsafeBytes { points in
          view.zero_points = points.bindMemory(to: Int8.self).baseAddress
          return try body(view)
        }
      }
    }
  }
}
