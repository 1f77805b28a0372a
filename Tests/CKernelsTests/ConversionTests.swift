import CKernels
import Testing

extension KernelTests {
  @Suite struct Conversions {
    static let kernels = [
      "dso_convert_bf16_to_f32", "dso_convert_f16_to_f32", "dso_convert_f64_to_f32", "dso_convert_f32_to_bf16", "dso_convert_f32_to_f16",
    ]

    /// Every 16-bit pattern.
    @Test func halvesWiden() {
      let patterns = (0...UInt16.max).map { $0 }
      for set in allSets {
        let wide = GuardedArray<Float>(count: 65536, canary: -77)
        with(set) { dso_convert_bf16_to_f32(patterns, wide.pointer, 65536) }
        #expect(wide.elements.enumerated().allSatisfy { $1.bitPattern == UInt32($0) << 16 }, "\(name(set)) bfloat16")
        with(set) { dso_convert_f16_to_f32(patterns, wide.pointer, 65536) }
        let wrong = wide.elements.enumerated().first { index, value in
          let expected = WeightMatrix.float(half: UInt16(index))
          return expected.isNaN ? !value.isNaN : value.bitPattern != expected.bitPattern
        }
        #expect(wrong == nil, "\(name(set)) float16 \(String(describing: wrong))")
        wide.expectIntact("\(name(set))")
      }
    }

    /// Values on, halfway between and just beside the numbers of the narrow type, by a search for the nearest that knows no bit tricks.
    @Test func floatsNarrowToNearestEven() {
      var numbers = TestNumbers(seed: 51)
      var inputs: [Float] = [0, -0.0, 1, -1, 65504, 65519.996, 65520, 1e30, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-26, 5e-8, 3.4e38, .infinity]
      for _ in 0..<4000 { inputs.append(Float(bitPattern: UInt32.random(in: 0...0xff7f_ffff, using: &numbers))) }
      for _ in 0..<4000 { inputs.append(Float.random(in: -0x1p-13...0x1p-13, using: &numbers)) }
      inputs = inputs.filter { !$0.isNaN }
      for exponent in -26..<17 {
        for step in 0..<64 { inputs.append(Float(sign: .plus, exponent: exponent, significand: 1 + Float(step) / 4096)) }
      }
      for set in allSets {
        let halves = GuardedArray<UInt16>(count: inputs.count, canary: 0xbeef)
        with(set) { dso_convert_f32_to_f16(inputs, halves.pointer, Int64(inputs.count)) }
        let wrong16 = zip(inputs, halves.elements).first { $1 != Self.nearest(to: $0, infinity: 0x7c00) { WeightMatrix.float(half: $0) } }
        #expect(wrong16 == nil, "\(name(set)) float16 \(String(describing: wrong16))")
        with(set) { dso_convert_f32_to_bf16(inputs, halves.pointer, Int64(inputs.count)) }
        let wrong = zip(inputs, halves.elements).first {
          $1 != Self.nearest(to: $0, infinity: 0x7f80) { Float(bitPattern: UInt32($0) << 16) }
        }
        #expect(wrong == nil, "\(name(set)) bfloat16 \(String(describing: wrong))")
        halves.expectIntact("\(name(set))")
      }
    }

    /// Bisects the ordered finite patterns, then chooses the nearer neighbour, the even one when both are as near.
    static func nearest(to x: Float, infinity: UInt16, value: (UInt16) -> Float) -> UInt16 {
      let sign: UInt16 = x.sign == .minus ? 0x8000 : 0
      let magnitude = Double(abs(x))
      var low: UInt16 = 0, high = infinity
      while high - low > 1 {
        let middle = low + (high - low) / 2
        if Double(value(middle)) <= magnitude { low = middle } else { high = middle }
      }
      let below = Double(value(low))
      if magnitude == .infinity { return sign | infinity }
      // Where the next number would be infinity, overflow begins where rounding with an unbounded exponent would reach it.
      let above = high == infinity ? below + (below - Double(value(low - 1))) : Double(value(high))
      let up = magnitude - below > above - magnitude || (magnitude - below == above - magnitude && high % 2 == 0)
      return sign | (up ? high : low)
    }

    @Test func notANumberStaysOne() {
      let inputs: [Float] = [.nan, -.nan, .signalingNaN, Float(bitPattern: 0x7f80_0001), Float(bitPattern: 0xffff_ffff)]
      let many = (0..<40).map { inputs[$0 % inputs.count] }
      for set in allSets {
        var halves = [UInt16](repeating: 0, count: 40)
        with(set) { dso_convert_f32_to_bf16(many, &halves, 40) }
        #expect(halves.allSatisfy { Float(bitPattern: UInt32($0) << 16).isNaN && $0 & 0x40 != 0 }, "\(name(set))")
        with(set) { dso_convert_f32_to_f16(many, &halves, 40) }
        #expect(halves.allSatisfy { $0 & 0x7fff > 0x7e00 || $0 & 0x7fff == 0x7e00 }, "\(name(set))")
      }
    }

    @Test func doublesAndUnalignedSources() {
      var numbers = TestNumbers(seed: 52)
      for count in boundaries {
        let doubles = (0..<count).map { _ in Double.random(in: -1e6...1e6, using: &numbers) }
        let halves = (0..<count).map { _ in UInt16.random(in: 0...0x7bff, using: &numbers) }
        let shifted8: [UInt8] = [0] + doubles.flatMap { value -> [UInt8] in withUnsafeBytes(of: value) { Array($0) } }
        let shifted2: [UInt8] = [0] + halves.flatMap { value -> [UInt8] in withUnsafeBytes(of: value) { Array($0) } }
        for set in allSets {
          let out = GuardedArray<Float>(count: count, canary: -77)
          with(set) {
            shifted8.withUnsafeBytes { dso_convert_f64_to_f32($0.baseAddress! + 1, out.pointer, Int64(count)) }
            #expect(out.elements == doubles.map { Float($0) }, "\(name(set)) \(count)")
            shifted2.withUnsafeBytes { dso_convert_f16_to_f32($0.baseAddress! + 1, out.pointer, Int64(count)) }
            #expect(out.elements == halves.map { WeightMatrix.float(half: $0) }, "\(name(set)) \(count)")
            shifted2.withUnsafeBytes { dso_convert_bf16_to_f32($0.baseAddress! + 1, out.pointer, Int64(count)) }
            #expect(out.elements == halves.map { Float(bitPattern: UInt32($0) << 16) }, "\(name(set)) \(count)")
          }
          out.expectIntact("\(name(set)) \(count)")
        }
      }
    }
  }
}
