import CKernels
import Testing

extension KernelTests {
  @Suite struct StepSizes {
    static let kernels = ["dso_step_round", "dso_step_backward"]

    private static let cases: [(count: Int, group: Int)] = [(1, 1), (16, 16), (48, 16), (100, 32), (129, 128), (256, 64), (77, 77)]

    /// Rounding by the definition; gradients by central differences of it in double, with rounding taken as the addition of a constant.
    @Test(arguments: [2, 3, 4, 8], [true, false])
    func roundsAndDifferentiatesByTheDefinition(bits: Int, symmetric: Bool) {
      let half = Double(1 << (bits - 1))
      for (index, size) in Self.cases.enumerated() {
        var first: ([Float], [Float])?
        for set in KernelTests.allSets {
          var numbers = TestNumbers(seed: UInt64(40 + index))
          let groups = (size.count + size.group - 1) / size.group
          let weights = GuardedArray(numbers.floats(size.count, -1...1), canary: -77)
          let scales = GuardedArray(
            numbers.floats(groups, 0.5...1).enumerated().map { $1 / Float(half) * ($0 % 2 == 1 ? -1 : 1) }, canary: -77)
          let zeros = GuardedArray(numbers.floats(groups, Float(-half / 2)...Float(half / 2)).map { $0.rounded() }, canary: -77)
          let stored = GuardedArray([Float](repeating: 1, count: groups), canary: -77)
          let values = GuardedArray([Float](repeating: -9, count: size.count), canary: -77)
          let codes = GuardedArray([UInt8](repeating: 0, count: size.count), canary: 0xee)
          let slopes = numbers.floats(size.count, -1...1)
          let gradient = GuardedArray(slopes, canary: -77)
          let scaleGradient = GuardedArray([Float](repeating: 0, count: groups), canary: -77)
          var row = dso_step_row(
            count: Int64(size.count), group_size: Int64(size.group), bits: Int32(bits), type: DSO_SCALE_BF16, weights: weights.pointer,
            scales: scales.pointer, zeros: symmetric ? nil : zeros.pointer, stored: stored.pointer)
          let clamped = KernelTests.with(set) { dso_step_round(&row, values.pointer, codes.pointer) }
          KernelTests.with(set) { dso_step_backward(&row, gradient.pointer, scaleGradient.pointer) }
          let label = "\(KernelTests.name(set)) \(size)"
          var (expectedClamped, sums, sizes) = (0, [Double](repeating: 0, count: groups), [Double](repeating: 0, count: groups))
          for place in 0..<size.count {
            let group = place / size.group
            let zero = symmetric ? 0 : Double(zeros[group]), scale = Double(stored[group])
            let steps = Double(weights[place] / stored[group])
            let q = min(max(steps.rounded(.toNearestOrEven), -half - zero), half - 1 - zero)
            let beyond = steps < -half - zero - 0.5 || steps > half - 0.5 - zero
            expectedClamped += beyond ? 1 : 0
            #expect(values[place] == Float(q) * stored[group] && Int(codes[place]) == Int(q + zero + half), "\(label) \(place)")
            #expect(gradient[place] == (beyond ? 0 : slopes[place]), "\(label) \(place)")
            let weight = Double(weights[place]), step = 1e-4 * abs(scale)
            func value(_ s: Double) -> Double { beyond ? q * s : s * (weight / s + (q - weight / scale)) }
            let part = Double(slopes[place]) * (value(scale + step) - value(scale - step)) / (2 * step)
            sums[group] += part
            sizes[group] += abs(Double(slopes[place])) * (abs(q) + abs(steps))
          }
          #expect(clamped == Int64(expectedClamped), "\(label)")
          for group in 0..<groups {
            #expect(stored[group].bitPattern & 0xffff == 0 && abs(stored[group] / scales[group] - 1) < 0.004, "\(label)")
            #expect(abs(Double(scaleGradient[group]) - sums[group]) <= 1e-6 * sizes[group] + 1e-7, "\(label) \(group)")
          }
          let found = (gradient.elements + values.elements, scaleGradient.elements)
          #expect(first == nil || (first?.0 == found.0 && first?.1 == found.1), "\(label) has other bits")
          first = found
          for array in [weights, scales, zeros, stored, values, gradient, scaleGradient] { array.expectIntact(label) }
          codes.expectIntact(label)
        }
      }
    }

    /// A scale beyond what is stored becomes the nearest that weights can be divided by.
    @Test func scalesThatCannotBeStoredAreTheNearest() {
      let weights: [Float] = [0.5, -0.25], stored = GuardedArray<Float>([0.25, 0.125], canary: -77)
      let values = GuardedArray<Float>([0, 0], canary: -77)
      weights.withUnsafeBufferPointer { weights in
        [Float(0), .infinity].withUnsafeBufferPointer { scales in
          var row = dso_step_row(
            count: 2, group_size: 1, bits: 4, type: DSO_SCALE_F16, weights: weights.baseAddress, scales: scales.baseAddress, zeros: nil,
            stored: stored.pointer)
          _ = dso_step_round(&row, values.pointer, nil)
        }
      }
      #expect(stored.elements == [0x1p-24, 65_504] && values.elements == [7 * 0x1p-24, 0])
      for (type, least, most) in [
        (DSO_SCALE_BF16, Float(0x1p-126), Float(0x1.fep127)), (DSO_SCALE_F32, 0x1p-126, Float.greatestFiniteMagnitude),
      ] {
        var results = [Float](repeating: 0, count: 4)
        dso_store_scales([-0.0, -.infinity, 1.001, 3e38], 4, type, &results)
        #expect(results == [-least, -most, type == DSO_SCALE_F32 ? 1.001 : 1, type == DSO_SCALE_F32 ? 3e38 : 0x1.c4p127])
      }
    }

    /// Against sums in double.
    @Test func slopesOfFixedCodes() {
      for (count, size, zeros) in [(1, 1, false), (33, 16, true), (200, 64, false), (130, 200, true)] {
        let groups = (count + size - 1) / size
        let codes = (0..<count).map { UInt8($0 * 7 % 16) }
        let gradient = (0..<count).map { Float($0 * 37 % 101) / 50 - 1 }
        let points = (0..<groups).map { Int8($0 % 5 - 2) }
        var slopes = [Float](repeating: .nan, count: groups)
        dso_code_slopes(codes, gradient, Int64(count), Int64(size), 4, zeros ? points : nil, &slopes)
        for group in 0..<groups {
          let range = group * size..<min(count, group * size + size)
          let offset = 8 + (zeros ? Double(points[group]) : 0)
          let terms = range.map { (place: Int) -> Double in Double(gradient[place]) * (Double(codes[place]) - offset) }
          let sum = terms.reduce(0, +), size = terms.reduce(0) { $0 + abs($1) }
          #expect(abs(Double(slopes[group]) - sum) <= 1e-6 * (1 + size), "\(count) \(group)")
        }
      }
    }
  }
}
