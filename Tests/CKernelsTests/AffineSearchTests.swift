import CKernels
import Testing

extension KernelTests {
  @Suite struct AffineSearch {
    static let kernels = ["dso_quantize_affine"]
    private static let types = [DSO_SCALE_F32, DSO_SCALE_F16, DSO_SCALE_BF16]

    private struct Found {
      var codes: [UInt8], scales: [Float], minima: [Float], nonfinite: Int64
    }

    private func quantize(
      _ x: [Float], rows: Int, importance: [Float]? = nil, bits: Int, group: Int, type: dso_scale_type = DSO_SCALE_BF16, plain: Bool = false
    ) -> Found {
      let k = x.count / rows, groups = (k + group - 1) / group, words = (k * bits + 31) / 32
      let scratch = GuardedArray<UInt8>(
        count: Int(dso_affine_search_scratch_bytes(Int64(rows), Int64(k), Int64(group))), canary: 0xff)
      defer { scratch.expectIntact("search of \(rows) by \(k)") }
      var search = dso_affine_search(bits: Int32(bits), plain: plain ? 1 : 0, by_magnitude: 0, type: type, group: Int64(group))
      var packed = [UInt32](repeating: 0, count: rows * words)
      var found = Found(
        codes: Array(repeating: 0, count: x.count), scales: Array(repeating: .nan, count: rows * groups),
        minima: Array(repeating: .nan, count: rows * groups), nonfinite: 0)
      found.nonfinite = dso_quantize_affine(
        &search, x, Int64(k), Int64(rows), Int64(k), importance, &packed, &found.scales, &found.minima, scratch.pointer)
      for row in 0..<rows {
        found.codes.withUnsafeMutableBufferPointer { codes in
          guard let target = codes.baseAddress else { return }
          dso_unpack_codes(Array(packed[row * words..<(row + 1) * words]), Int64(k), Int32(bits), target + row * k)
        }
      }
      return found
    }

    /// By the definition, of every group: u · scale + minimum in two roundings.
    private func errors(_ x: [Float], _ found: Found, rows: Int, group: Int, importance: [Float]? = nil) -> [Double] {
      let k = x.count / rows, groups = (k + group - 1) / group
      var sums = [Double](repeating: 0, count: rows * groups)
      for index in x.indices {
        let place = index / k * groups + index % k / group
        let value = Float(found.codes[index]) * found.scales[place] + found.minima[place]
        sums[place] += Double(importance?[index % k] ?? 1) * (Double(x[index]) - Double(value)) * (Double(x[index]) - Double(value))
      }
      return sums
    }

    /// MLX's own rounding in float32, its scale and bias then rounded to the type.
    private func errorOfMLX(_ x: ArraySlice<Float>, bits: Int, type: dso_scale_type) -> Double {
      let low = x.min() ?? 0, high = x.max() ?? 0, top = Float((1 << bits) - 1), isLow = abs(low) > abs(high)
      var scale = max((high - low) / top, 1e-7) * (isLow ? 1 : -1)
      let edge = isLow ? low : high, steps = (edge / scale).rounded(.toNearestOrEven)
      if steps != 0 { scale = edge / steps }
      let bias = steps == 0 ? 0 : edge
      let stored = (scale: rounded(scale, type), bias: rounded(bias, type))
      return x.reduce(0) { sum, weight in
        let code = min(max(((weight - bias) / scale).rounded(.toNearestOrEven), 0), top)
        let rest = Double(weight) - Double(code * stored.scale + stored.bias)
        return sum + rest * rest
      }
    }

    private func rounded(_ value: Float, _ type: dso_scale_type) -> Float {
      var half: UInt16 = 0, back: Float = 0
      switch type {
      case DSO_SCALE_F16:
        dso_convert_f32_to_f16([value], &half, 1)
        dso_convert_f16_to_f32(&half, &back, 1)
      case DSO_SCALE_BF16:
        dso_convert_f32_to_bf16([value], &half, 1)
        dso_convert_bf16_to_f32(&half, &back, 1)
      default: return value
      }
      return back
    }

    private func weights(_ count: Int, using numbers: inout TestNumbers) -> [Float] {
      (0..<count).map { _ in
        let three = numbers.floats(3, -0.05...0.05).reduce(0, +)
        return UInt8.random(in: 0..<40, using: &numbers) == 0 ? three * 3 : three
      }
    }

    @Test(arguments: [2, 3, 4, 5, 6, 8])
    func neverWorseThanMLX(_ bits: Int) {
      var numbers = TestNumbers(seed: 31)
      for type in Self.types {
        for group in [32, 64, 128] {
          let x = weights(4 * 256, using: &numbers)
          let found = quantize(x, rows: 4, bits: bits, group: group, type: type)
          #expect(found.scales.allSatisfy { rounded($0, type) == $0 } && found.minima.allSatisfy { rounded($0, type) == $0 })
          var (ours, theirs) = (0.0, 0.0)
          for (place, error) in errors(x, found, rows: 4, group: group).enumerated() {
            let reference = errorOfMLX(x[place * group..<(place + 1) * group], bits: bits, type: type)
            #expect(error <= reference * (1 + 1e-5), "group \(place) of \(group), \(bits) bits")
            ours += error
            theirs += reference
          }
          #expect(ours < 0.95 * theirs, "\(bits) bits, groups of \(group): \(ours / theirs)")
        }
      }
    }

    @Test func importanceMovesTheGrid() {
      var numbers = TestNumbers(seed: 32)
      let x = weights(8 * 128, using: &numbers)
      let importance = (0..<128).map { $0 % 4 == 0 ? Float(20) : 0.1 }
      let even = errors(x, quantize(x, rows: 8, bits: 3, group: 64), rows: 8, group: 64, importance: importance)
      let weighed = errors(
        x, quantize(x, rows: 8, importance: importance, bits: 3, group: 64), rows: 8, group: 64, importance: importance)
      let plain = errors(
        x, quantize(x, rows: 8, importance: importance, bits: 3, group: 64, plain: true), rows: 8, group: 64, importance: importance)
      #expect(weighed.reduce(0, +) < 0.8 * even.reduce(0, +))
      #expect(zip(weighed, plain).allSatisfy { $0 <= $1 * (1 + 1e-5) })
    }

    @Test func groupsOfOneValueAreExactAndOddOnesCounted() {
      let constant = quantize(Array(repeating: 0.75, count: 96), rows: 1, bits: 4, group: 32)
      #expect(errors(Array(repeating: 0.75, count: 96), constant, rows: 1, group: 32) == [0, 0, 0])
      let zeros = quantize(Array(repeating: 0, count: 64), rows: 2, bits: 2, group: 32)
      #expect(zeros.scales.allSatisfy(\.isFinite) && errors(Array(repeating: 0, count: 64), zeros, rows: 2, group: 32) == [0, 0])
      let two = quantize([-0.5, 0.25, 0.25, -0.5], rows: 1, bits: 2, group: 4)
      #expect(errors([-0.5, 0.25, 0.25, -0.5], two, rows: 1, group: 4) == [0])
      let odd = quantize([1, .nan, -.infinity, 0.5], rows: 1, bits: 4, group: 4)
      #expect(odd.nonfinite == 2 && odd.scales[0].isFinite && odd.minima[0].isFinite)
    }

    /// A last group that is shorter, and groups longer than a row.
    @Test func groupsNeedNotDivideTheRow() {
      var numbers = TestNumbers(seed: 33)
      let x = weights(3 * 70, using: &numbers)
      let short = quantize(x, rows: 3, bits: 4, group: 32), whole = quantize(x, rows: 3, bits: 4, group: 100)
      #expect(short.scales.count == 9 && whole.scales.count == 3)
      for row in 0..<3 {
        let tail = Array(x[row * 70 + 64..<row * 70 + 70])
        let alone = quantize(tail, rows: 1, bits: 4, group: 6)
        #expect(alone.scales[0] == short.scales[row * 3 + 2] && alone.minima[0] == short.minima[row * 3 + 2])
        let full = quantize(Array(x[row * 70..<row * 70 + 70]), rows: 1, bits: 4, group: 70)
        #expect(full.scales[0] == whole.scales[row])
      }
    }
  }
}
