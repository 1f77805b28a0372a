import CKernels

/// What the scales of a quantized weight, and its minima, were computed from: small codes per group over numbers that many groups share.
public struct ScaleParts: Sendable {
  /// What codes are multiplied with. In superblocks float16 `[outputs, inputs / 256]`; with E4M3 codes float32 `[1]`, what they are divided by.
  public let shared: Tensor
  /// What the codes of minima are multiplied with, float16 `[outputs, inputs / 256]`; nil without minima.
  public let sharedMinima: Tensor?
  /// A byte per group, `[outputs, groups]`: Int8 whole numbers in superblocks (of Q6_K and Q3_K signed, of the others from 0 on), or E4M3.
  public let codes: Tensor
  /// A byte per group, Int8 `[outputs, groups]`, from 0 on; nil without minima.
  public let minimumCodes: Tensor?

  public init(shared: Tensor, sharedMinima: Tensor? = nil, codes: Tensor, minimumCodes: Tensor? = nil) {
    (self.shared, self.sharedMinima, self.codes, self.minimumCodes) = (shared, sharedMinima, codes, minimumCodes)
  }

  var byteCount: Int {
    shared.byteCount + (sharedMinima?.byteCount ?? 0) + codes.byteCount + (minimumCodes?.byteCount ?? 0)
  }

  /// The scales that they stand for, float32 `[outputs, groups]`; nil when a part does not fit the scheme.
  func scales(of scheme: QuantizationScheme, shape: Shape) -> Tensor? {
    let extent = Shape([shape[0], QuantizedTensor.groupCount(inputs: shape[1], scheme.granularity)])
    switch scheme.scales {
    case .direct, .powerOfTwo: return nil
    case .superblock:
      let blocks = Shape([shape[0], shape[1] / ScaleEncoding.superblockSize])
      guard shape[1] % ScaleEncoding.superblockSize == 0, shared.dataType == .float16, shared.shape == blocks, codes.dataType == .int8,
        codes.shape == extent, (sharedMinima != nil) == (scheme.offset == .minimum), (minimumCodes != nil) == (sharedMinima != nil)
      else { return nil }
      if let sharedMinima, sharedMinima.dataType != .float16 || sharedMinima.shape != blocks { return nil }
      if let minimumCodes, minimumCodes.dataType != .int8 || minimumCodes.shape != extent { return nil }
      return Self.products(shared, codes, sign: 1)
    case .float8:
      guard shared.dataType == .float32, shared.shape.elementCount == 1, codes.dataType == .float8E4M3, codes.shape == extent,
        sharedMinima == nil, minimumCodes == nil, let divisor = shared.float32Values()?.first
      else { return nil }
      return codes.withUnsafeBytes { bytes in
        Tensor(bytes.map { Float8.value(ofE4M3: $0) / divisor }, shape: extent)
      }
    }
  }

  /// The minima that they stand for: what the file's numbers give is taken away from the weight.
  func minima(of scheme: QuantizationScheme, shape: Shape) -> Tensor? {
    guard let sharedMinima, let minimumCodes else { return nil }
    return Self.products(sharedMinima, minimumCodes, sign: -1)
  }

  /// Exact: a float16 times eight bits fits float32.
  private static func products(_ shared: Tensor, _ codes: Tensor, sign: Float) -> Tensor {
    let values = shared.float32Values() ?? []
    let perBlock = codes.shape.elementCount / max(1, values.count)
    return codes.withUnsafeBytes { bytes in
      Tensor(dataType: .float32, shape: codes.shape) { target in
        let output = target.bindMemory(to: Float.self)
        for (block, value) in values.enumerated() {
          for at in block * perBlock..<(block + 1) * perBlock { output[at] = sign * (value * Float(Int8(bitPattern: bytes[at]))) }
        }
      }
    }
  }

  func withRows(_ order: [Int]) -> ScaleParts {
    guard shared.shape.rank == 2 else {
      return ScaleParts(shared: shared, codes: codes.gatheringRows(order))
    }
    return ScaleParts(
      shared: shared.gatheringRows(order), sharedMinima: sharedMinima?.gatheringRows(order), codes: codes.gatheringRows(order),
      minimumCodes: minimumCodes?.gatheringRows(order))
  }
}

/// Eight-bit floating point with four bits of exponent and three of fraction (Micikevicius et al. 2022).
enum Float8 {
  /// Exactly the value of a code; NaN for the two codes that are none.
  static func value(ofE4M3 code: UInt8) -> Float {
    let (exponent, fraction) = (Int(code >> 3 & 15), Float(code & 7))
    let magnitude: Float =
      exponent == 15 && code & 7 == 7
      ? .nan : exponent == 0 ? fraction * 0x1p-9 : Float(sign: .plus, exponent: exponent - 7, significand: 1 + fraction / 8)
    return code & 0x80 == 0 ? magnitude : -magnitude
  }
}

extension Tensor {
  /// The rows of the outermost dimension in another order, or some of them.
  /// - Parameter order: for each row of the result the row here.
  package func gatheringRows(_ order: [Int]) -> Tensor {
    let rowBytes = byteCount / max(1, shape[0])
    return withUnsafeBytes { source in
      Tensor(dataType: dataType, shape: Shape([order.count] + shape.dimensions.dropFirst())) { target in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        for (index, row) in order.enumerated() { (to + index * rowBytes).copyMemory(from: from + row * rowBytes, byteCount: rowBytes) }
      }
    }
  }
}
