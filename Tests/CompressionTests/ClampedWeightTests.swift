import Execution
import Tensors
import Testing

@testable import Compression

/// Weights beyond what the codes of their group reach, for the types whose scales are searched: they are counted as grids count theirs.
@Suite struct ClampedWeightTests {
  private let pool = ThreadPool(threads: 2)

  private static let types: [WeightType] = [
    .q6_K, .q5_K, .q4_K, .q3_K, .q2_K, .q5_1, .q4_1, .iq4_NL, .fp8, .fp8Tensor, .fp8Block, .mxfp4, .nvfp4,
  ]

  private func counted(_ values: [Float], columns: Int, _ type: WeightType) throws -> (tensor: QuantizedTensor, clipped: Int) {
    let scheme = try #require(type.blockScheme)
    return try SearchedScales.quantize(
      .tensor(Tensor(values, shape: [values.count / columns, columns])), named: "w", as: scheme, scaleType: .float16, pool: pool)
  }

  /// Scales of float16 end at 65504, times the largest code: what lies beyond is clamped, all of it. Powers of two reach everything that is a
  /// number, and so does a scale in float32 over all others.
  @Test(arguments: types) func whatNoScaleReachesIsCounted(_ type: WeightType) throws {
    // Both signs, so that no minimum helps; a row beside it that is as weights are.
    let values = (0..<512).map { index -> Float in index < 256 ? (index % 2 == 0 ? 1e9 : -1e9) : Float(index % 17) - 8 }
    let (tensor, clipped) = try counted(values, columns: 256, type)
    let found = try #require(tensor.dequantized().float32Values())
    let reachesAll = type == .mxfp4 || type == .nvfp4
    let short = found.prefix(256).count { abs($0) < 5e8 }
    #expect(short == (reachesAll ? 0 : 256))
    #expect(reachesAll ? clipped < 256 : (256...512).contains(clipped), "\(clipped)")
  }

  /// The outermost values: 448 and the step of 32 before it, 6 and 2, −127 and 23, 113 and 24; of integers one step. Weights are rounded to
  /// them from half a step beyond, and clamped from further away.
  @Test func halfAStepBeyondTheLastIsRounding() throws {
    func count(_ scheme: QuantizationScheme, scale: Float, minimum: Float? = nil, _ values: [Float]) throws -> Int {
      let columns = 32
      let row = values + [Float](repeating: 0, count: columns - values.count)
      let words = QuantizedTensor.wordsPerRow(inputs: columns, bits: scheme.bits)
      let codes = Tensor(dataType: .int32, shape: [1, words]) { _ = $0.initializeMemory(as: UInt8.self, repeating: 0) }
      let tensor = try #require(
        QuantizedTensor(
          scheme: scheme, shape: [1, columns], codes: codes,
          scales: Tensor([scale], shape: [1, 1]), minima: minimum.map { Tensor([$0], shape: [1, 1]) }))
      return ClampedWeights.count(in: tensor, of: .tensor(Tensor(row, shape: [1, columns])), pool: pool)
    }
    func scheme(_ bits: Int, _ offset: CodeOffset = .none, _ levels: CodeLevels = .even) -> QuantizationScheme {
      QuantizationScheme(bits: bits, offset: offset, granularity: .group(32), levels: levels)
    }
    let float8 = scheme(8, .none, .float8)
    #expect(try count(float8, scale: 2, [928, -928]) == 0)
    #expect(try count(float8, scale: 2, [929, -929, 927, 1e30]) == 3)
    let float4 = scheme(4, .none, .float4)
    #expect(try count(float4, scale: 0.5, [3.5, -3.5]) == 0)
    #expect(try count(float4, scale: 0.5, [3.51, -3.51, 3]) == 2)
    let levels = scheme(4, .none, .nonlinear4)
    #expect(try count(levels, scale: 1, [125, -138.5]) == 0)
    #expect(try count(levels, scale: 1, [125.1, -138.6]) == 2)
    // The sign of a scale turns the range around.
    #expect(try count(levels, scale: -1, [138.5, -125]) == 0)
    #expect(try count(levels, scale: -1, [138.6, -125.1]) == 2)
    let integers = scheme(4, .minimum)
    #expect(try count(integers, scale: 1, minimum: -3, [12.5, -3.5]) == 0)
    #expect(try count(integers, scale: 1, minimum: -3, [12.6, -3.6]) == 2)
    #expect(try count(scheme(4), scale: 1, [7.5, -8.5]) == 0)
    #expect(try count(scheme(4), scale: 1, [7.6, -8.6]) == 2)
    // Under a scale of 0 nothing is clamped: the group has vanished, which is counted elsewhere.
    #expect(try count(integers, scale: 0, minimum: 0, [1, 2, 3]) == 0)
  }
}
