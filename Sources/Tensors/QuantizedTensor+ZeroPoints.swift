extension QuantizedTensor {
  /// The same weights with whole zero points in the place of minima, or with none where all of them are in the middle of the codes; nil where a
  /// minimum is no whole number of steps, or where its sum with the product of a code and its scale is not the product of their difference:
  /// scales that fill a float32 make products that are rounded, those of float16 and bfloat16 never do.
  package func withWholeZeroPoints() -> QuantizedTensor? {
    guard scheme.offset == .minimum, scheme.scales == .direct, let scales = scales.float32Values(), let minima = minima?.float32Values()
    else { return nil }
    let half = 1 << (scheme.bits - 1)
    var points = [Int8](repeating: 0, count: scales.count)
    for (index, (scale, minimum)) in zip(scales, minima).enumerated() {
      let steps = scale == 0 ? Float(half) : (-minimum / scale).rounded(.toNearestOrEven)
      guard steps >= 0, steps < Float(2 * half), -(steps * scale) == minimum, Double(steps) * Double(scale) == -Double(minimum),
        Self.makesExactProducts(scale, bits: scheme.bits)
      else { return nil }
      points[index] = Int8(Int(steps) - half)
    }
    var scheme = scheme
    let isSymmetric = points.allSatisfy { $0 == 0 }
    scheme.offset = isSymmetric ? .none : .zeroPoint
    return QuantizedTensor(
      scheme: scheme, shape: shape, codes: codes, scales: self.scales,
      zeroPoints: isSymmetric ? nil : Tensor(int8: points, shape: self.scales.shape))
  }

  /// Whether every whole number of so many bits times the scale is a float32.
  private static func makesExactProducts(_ scale: Float, bits: Int) -> Bool {
    guard scale.isFinite, scale != 0 else { return scale == 0 }
    // The digits behind the first one, and the first one itself.
    let digits = scale.significandWidth + 1
    return digits + bits <= Float.significandBitCount + 1 && (scale * Float(1 << bits)).isFinite
  }
}
