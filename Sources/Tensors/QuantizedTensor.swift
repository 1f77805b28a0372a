import CKernels

/// A quantized weight matrix `[outputs, inputs]`, in the one canonical form that every writer re-encodes and every kernel reads.
///
/// The weight is `(code − zeroPoint) · scale`, computed in float32, with codes in `scheme.codeRange`; with levels that are not even it is
/// `scheme.levels.values[u] · scale`, and with minima `u · scale + minimum`, the product rounded before the sum, *u* being the code as it is
/// stored.
/// Codes are stored unsigned, `u = code + 2^(bits−1)`: code *i* of a row owns bits `[i·bits, (i+1)·bits)` of a little-endian bit stream
/// that starts on a 32-bit word. This is the payload of compressed-tensors' `pack-quantized` and of MLX (formats.md 2 and 3), so both are
/// written without touching a code.
public struct QuantizedTensor: Sendable {
  public let scheme: QuantizationScheme
  /// `[outputs, inputs]`.
  public let shape: Shape
  /// Int32 `[outputs, words]`, `words = ⌈inputs·bits/32⌉`.
  public let codes: Tensor
  /// float32, float16 or bfloat16, `[outputs, groups]`: exactly the values that are stored, or that what is stored stands for.
  public let scales: Tensor
  /// Int8 `[outputs, groups]`, signed like the codes; nil when the scheme has none.
  public let zeroPoints: Tensor?
  /// The weight of each group's smallest code, of the type of `scales` and as many; nil when the scheme has none.
  public let minima: Tensor?
  /// What scales and minima were computed from, where they are not stored as they are; nil when they are.
  public let parts: ScaleParts?
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

  /// A weight whose scales and minima are computed from `parts`; nil as below.
  public init?(scheme: QuantizationScheme, shape: Shape, codes: Tensor, parts: ScaleParts) {
    guard shape.rank == 2, let scales = parts.scales(of: scheme, shape: shape) else { return nil }
    self.init(scheme: scheme, shape: shape, codes: codes, scales: scales, minima: parts.minima(of: scheme, shape: shape), parts: parts)
  }

  /// Nil unless every part has the type and extent that scheme and shape ask for, and the scheme is consistent.
  public init?(
    scheme: QuantizationScheme, shape: Shape, codes: Tensor, scales: Tensor, zeroPoints: Tensor? = nil, minima: Tensor? = nil,
    inputScale: Float? = nil
  ) {
    guard scheme.scales == .direct || scheme.scales == .powerOfTwo else { return nil }
    self.init(
      scheme: scheme, shape: shape, codes: codes, scales: scales, zeroPoints: zeroPoints, minima: minima, inputScale: inputScale, parts: nil
    )
  }

  private init?(
    scheme: QuantizationScheme, shape: Shape, codes: Tensor, scales: Tensor, zeroPoints: Tensor? = nil, minima: Tensor? = nil,
    inputScale: Float? = nil, parts: ScaleParts?
  ) {
    guard shape.rank == 2, shape[0] > 0, shape[1] > 0, (2...8).contains(scheme.bits), scheme.isConsistent else { return nil }
    let (outputs, inputs) = (shape[0], shape[1])
    let extent = Shape([outputs, Self.groupCount(inputs: inputs, scheme.granularity)])
    guard codes.dataType == .int32, codes.shape == [outputs, Self.wordsPerRow(inputs: inputs, bits: scheme.bits)],
      [.float32, .float16, .bfloat16].contains(scales.dataType), scales.shape == extent,
      (zeroPoints != nil) == (scheme.offset == .zeroPoint), (minima != nil) == (scheme.offset == .minimum)
    else { return nil }
    if let zeroPoints, zeroPoints.dataType != .int8 || zeroPoints.shape != extent { return nil }
    if let minima, minima.dataType != scales.dataType || minima.shape != extent { return nil }
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
    self.minima = minima
    self.parts = parts
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
    return QuantizedTensor(
      scheme: scheme, shape: shape, codes: codes, scales: scales, zeroPoints: zeroPoints, minima: minima, inputScale: scale, parts: parts)
  }

  /// The same weights, their scales of another type that holds them exactly; itself when it does not.
  public func withScales(as type: DataType) -> QuantizedTensor {
    guard type != scales.dataType, let converted = scales.converted(to: type) else { return self }
    return QuantizedTensor(
      scheme: scheme, shape: shape, codes: codes, scales: converted, zeroPoints: zeroPoints, minima: minima?.converted(to: type),
      inputScale: inputScale, parts: parts) ?? self
  }

  /// The same scales with other codes.
  package func withCodes(_ codes: Tensor) -> QuantizedTensor? {
    QuantizedTensor(
      scheme: scheme, shape: shape, codes: codes, scales: scales, zeroPoints: zeroPoints, minima: minima, inputScale: inputScale,
      parts: parts)
  }

  /// The same weights with their rows in another order.
  /// - Parameter order: for each row of the result the row here; each once.
  public func withRows(_ order: [Int]) -> QuantizedTensor? {
    // Rows of a square share their scales: another order would part them.
    if case .block = scheme.granularity { return nil }
    guard order.count == outputs else { return nil }
    return QuantizedTensor(
      scheme: scheme, shape: shape, codes: codes.gatheringRows(order), scales: scales.gatheringRows(order),
      zeroPoints: zeroPoints?.gatheringRows(order), minima: minima?.gatheringRows(order), inputScale: inputScale,
      parts: parts?.withRows(order))
  }

  /// Bytes of codes, scales, and zero points or minima together, as they are stored.
  public var byteCount: Int {
    codes.byteCount + (parts?.byteCount ?? scales.byteCount + (minima?.byteCount ?? 0)) + (zeroPoints?.byteCount ?? 0)
  }

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
    let (scaleValues, minimumValues) = (scales.float32Values() ?? [], minima?.float32Values() ?? [])
    return try codes.withUnsafeBytes { codes in
      try withUnsafeBuffers(scaleValues, minimumValues) { scales, minima in
        var view = dso_weights()
        view.storage = DSO_STORAGE_QUANTIZED
        view.data = codes.baseAddress
        view.row_bytes = Int64(wordsPerRow * 4)
        view.n = Int64(outputs)
        view.k = Int64(inputs)
        view.bits = Int32(scheme.bits)
        view.group_size = Int64(groupSize)
        view.scales = scales.baseAddress
        if scheme.offset == .minimum { view.minima = minima.baseAddress }
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

/// Both arrays' elements during `body`.
private func withUnsafeBuffers<Result>(
  _ first: [Float], _ second: [Float], _ body: (UnsafeBufferPointer<Float>, UnsafeBufferPointer<Float>) throws -> Result
) rethrows -> Result {
  try first.withUnsafeBufferPointer { first in try second.withUnsafeBufferPointer { try body(first, $0) } }
}
