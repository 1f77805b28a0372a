extension QuantizedTensor {
  /// The same weights in groups of so many inputs, each with the scale, and the zero point or minimum, of the larger group that it is a part of.
  /// - Returns: nil where such groups are no parts of the weight's own, or where scales are not stored as they are.
  package func withGroups(of size: Int) -> QuantizedTensor? {
    if case .block = scheme.granularity { return nil }
    guard scheme.scales == .direct, size > 0, inputs % size == 0, groupSize % size == 0 else { return nil }
    let (old, own) = (groups, groupSize)
    let places = (0..<inputs / size).map { $0 * size / own }
    func spread(_ tensor: Tensor) -> Tensor {
      let width = tensor.dataType.bitWidth / 8
      return Tensor(dataType: tensor.dataType, shape: [outputs, places.count]) { target in
        tensor.withUnsafeBytes { source in
          for row in 0..<outputs {
            for (index, place) in places.enumerated() {
              for byte in 0..<width { target[(row * places.count + index) * width + byte] = source[(row * old + place) * width + byte] }
            }
          }
        }
      }
    }
    var scheme = scheme
    scheme.granularity = .group(size)
    return QuantizedTensor(
      scheme: scheme, shape: shape, codes: codes, scales: spread(scales), zeroPoints: zeroPoints.map(spread), minima: minima.map(spread),
      inputScale: inputScale)
  }

  /// The same weights without zero points, where all of them are in the middle of the codes; nil where they are not, or there are none.
  package func withoutZeroPoints() -> QuantizedTensor? {
    guard let zeroPoints, zeroPoints.withUnsafeBytes({ $0.allSatisfy { $0 == 0 } }) else { return nil }
    var scheme = scheme
    scheme.offset = .none
    return QuantizedTensor(scheme: scheme, shape: shape, codes: codes, scales: scales, inputScale: inputScale)
  }

  /// The same weights with minima in the place of zero points, or of none, where a type holds the minima exactly: −(zero point + 2^(bits−1))
  /// times the scale.
  ///
  /// In float32, the two roundings of a code with a minimum may differ by the last place from the one of a code with a zero point; of scales in
  /// narrower types both are exact.
  /// - Parameter type: of scales and minima; nil for that of the scales.
  package func withMinima(as type: DataType? = nil) -> QuantizedTensor? {
    guard scheme.offset != .minimum, scheme.scales == .direct, scheme.levels == .even, let scales = scales.exactly(type ?? scales.dataType),
      let values = scales.float32Values()
    else { return nil }
    let half = 1 << (scheme.bits - 1)
    let points = zeroPoints?.withUnsafeBytes { $0.map { Int(Int8(bitPattern: $0)) } }
    var isExact = true
    let products = values.enumerated().map { index, scale -> Float in
      let steps = Float(half + (points?[index] ?? 0))
      let product = scale * steps
      isExact = isExact && product.isFinite && Double(scale) * Double(steps) == Double(product)
      return product == 0 ? 0 : -product
    }
    guard isExact, let minima = Tensor(products, shape: scales.shape).exactly(scales.dataType) else { return nil }
    var scheme = scheme
    scheme.offset = .minimum
    return QuantizedTensor(scheme: scheme, shape: shape, codes: codes, scales: scales, minima: minima)
  }
}
