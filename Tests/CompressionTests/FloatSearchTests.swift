import Execution
import Tensors
import Testing

@testable import Compression

/// Weights as floats of eight and four bits: which scales they get.
@Suite struct FloatSearchTests {
  private let pool = SearchFixture.pool

  private func weight(_ rows: Int, _ columns: Int) throws -> Tensor { try SearchFixture.weight(rows, columns, .float32) }

  private func quantized(_ weight: Tensor, _ type: WeightType, scaleType: DataType = .float32, importance: [Float]? = nil) throws
    -> QuantizedTensor
  {
    let scheme = try #require(type.blockScheme)
    let search = try #require(FreeSearch(scheme, scaleType: scaleType))
    return try search.quantize(.tensor(weight), named: "w", importance: importance, pool: pool)
  }

  /// As a share of the weight's power.
  private func error(_ tensor: QuantizedTensor, _ weight: Tensor) throws -> Double {
    try SearchFixture.error(weight, tensor) / (weight.float32Values() ?? []).reduce(0) { $0 + Double($1) * Double($1) }
  }

  /// The largest magnitude of what shares a scale is 448 of it.
  @Test(arguments: [WeightType.fp8, .fp8Tensor, .fp8Block]) func theLargestMagnitudeSaysTheScale(type: WeightType) throws {
    let (rows, columns) = (150, 260)
    let weight = try weight(rows, columns)
    let tensor = try quantized(weight, type)
    let values = try #require(weight.float32Values()), scales = try #require(tensor.scales.float32Values())
    let side = (rows: type == .fp8 ? 1 : type == .fp8Block ? 128 : rows, columns: type == .fp8Block ? 128 : columns)
    for row in stride(from: 0, to: rows, by: 37) {
      for group in 0..<tensor.groups {
        let sharing = row / side.rows * side.rows..<min(rows, (row / side.rows + 1) * side.rows)
        let inputs = group * side.columns..<min(columns, (group + 1) * side.columns)
        let peak = sharing.flatMap { r in inputs.map { abs(values[r * columns + $0]) } }.max() ?? 0
        #expect(scales[row * tensor.groups + group] == peak / 448)
      }
    }
    #expect(try error(tensor, weight) < 0.001)
    #expect(tensor.storedScales.shape == QuantizedTensor.storedScaleShape(tensor.scheme.granularity, shape: [rows, columns]))
  }

  @Test func scalesAreRoundedBeforeCodesAreFound() throws {
    let weight = try weight(8, 64)
    let tensor = try quantized(weight, .fp8, scaleType: .bfloat16)
    #expect(tensor.scales.dataType == .bfloat16)
    #expect(try error(tensor, weight) < 0.001)
  }

  @Test func fourBitFloatsAreBetterSearchedThanMXFP4() throws {
    let weight = try weight(16, 256)
    let (nvfp4, mxfp4) = (try quantized(weight, .nvfp4), try quantized(weight, .mxfp4))
    #expect(try error(nvfp4, weight) < 0.01 && error(nvfp4, weight) < error(mxfp4, weight))
    // The largest scale is the largest that E4M3 has, or next to it.
    let codes = try #require(nvfp4.parts?.codes)
    #expect(codes.withUnsafeBytes { $0.max() ?? 0 } >= 0x79)
    #expect(nvfp4.scheme.name == "NVFP4")
  }

  @Test func importanceMovesTheError() throws {
    let weight = try weight(16, 256)
    let importance = (0..<256).map { Float($0 % 16 == 3 ? 100 : 1) }
    let (plain, weighed) = (try quantized(weight, .nvfp4), try quantized(weight, .nvfp4, importance: importance))
    func cost(_ tensor: QuantizedTensor) throws -> Double { try SearchFixture.error(weight, tensor, importance) }
    #expect(try cost(weighed) < cost(plain))
  }

  @Test func zerosAndWhatIsNotFinite() throws {
    let zeros = Tensor([Float](repeating: 0, count: 64), shape: [2, 32])
    for type in [WeightType.fp8, .fp8Tensor, .fp8Block, .nvfp4] {
      let values = try quantized(zeros, type).dequantized().float32Values()
      #expect(values?.allSatisfy { $0 == 0 } == true)
      let broken = Tensor([.nan] + [Float](repeating: 1, count: 63), shape: [2, 32])
      #expect(throws: CompressionError.self) { try quantized(broken, type) }
    }
  }
}
