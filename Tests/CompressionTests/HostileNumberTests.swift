import Diagnostics
import Execution
import Tensors
import Testing

@testable import Compression

/// Numbers at the edges, for every way to quantize a matrix: what comes out is defined, or the weight is refused by name.
@Suite struct HostileNumberTests {
  private let pool = ThreadPool(threads: 2)

  /// Whatever is finite becomes codes and scales that stand for finite values, and zeros stay zeros.
  @Test(arguments: HostileWeights.allCases) func finiteWeightsBecomeFiniteOnes(_ pattern: HostileWeights) throws {
    for quantizer in NamedQuantizer.all {
      for type in [DataType.float32, .bfloat16, .float16] {
        let weight = try #require(pattern.weight(2, quantizer.columns, type))
        // What a format requires may be narrower than the weights are.
        for scaleType in type == .float16 ? [type] : [type, .float16] {
          let label: Comment = "\(quantizer.name), \(type) under \(scaleType)"
          let tensor = try quantizer.quantize(weight, scaleType, pool)
          let original = try #require(weight.float32Values()), values = try #require(tensor.dequantized().float32Values())
          let scales = try #require(tensor.scales.float32Values())
          #expect(scales.allSatisfy { $0.isFinite }, label)
          #expect(values.allSatisfy { $0.isFinite }, label)
          if let minima = tensor.minima?.float32Values() { #expect(minima.allSatisfy { $0.isFinite }, label) }
          for start in stride(from: 0, to: values.count, by: quantizer.columns) {
            let row = start..<start + quantizer.columns
            if original[row].allSatisfy({ $0 == 0 }) { #expect(values[row].allSatisfy { $0 == 0 }, label) }
          }
        }
      }
    }
  }

  /// One weight that is none, in the last place of all, where vectors have a rest.
  @Test(arguments: [Float.nan, .infinity, -.infinity]) func whatIsNoNumberIsRefusedByName(_ bad: Float) throws {
    for quantizer in NamedQuantizer.all {
      var values = [Float](repeating: 0.5, count: 2 * quantizer.columns)
      values[values.count - 1] = bad
      for type in [DataType.float32, .bfloat16, .float16] {
        let weight = try #require(Tensor(values, shape: [2, quantizer.columns]).converted(to: type))
        let error = #expect(throws: CompressionError.self, "\(quantizer.name) \(type)") { try quantizer.quantize(weight, type, pool) }
        #expect(error?.kind == .badData && error?.subject == "w", "\(quantizer.name) \(type)")
        #expect(error?.problem.contains("1 weights that are NaN or infinite") == true, "\(quantizer.name) \(type)")
      }
    }
  }

  /// Weights that no scale of float16 reaches are clamped to what one does, and counted.
  @Test(arguments: ScaleRule.allCases) func whatAScaleCannotReachIsCounted(_ rule: ScaleRule) throws {
    let weight = Tensor([3e6, -3e6, 1e6, 0, 1, 2, 3, 4], shape: [2, 4])
    let scheme = QuantizationScheme(bits: 4)
    let result = try RowQuantizer(scheme: scheme, rule: rule, scaleType: .float16).quantize(weight, named: "w", pool: pool)
    let values = try #require(result.tensor.dequantized().float32Values()), scales = try #require(result.tensor.scales.float32Values())
    #expect(abs(scales[0]) == 65504 && abs(scales[1]) < 1)
    // Half a range makes its scale for a code that positive weights do not have: the 4 of the second row is clamped to 7 as ever.
    #expect(result.clipped == (rule == .halfRange ? 4 : 3))
    #expect(values[0] >= 65504 * 7 && values[1] <= -65504 * 7 && values[3] == 0)
    #expect(abs(values[7] - 4) < 0.6)
  }
}
