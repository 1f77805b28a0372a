import Foundation
import Tensors

/// How a sample parameter is stored.
enum StoredForm: Sendable {
  case dense(DataType)
  case quantized(QuantizationScheme, scales: DataType = .float32, inputScale: Float? = nil)

  /// Random values of that shape in ±size.
  func sample(_ shape: Shape, seed: UInt64, size: Double) -> Weight? {
    var random = SeededRandom(seed: seed)
    switch self {
    case .dense(let type):
      // Vectors are gains, lengths and biases; most of those are about 1.
      let centre = shape.rank == 1 ? 0.9 : 0
      let values = (0..<shape.elementCount).map { _ in Float(centre + size * (2 * random.nextUnit() - 1)) }
      return Tensor(values, shape: shape).converted(to: type).map(Weight.dense)
    case .quantized(let scheme, let scaleType, let inputScale):
      let (rows, columns) = (shape[0], shape[1])
      let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: scheme.bits)
      let codes = Tensor(dataType: .int32, shape: [rows, words]) { bytes in
        for bit in 0..<rows * columns * scheme.bits where random.next() >> 63 == 1 {
          let (row, place) = bit.quotientAndRemainder(dividingBy: columns * scheme.bits)
          bytes[row * words * 4 + place / 8] |= 1 << UInt8(place % 8)
        }
      }
      let parts = Shape([rows, QuantizedTensor.groupCount(inputs: columns, scheme.granularity)])
      let largest = size / Double(scheme.codeRange.upperBound)
      let scales = (0..<parts.elementCount).map { _ in Float(largest * (0.5 + random.nextUnit() / 2)) }
      let points = (0..<parts.elementCount).map { _ in Int8.random(in: -2...1, using: &random) }
      return Tensor(scales, shape: parts).converted(to: scaleType).flatMap { stored in
        QuantizedTensor(
          scheme: scheme, shape: shape, codes: codes, scales: stored,
          zeroPoints: scheme.offset == .zeroPoint ? Tensor(int8: points, shape: parts) : nil,
          minima: scheme.offset == .minimum ? Tensor(zip(scales, points).map { -$0 * Float($1 + 9) }, shape: parts) : nil,
          inputScale: inputScale)
      }.map(Weight.quantized)
    }
  }

  /// What the stored bits stand for, read bit by bit.
  static func values(of weight: Weight) -> Grid {
    let dimensions = weight.shape.dimensions
    var result = Grid(rows: dimensions.count == 2 ? dimensions[0] : 1, columns: dimensions.last ?? 0)
    switch weight {
    case .dense(let tensor): result.values = floats(tensor)
    case .quantized(let tensor):
      let (scheme, scales) = (tensor.scheme, floats(tensor.scales))
      let points: [Int8] = tensor.zeroPoints.map { $0.withUnsafeBytes { Array($0.bindMemory(to: Int8.self)) } } ?? []
      let minima = tensor.minima.map(floats)
      let stored = tensor.codes.withUnsafeBytes { Array($0) }
      for (row, column) in (0..<result.rows).flatMap({ row in (0..<result.columns).map { (row, $0) } }) {
        var code = 0
        for bit in 0..<scheme.bits {
          let place = column * scheme.bits + bit
          code |= Int(stored[row * tensor.wordsPerRow * 4 + place / 8] >> UInt8(place % 8) & 1) << bit
        }
        let part = row * tensor.groups + column / tensor.groupSize
        if let minima {
          result[row, column] = Double(code) * scales[part] + minima[part]
          continue
        }
        let zero = (1 << (scheme.bits - 1)) + (points.isEmpty ? 0 : Int(points[part]))
        result[row, column] = Double(code - zero) * scales[part]
      }
    }
    return result
  }

  static func inputScale(of weight: Weight) -> Float? {
    if case .quantized(let tensor) = weight { tensor.inputScale } else { nil }
  }

  /// IEEE numbers by their definition: sign, exponent, fraction.
  private static func floats(_ tensor: Tensor) -> [Double] {
    let (exponentBits, fractionBits) = tensor.dataType == .float16 ? (5, 10) : (8, tensor.dataType == .bfloat16 ? 7 : 23)
    return tensor.withUnsafeBytes { bytes in
      (0..<tensor.shape.elementCount).map { index in
        let bits =
          tensor.dataType == .float32
          ? bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)
          : UInt32(bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
        let fraction = Double(bits & (1 << fractionBits - 1)) * pow(2, -Double(fractionBits))
        let exponent = Int(bits >> fractionBits & (1 << exponentBits - 1)), bias = 1 << (exponentBits - 1) - 1
        let magnitude = exponent == 0 ? fraction * pow(2, Double(1 - bias)) : (1 + fraction) * pow(2, Double(exponent - bias))
        return bits >> (exponentBits + fractionBits) & 1 == 1 ? -magnitude : magnitude
      }
    }
  }
}
