import CKernels
import Testing

extension KernelTests {
  @Suite struct LearnedRounding {
    static let kernels = ["dso_learned_round", "dso_learned_update"]

    /// A row in training, with memory of its own.
    private final class Row {
      let count: Int, groupSize: Int, bits: Int, symmetric: Bool
      let weights: GuardedArray<Float>, offsets: GuardedArray<Float>
      let factors: GuardedArray<Float>, shifts: GuardedArray<Float>
      let startScales: GuardedArray<Float>, startZeros: GuardedArray<Float>
      let scales: GuardedArray<Float>, zeros: GuardedArray<Float>
      var groups: Int { (count + groupSize - 1) / groupSize }

      init(count: Int, groupSize: Int, bits: Int, symmetric: Bool, seed: UInt64) {
        (self.count, self.groupSize, self.bits, self.symmetric) = (count, groupSize, bits, symmetric)
        var numbers = TestNumbers(seed: seed)
        let groups = (count + groupSize - 1) / groupSize
        let half = Float(1 << (bits - 1))
        func array(_ values: [Float]) -> GuardedArray<Float> { GuardedArray(values, canary: -77) }
        weights = array(numbers.floats(count, -1...1))
        offsets = array(numbers.floats(count, -0.5...0.5))
        factors = array(numbers.floats(groups, 0.6...1.4))
        shifts = array(numbers.floats(groups, -1...1))
        // Narrow enough that some weights are clamped.
        startScales = array(numbers.floats(groups, 0.5...1).enumerated().map { $1 / half * (symmetric && $0 % 2 == 1 ? -1 : 1) })
        startZeros = array(numbers.floats(groups, -half / 2...half / 2).map { $0.rounded() })
        scales = array(Array(repeating: 1, count: groups))
        zeros = array(Array(repeating: 0, count: groups))
      }

      var view: dso_learned_row {
        dso_learned_row(
          count: Int64(count), group_size: Int64(groupSize), bits: Int32(bits), type: DSO_SCALE_BF16, weights: weights.pointer,
          offsets: offsets.pointer, factors: factors.pointer, shifts: symmetric ? nil : shifts.pointer, start_scales: startScales.pointer,
          start_zeros: startZeros.pointer, scales: scales.pointer, zeros: zeros.pointer)
      }

      func expectIntact(_ label: String) {
        for array in [weights, offsets, factors, shifts, startScales, startZeros, scales, zeros] { array.expectIntact(label) }
      }

      /// q by the definition, in double, and whether the weight is clamped.
      func code(_ index: Int) -> (q: Double, clamped: Bool, steps: Double) {
        let group = index / groupSize
        let half = Double(1 << (bits - 1)), zero = Double(zeros[group])
        let steps = Double(weights[index] / scales[group] + offsets[index])
        let q = min(max(steps.rounded(.toNearestOrEven), -half - zero), half - 1 - zero)
        return (q, steps < -half - zero - 0.5 || steps > half - 0.5 - zero, steps)
      }
    }

    private static let cases: [(count: Int, group: Int)] = [
      (1, 1), (16, 16), (48, 16), (100, 32), (129, 128), (256, 64), (77, 77), (60, 20),
    ]

    @Test(arguments: [2, 3, 4, 8], [true, false])
    func roundsByTheDefinitionOnEverySet(bits: Int, symmetric: Bool) {
      for (index, size) in Self.cases.enumerated() {
        var first: [Float]?
        for set in KernelTests.allSets {
          let row = Row(count: size.count, groupSize: size.group, bits: bits, symmetric: symmetric, seed: UInt64(90 + index))
          let values = GuardedArray(Array(repeating: Float(-9), count: size.count), canary: -77)
          let codes = GuardedArray(Array(repeating: UInt8(0), count: size.count), canary: 0xee)
          var view = row.view
          let clamped = KernelTests.with(set) { dso_learned_round(&view, values.pointer, codes.pointer) }
          let label = "\(KernelTests.name(set)) \(size)"
          var expectedClamped = 0
          for place in 0..<size.count {
            let (q, isClamped, _) = row.code(place)
            let group = place / size.group
            expectedClamped += isClamped ? 1 : 0
            #expect(values[place] == Float(q) * row.scales[group], "\(label) \(place)")
            #expect(Int(codes[place]) == Int(q + Double(row.zeros[group])) + 1 << (bits - 1), "\(label) \(place)")
          }
          for group in 0..<row.groups {
            // Scales are what bfloat16 holds, next to what was learned.
            #expect(row.scales[group].bitPattern & 0xffff == 0)
            #expect(abs(row.scales[group] / (row.startScales[group] * row.factors[group]) - 1) < 0.004)
          }
          #expect(clamped == Int64(expectedClamped), "\(label)")
          #expect(first == nil || first == values.elements, "\(label) has other bits")
          first = values.elements
          row.expectIntact(label)
          values.expectIntact(label)
          codes.expectIntact(label)
        }
      }
    }

    /// The slope of the loss in double, with rounding taken as the addition of a constant, by central differences.
    private func slopes(_ row: Row, _ gradient: [Float], group: Int) -> (scale: Double, size: Double) {
      let scale = Double(row.scales[group])
      var (sum, size) = (0.0, 0.0)
      for place in group * row.groupSize..<min(row.count, (group + 1) * row.groupSize) {
        let (q, clamped, _) = row.code(place)
        let weight = Double(row.weights[place])
        let constant = q - weight / scale
        func value(_ s: Double) -> Double { clamped ? q * s : s * (weight / s + constant) }
        let step = 1e-4 * abs(scale)
        let part = Double(gradient[place]) * (value(scale + step) - value(scale - step)) / (2 * step)
        sum += part
        size += abs(part)
      }
      return (sum, size)
    }

    @Test(arguments: [2, 3, 4, 8], [true, false])
    func stepsAgainstTheSlope(bits: Int, symmetric: Bool) {
      let rates = dso_learned_rates(offset: 0.03, factor: 0.02, shift: 0.05, reach: 0.5)
      for (index, size) in Self.cases.enumerated() {
        var first: [[Float]]?
        for set in KernelTests.allSets {
          let row = Row(count: size.count, groupSize: size.group, bits: bits, symmetric: symmetric, seed: UInt64(190 + index))
          var numbers = TestNumbers(seed: 5)
          var gradient = numbers.floats(size.count, -1...1)
          if size.count > 3 { gradient[3] = 0 }
          var view = row.view
          _ = dso_learned_round(&view, nil, nil)
          let before = (row.offsets.elements, row.factors.elements, row.shifts.elements)
          var expected: [(factor: Double, size: Double, shift: Double)] = []
          var moves: [Float] = []
          for place in 0..<size.count {
            let slope = row.code(place).clamped ? 0 : gradient[place] * row.scales[place / size.group]
            moves.append(slope > 0 ? -rates.offset : slope < 0 ? rates.offset : 0)
          }
          for group in 0..<row.groups {
            let (slope, all) = slopes(row, gradient, group: group)
            let places = group * size.group..<min(size.count, (group + 1) * size.group)
            let shift = places.filter { row.code($0).clamped }.reduce(0.0) { $0 - Double(gradient[$1]) * Double(row.scales[group]) }
            expected.append((slope * Double(row.startScales[group]), all * abs(Double(row.startScales[group])), shift))
          }
          KernelTests.with(set) { dso_learned_update(&view, gradient, rates) }
          let label = "\(KernelTests.name(set)) \(size)"
          for place in 0..<size.count {
            #expect(row.offsets[place] == min(max(before.0[place] + moves[place], -0.5), 0.5), "\(label) \(place)")
          }
          for (group, slope) in expected.enumerated() {
            let moved = row.factors[group] - before.1[group]
            if abs(slope.factor) > 1e-4 * slope.size {
              #expect(abs(moved + (slope.factor > 0 ? 0.02 : -0.02)) < 1e-6, "\(label) \(group)")
            }
            let shifted = row.shifts[group] - before.2[group]
            #expect(symmetric || slope.shift == 0 ? shifted == 0 : abs(shifted + (slope.shift > 0 ? 0.05 : -0.05)) < 1e-6, "\(label)")
          }
          let after = [row.offsets.elements, row.factors.elements, row.shifts.elements]
          #expect(first == nil || first == after, "\(label) has other bits")
          first = after
          row.expectIntact(label)
        }
      }
    }

    @Test func factorsStayWithinReach() {
      let row = Row(count: 32, groupSize: 32, bits: 4, symmetric: true, seed: 3)
      var view = row.view
      for sign in [Float(1), -1] {
        for _ in 0..<60 {
          _ = dso_learned_round(&view, nil, nil)
          let gradient = (0..<32).map { row.code($0).q - Double(row.weights[$0] / row.scales[0]) > 0 ? sign : -sign }
          dso_learned_update(&view, gradient, dso_learned_rates(offset: 0, factor: 0.05, shift: 0, reach: 0.25))
          #expect(row.factors[0] >= 0.75 && row.factors[0] <= 1.25)
        }
      }
    }

    @Test(arguments: [2, 4], [true, false])
    func anchoredWeightsGiveTheirCodes(bits: Int, symmetric: Bool) {
      for margin in [Float(0.02), 0.25, 0.5] {
        let row = Row(count: 200, groupSize: 50, bits: bits, symmetric: symmetric, seed: 12)
        for place in 0..<200 { row.offsets[place] = 0 }
        for group in 0..<row.groups {
          row.factors[group] = 1
          row.shifts[group] = 0
          row.startScales[group] = Float(bitPattern: row.startScales[group].bitPattern & 0xffff_0000)
        }
        var numbers = TestNumbers(seed: 8)
        let wanted = (0..<200).map { _ in UInt8.random(in: 0..<UInt8(1 << bits), using: &numbers) }
        var codes = [UInt8](repeating: 0, count: 200)
        var view = row.view
        dso_learned_anchor(&view, wanted, margin, row.weights.pointer)
        _ = dso_learned_round(&view, nil, &codes)
        #expect(codes == wanted)
        row.expectIntact("anchor")
      }
    }

    @Test func differencesAreWeighedAndSummed() {
      var numbers = TestNumbers(seed: 4)
      for count in KernelTests.boundaries {
        let (x, y) = (numbers.floats(count), numbers.floats(count))
        let difference = GuardedArray(Array(repeating: Float(0), count: count), canary: -77)
        let sum = dso_weighted_difference(x, y, 0.75, Int64(count), difference.pointer)
        let expected = zip(x, y).reduce(0.0) { $0 + 0.75 * Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        #expect(abs(sum - expected) <= 1e-12 * (1 + expected))
        #expect(difference.elements == zip(x, y).map { 0.75 * ($0 - $1) })
        difference.expectIntact("differences")
      }
    }
  }
}
