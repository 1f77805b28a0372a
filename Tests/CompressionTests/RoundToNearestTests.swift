import Diagnostics
import Execution
import ModelGraph
import StructuredData
import Tensors
import Testing

@testable import Compression

@Suite struct RoundToNearestTests {
  private let pool = ThreadPool(threads: 2)

  private func weight(_ rows: Int, _ columns: Int, _ type: DataType = .float32, seed: UInt64 = 1) throws -> Tensor {
    var random = SeededRandom(seed: seed)
    let values = (0..<rows * columns).map { _ in Float(random.nextUnit() + random.nextUnit() + random.nextUnit() - 1.5) }
    return try #require(Tensor(values, shape: [rows, columns]).converted(to: type))
  }

  /// The same in plain Swift, one element at a time.
  private func reference(_ values: [Float], scheme: QuantizationScheme, rule: ScaleRule, type: DataType) -> [Float] {
    let grid = GroupGrid(minimum: values.min() ?? 0, maximum: values.max() ?? 0, scheme: scheme, rule: rule, scaleType: type)
    return values.map { value in
      let code = (value / grid.scale).rounded(.toNearestOrEven) + Float(grid.zeroPoint)
      let clamped = min(max(code, Float(scheme.codeRange.lowerBound)), Float(scheme.codeRange.upperBound))
      return (clamped - Float(grid.zeroPoint)) * grid.scale
    }
  }

  @Test(arguments: [2, 3, 4, 5, 6, 8], [true, false])
  func agreesWithTheDefinition(_ bits: Int, _ symmetric: Bool) throws {
    for (type, granularity, columns) in [
      (DataType.float32, Granularity.channel, 70), (.bfloat16, .group(32), 96), (.float16, .group(16), 48),
    ] {
      for rule in ScaleRule.allCases {
        let scheme = QuantizationScheme(bits: bits, symmetric: symmetric, granularity: granularity)
        let tensor = try weight(5, columns, type)
        let result = try RowQuantizer(scheme: scheme, rule: rule).quantize(tensor, named: "w", pool: pool)
        let values = try #require(tensor.float32Values())
        let size = granularity.groupSize(inputs: columns)
        let expected = stride(from: 0, to: values.count, by: size).flatMap { start in
          reference(Array(values[start..<start + size]), scheme: scheme, rule: rule, type: type)
        }
        #expect(result.tensor.dequantized().float32Values() == expected, "\(scheme.name) \(rule) \(type)")
        #expect(result.tensor.scales.dataType == type)
      }
    }
  }

  /// The weight of largest magnitude is the one that the signed rule reproduces, to the rounding of the scale.
  @Test(arguments: [Float(1), -1])
  func signedRuleReachesTheExtreme(_ sign: Float) throws {
    let tensor = Tensor([0.1, 0.2, sign * 0.75, -0.3, 0, 0.5, 0.25, -0.125], shape: [1, 8])
    let scheme = QuantizationScheme(bits: 4)
    let result = try RowQuantizer(scheme: scheme, rule: .signedAbsmax).quantize(tensor, named: "w", pool: pool)
    #expect(result.tensor.dequantized().float32Values()?[2] == sign * 0.75)
    #expect(result.clipped == 0)
  }

  @Test(arguments: [2, 4, 8], [true, false])
  func zerosAndTinyGroupsStayFinite(_ bits: Int, _ symmetric: Bool) throws {
    let scheme = QuantizationScheme(bits: bits, symmetric: symmetric, granularity: .group(4))
    let tensor = Tensor([0, 0, 0, 0, 0x1p-140, -0x1p-140, 0, 0, 2e38, -2e38, 1, 0, 1, 1, 1, 1], shape: [2, 8])
    let quantized = try RowQuantizer(scheme: scheme, rule: .signedAbsmax).quantize(tensor, named: "w", pool: pool).tensor
    let values = try #require(quantized.dequantized().float32Values())
    #expect(values.prefix(4) == [0, 0, 0, 0])
    #expect(values.allSatisfy { $0.isFinite })
    #expect(values[12...].allSatisfy { abs($0 - 1) < 0.01 })
  }

  @Test func nonFiniteWeightsAreRefusedByName() throws {
    for bad in [Float.nan, .infinity, -.infinity] {
      let tensor = Tensor([1, bad, 2, 3], shape: [1, 4])
      let error = #expect(throws: CompressionError.self) {
        try RowQuantizer(scheme: QuantizationScheme(bits: 8), rule: .signedAbsmax).quantize(tensor, named: "a.weight", pool: pool)
      }
      #expect(error?.subject == "a.weight" && error?.kind == .badData)
    }
  }

  @Test func threadsDoNotChangeAByte() throws {
    let tensor = try weight(33, 128, .bfloat16)
    let scheme = QuantizationScheme(bits: 3, symmetric: false, granularity: .group(32))
    let digests = try [1, 2, 4].map { threads in
      Weight.quantized(
        try RowQuantizer(scheme: scheme, rule: .signedAbsmax).quantize(tensor, named: "w", pool: ThreadPool(threads: threads)).tensor
      ).digest()
    }
    #expect(Set(digests).count == 1)
  }
}

@Suite struct PassOptionTests {
  @Test func optionsRoundTripForEveryPass() throws {
    for type in PassCatalog.passes {
      let pass = type.init()
      // What leaves nothing out by default is refused in a recipe.
      guard pass.mistake == nil else { continue }
      let again = try PassCatalog.pass(type.identifier, options: pass.options)
      #expect(again.options == pass.options)
      #expect(!pass.options.isEmpty)
    }
  }

  @Test func givenOptionsLieOverDefaults() throws {
    let pass = try RoundToNearest(options: ["bits": 3, "group-size": 64, "overrides": [["pattern": "re:.*down", "bits": 8]]])
    #expect(pass.targets.bits == 3 && pass.targets.groupSize == 64 && pass.targets.method == .symmetric)
    #expect(pass.targets.overrides == [.init(pattern: "re:.*down", bits: 8)])
  }

  @Test(arguments: [
    ["bit": 3] as JSONObject, ["bits": "three"], ["method": "other"], ["overrides": [["patern": "x"]]],
    ["overrides": [["pattern": "x", "width": 4]]],
    ["ignore": "lm_head"], ["bits": 3.5],
  ])
  func whatIsNotAnOptionIsRefused(_ options: JSONObject) {
    let error = #expect(throws: CompressionError.self) { try RoundToNearest(options: options) }
    #expect(error?.kind == .badConfiguration)
  }
}
