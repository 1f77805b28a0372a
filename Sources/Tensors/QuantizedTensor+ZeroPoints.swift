extension QuantizedTensor {
  /// The same weights with whole zero points in the place of minima, or with none where all of them are in the middle of the codes; nil where a
  /// minimum is no whole number of steps.
  package func withWholeZeroPoints() -> QuantizedTensor? {
    guard scheme.offset == .minimum, scheme.scales == .direct, let scales = scales.float32Values(), let minima = minima?.float32Values()
    else { return nil }
    let half = 1 << (scheme.bits - 1)
    var points = [Int8](repeating: 0, count: scales.count)
    for (index, (scale, minimum)) in zip(scales, minima).enumerated() {
      let steps = scale == 0 ? Float(half) : (-minimum / scale).rounded(.toNearestOrEven)
      guard steps >= 0, steps < Float(2 * half), -(steps * scale) == minimum, Double(steps) * Double(scale) == -Double(minimum) else {
        return nil
      }
      points[index] = Int8(Int(steps) - half)
    }
    var scheme = scheme
    let isSymmetric = points.allSatisfy { $0 == 0 }
    scheme.offset = isSymmetric ? .none : .zeroPoint
    return QuantizedTensor(
      scheme: scheme, shape: shape, codes: codes, scales: self.scales,
      zeroPoints: isSymmetric ? nil : Tensor(int8: points, shape: self.scales.shape))
  }
}
