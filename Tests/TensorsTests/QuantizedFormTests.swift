import Testing

@testable import Tensors

/// Other forms of the same values.
@Suite struct QuantizedFormTests {
  private let inputs = 64

  private func weight(
    _ offset: CodeOffset, _ granularity: Granularity, scales: [Float], as type: DataType = .float16, points: [Int8] = []
  ) throws -> QuantizedTensor {
    let words = (0..<2 * inputs / 8).map { Int32(truncatingIfNeeded: 0x7654_3210 &+ $0 &* 0x0101_3571) }
    let codes = Tensor(dataType: .int32, shape: [2, inputs / 8]) { target in
      for (index, word) in words.enumerated() { target.storeBytes(of: word, toByteOffset: index * 4, as: Int32.self) }
    }
    let extent: Shape = [2, scales.count / 2]
    let stored = try #require(Tensor(scales, shape: extent).exactly(type))
    return try #require(
      QuantizedTensor(
        scheme: QuantizationScheme(bits: 4, offset: offset, granularity: granularity), shape: [2, inputs], codes: codes,
        scales: stored, zeroPoints: points.isEmpty ? nil : Tensor(int8: points, shape: extent)))
  }

  @Test func smallerGroupsHaveTheScalesOfLargerOnes() throws {
    let channel = try weight(.zeroPoint, .channel, scales: [0.5, 0.25], points: [-3, 5])
    let groups = try #require(channel.withGroups(of: 32))
    #expect(groups.scheme.granularity == .group(32) && groups.scales.float32Values() == [0.5, 0.5, 0.25, 0.25])
    #expect(groups.dequantized().float32Values() == channel.dequantized().float32Values())
    let two = try weight(.none, .group(32), scales: [1, 2, 3, 4])
    #expect(two.withGroups(of: 16)?.scales.float32Values() == [1, 1, 2, 2, 3, 3, 4, 4])
    #expect(two.withGroups(of: 16)?.dequantized().float32Values() == two.dequantized().float32Values())
    #expect(two.withGroups(of: 64) == nil && two.withGroups(of: 24) == nil && two.withGroups(of: 0) == nil)
  }

  /// −(zero point + 8) times the scale must be a number of the type.
  @Test func zeroPointsBecomeMinimaWhereTheTypeHoldsThem() throws {
    let exact = try weight(.zeroPoint, .group(32), scales: [0.5, 0.375, 0x1p-14, 2], points: [-8, -3, 7, 0])
    let minima = try #require(exact.withMinima(as: .float16))
    #expect(minima.scheme.offset == .minimum && minima.minima?.float32Values() == [0, -1.875, -15 * 0x1p-14, -16])
    #expect(minima.dequantized().float32Values() == exact.dequantized().float32Values())
    // Eleven bits of a scale times fifteen steps take fifteen; beyond 65504 there is nothing.
    for (scale, point) in [(Float(0x1.ffcp-3), Int8(7)), (8192, 7)] {
      #expect(try weight(.zeroPoint, .channel, scales: [scale, 1], points: [point, 0]).withMinima(as: .float16) == nil)
    }
    // A scale that float16 does not hold.
    #expect(try weight(.none, .channel, scales: [0.1, 1], as: .float32).withMinima(as: .float16) == nil)
    #expect(minima.withMinima() == nil)
  }

  @Test func zeroPointsInTheMiddleAreNone() throws {
    let middle = try weight(.zeroPoint, .channel, scales: [0.5, 0.25], points: [0, 0])
    let plain = try #require(middle.withoutZeroPoints())
    #expect(plain.scheme.symmetric && plain.dequantized().float32Values() == middle.dequantized().float32Values())
    #expect(try weight(.zeroPoint, .channel, scales: [0.5, 0.25], points: [0, 1]).withoutZeroPoints() == nil)
    #expect(plain.withoutZeroPoints() == nil)
  }
}
