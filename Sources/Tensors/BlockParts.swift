import CKernels

/// The scales of a weight in the form that GGUF's blocks have them.
package struct BlockParts: Sendable {
  /// float16 `[outputs, blocks]`.
  private let scales: Tensor?
  private let minima: Tensor?
  /// int8 `[outputs, groups]`, in superblocks only.
  private let scaleCodes: Tensor?
  private let minimumCodes: Tensor?
  /// uint8 `[outputs, blocks]`, of powers of two only.
  private let exponents: Tensor?

  /// Zeros, for a kernel to fill in.
  package init(_ scheme: QuantizationScheme, outputs: Int, blocks: Int, groups: Int) {
    func tensor(_ type: DataType, _ columns: Int) -> Tensor { Tensor(dataType: type, shape: [outputs, columns]) { _ in } }
    let hasMinima = scheme.offset == .minimum
    if case .superblock = scheme.scales {
      (scaleCodes, minimumCodes) = (tensor(.int8, groups), hasMinima ? tensor(.int8, groups) : nil)
    } else {
      (scaleCodes, minimumCodes) = (nil, nil)
    }
    exponents = scheme.scales == .powerOfTwo ? tensor(.uint8, blocks) : nil
    scales = exponents == nil ? tensor(.float16, blocks) : nil
    minima = hasMinima ? tensor(.float16, blocks) : nil
  }

  /// Nil when a scale is not one that the blocks hold.
  init?(_ weight: QuantizedTensor) {
    switch weight.scheme.scales {
    case .superblock:
      guard let parts = weight.parts else { return nil }
      (scales, minima, scaleCodes, minimumCodes) = (parts.shared, parts.sharedMinima, parts.codes, parts.minimumCodes)
      exponents = nil
    case .powerOfTwo:
      guard let exponents = Self.exponents(weight.scales) else { return nil }
      self.exponents = exponents
      (scales, minima, scaleCodes, minimumCodes) = (nil, nil, nil, nil)
    case .direct:
      guard let narrow = weight.scales.exactly(.float16) else { return nil }
      scales = narrow
      if let minima = weight.minima {
        guard let narrow = minima.exactly(.float16) else { return nil }
        self.minima = narrow
      } else {
        minima = nil
      }
      (scaleCodes, minimumCodes, exponents) = (nil, nil, nil)
    case .float8: return nil
    }
  }

  /// A weight with these parts.
  package func weight(_ scheme: QuantizationScheme, shape: Shape, codes: Tensor) -> QuantizedTensor? {
    if let exponents { return QuantizedTensor(scheme: scheme, shape: shape, codes: codes, scales: Self.powers(exponents)) }
    guard let scales else { return nil }
    guard let scaleCodes else { return QuantizedTensor(scheme: scheme, shape: shape, codes: codes, scales: scales, minima: minima) }
    return QuantizedTensor(
      scheme: scheme, shape: shape, codes: codes,
      parts: ScaleParts(shared: scales, sharedMinima: minima, codes: scaleCodes, minimumCodes: minimumCodes))
  }

  /// Where kernels read or write them, of all rows; valid during the call. Written to only before anyone else has seen them.
  package func withUnsafeParts<Result>(_ body: (dso_block_parts) throws -> Result) rethrows -> Result {
    func address<Element>(_ tensor: Tensor?, _ type: Element.Type) -> UnsafeMutablePointer<Element>? {
      tensor.flatMap { tensor in
        tensor.withUnsafeBytes { bytes in
          bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0).assumingMemoryBound(to: type) }
        }
      }
    }
    defer { withExtendedLifetime(self) {} }
    return try body(
      dso_block_parts(
        scales: address(scales, UInt16.self), minima: address(minima, UInt16.self), scale_codes: address(scaleCodes, Int8.self),
        minimum_codes: address(minimumCodes, UInt8.self), exponents: address(exponents, UInt8.self)))
  }

  /// 2^(exponent − 127) as float32; 255 is not a number.
  package static func powers(_ exponents: Tensor) -> Tensor {
    exponents.withUnsafeBytes { bytes in
      Tensor(bytes.map { $0 == 255 ? .nan : $0 == 0 ? 0x1p-127 : Float(bitPattern: UInt32($0) << 23) }, shape: exponents.shape)
    }
  }

  /// Nil when a scale is no power of two from 2^−127 to 2^127.
  package static func exponents(_ scales: Tensor) -> Tensor? {
    guard let values = scales.float32Values() else { return nil }
    var isExact = true
    let exponents = Tensor(dataType: .uint8, shape: scales.shape) { target in
      for (index, value) in values.enumerated() {
        let exponent = value == 0x1p-127 ? 0 : value.bitPattern >> 23
        isExact = isExact && (value == 0x1p-127 || (value.bitPattern & 0x7f_ffff == 0 && (1...254).contains(exponent)))
        target[index] = UInt8(truncatingIfNeeded: exponent)
      }
    }
    return isExact ? exponents : nil
  }
}

extension dso_block_parts {
  /// Those of one row.
  package func row(_ row: Int, blocks: Int, groups: Int) -> dso_block_parts {
    dso_block_parts(
      scales: scales.map { $0 + row * blocks }, minima: minima.map { $0 + row * blocks },
      scale_codes: scale_codes.map { $0 + row * groups },
      minimum_codes: minimum_codes.map { $0 + row * groups }, exponents: exponents.map { $0 + row * blocks })
  }
}

extension Tensor {
  /// The same values as another floating-point type; nil when it does not hold them all exactly.
  package func exactly(_ type: DataType) -> Tensor? {
    if type == dataType { return self }
    guard let narrow = converted(to: type), let back = narrow.float32Values(), let values = float32Values() else { return nil }
    return zip(back, values).allSatisfy { $0 == $1 } ? narrow : nil
  }
}
