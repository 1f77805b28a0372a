import CKernels
import Testing

extension KernelTests {
  @Suite struct Packing {
    static let kernels = ["dso_pack_codes", "dso_unpack_codes", "dso_dequantize"]

    @Test(arguments: 2...8)
    func codesAreALittleEndianBitStream(bits: Int) {
      var numbers = TestNumbers(seed: 61)
      for count in boundaries + [0, 32, 1000] {
        let codes = (0..<count).map { _ in UInt8.random(in: 0..<UInt8(clamping: 1 << bits), using: &numbers) }
        let wordCount = (count * bits + 31) / 32
        var expected = [UInt32](repeating: 0, count: wordCount)
        for (index, code) in codes.enumerated() {
          for bit in 0..<bits where code >> bit & 1 == 1 { expected[(index * bits + bit) / 32] |= 1 << ((index * bits + bit) % 32) }
        }
        for set in allSets {
          let words = GuardedArray<UInt32>(count: wordCount, canary: 0xdead_beef)
          let back = GuardedArray<UInt8>(count: count, canary: 0xaa)
          with(set) {
            dso_pack_codes(codes, Int64(count), Int32(bits), words.pointer)
            dso_unpack_codes(words.pointer, Int64(count), Int32(bits), back.pointer)
          }
          #expect(words.elements == expected, "\(name(set)) \(count)")
          #expect(back.elements == codes, "\(name(set)) \(count)")
          words.expectIntact("\(name(set)) \(count)")
          back.expectIntact("\(name(set)) \(count)")
        }
      }
    }

    /// Exact: a small integer times a float is one rounding, the same everywhere.
    @Test func dequantizesToTheBit() {
      var numbers = TestNumbers(seed: 62)
      for (index, k) in (boundaries + [1030]).enumerated() {
        for (other, storage) in Products.storages.enumerated() where (index + other) % 3 == 0 {
          let storage = storage.fitting(k)
          let n = 4, ld = k + 1
          let w = WeightMatrix(storage, n: n, k: k, using: &numbers)
          for set in allSets {
            let out = GuardedArray<Float>(count: 2 * ld, canary: -77)
            var view = w.view
            with(set) { dso_dequantize(&view, 1, 3, out.pointer, Int64(ld)) }
            let wrong = (0..<2 * k).first { out[$0 / k * ld + $0 % k] != w.value(1 + $0 / k, $0 % k) }
            #expect(wrong == nil, "\(name(set)) \(storage) k \(k)")
            #expect(out[k] == -77)
            out.expectIntact("\(name(set)) \(storage)")
          }
        }
      }
    }
  }

  @Suite struct Grid {
    static let kernels = ["dso_min_max", "dso_quantize_group"]

    @Test func extremesPassOverNaN() {
      var numbers = TestNumbers(seed: 63)
      for count in boundaries {
        for variant in 0..<4 {
          var x = numbers.floats(count)
          if variant == 1 { x[count / 2] = .nan }
          if variant == 2 { x[count - 1] = .infinity }
          if variant == 3 { x = x.map { _ in .nan } }
          let finite = x.filter { !$0.isNaN }
          for set in allSets {
            var low: Float = 0, high: Float = 0
            var odd: Int64 = -1
            with(set) { dso_min_max(x, Int64(count), &low, &high, &odd) }
            #expect(low == finite.min() ?? .infinity, "\(name(set)) \(count) \(variant)")
            #expect(high == finite.max() ?? -.infinity, "\(name(set)) \(count) \(variant)")
            #expect(Int(odd) == x.filter { !$0.isFinite }.count, "\(name(set)) \(count) \(variant)")
          }
        }
      }
    }

    @Test(arguments: 2...8)
    func groupsAreQuantizedByTheDefinition(bits: Int) {
      var numbers = TestNumbers(seed: 64)
      let half = 1 << (bits - 1)
      for count in boundaries {
        for (scale, zeroPoint) in [(Float(0.07), 0), (0.5, half - 1), (2, -half), (1, 1), (0, -1), (1e-3, 0)] {
          var x = numbers.floats(count, -3...3)
          // Ties, which a reciprocal would miss, and the edges of clamping.
          for (at, value) in [scale * 0.5, scale * 1.5, -scale * 2.5, scale * Float(half) * 4, -scale * (Float(half) + 0.5)].enumerated()
          where at < count { x[at] = value }
          var clamped = 0
          let expected = x.map { value -> UInt8 in
            let steps = scale == 0 ? 0 : value / scale
            let exact = Double(steps) + Double(zeroPoint)
            if exact > Double(half) - 0.5 || exact < -Double(half) - 0.5 { clamped += 1 }
            let code = Double(steps.rounded(.toNearestOrEven)) + Double(zeroPoint)
            return UInt8(min(max(code, -Double(half)), Double(half - 1)) + Double(half))
          }
          for set in allSets {
            let codes = GuardedArray<UInt8>(count: count, canary: 0xaa)
            let reported = with(set) { dso_quantize_group(x, Int64(count), scale, Int32(zeroPoint), Int32(bits), codes.pointer) }
            #expect(codes.elements == expected, "\(name(set)) \(count) scale \(scale) zero \(zeroPoint)")
            #expect(Int(reported) == clamped, "\(name(set)) \(count) scale \(scale) zero \(zeroPoint)")
            codes.expectIntact("\(name(set))")
          }
        }
      }
    }
  }
}
