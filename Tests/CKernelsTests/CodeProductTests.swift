import CKernels
import Testing

extension KernelTests {
  @Suite struct CodeProducts {
    static let kernels = ["dso_matmul_s8", "dso_quantize_rows_s8", "dso_quantize_rows_s8_fixed", "dso_fake_quantize_rows_s8_fixed"]

    struct Case {
      var m = 1, n = 1, k = 1, bits = 8, groupSize = 1
      var asymmetric = false
    }

    /// All widths, with groups that divide k, that do not, that are odd, and one that is the whole row.
    static let cases: [Case] =
      (2...8).flatMap { bits in
        [
          Case(m: 15, n: 33, k: 256, bits: bits, groupSize: 64, asymmetric: false),
          Case(m: 7, n: 65, k: 127, bits: bits, groupSize: 32, asymmetric: true),
          Case(m: 17, n: 31, k: 129, bits: bits, groupSize: 30, asymmetric: true),
          Case(m: 3, n: 16, k: 65, bits: bits, groupSize: 65, asymmetric: bits % 2 == 0),
        ]
      } + [
        Case(m: 29, n: 70, k: 2500, bits: 8, groupSize: 2500, asymmetric: true),
        Case(m: 14, n: 40, k: 4097, bits: 8, groupSize: 4097, asymmetric: false),
        Case(m: 14, n: 40, k: 2176, bits: 4, groupSize: 128, asymmetric: false),
        Case(m: 2, n: 5, k: 9000, bits: 8, groupSize: 4500, asymmetric: true),
        Case(m: 1, n: 2, k: 70000, bits: 8, groupSize: 70000, asymmetric: true),
        Case(m: 64, n: 63, k: 7, bits: 3, groupSize: 2, asymmetric: true),
      ]

    /// By the contract's words: exact sums per group, then scaled and added in float in the order of the groups, then the row's scale.
    static func expected(
      _ w: WeightMatrix, codes: [Int8], ld: Int, scales: [Float], m: Int, bias: [Float]?
    ) -> (values: [Double], magnitudes: [Double]) {
      var values: [Double] = [], magnitudes: [Double] = []
      let n = Int(w.view.n), k = Int(w.view.k), size = Int(w.view.group_size)
      for i in 0..<m {
        for j in 0..<n {
          var total = 0.0, magnitude = 0.0
          for begin in stride(from: 0, to: k, by: size) {
            var sum = 0
            for l in begin..<min(k, begin + size) { sum += Int(codes[i * ld + l]) * (w.code(j, l) - w.zeroPoint(j, l)) }
            let part = Double(sum) * Double(w.view.scales[w.group(j, begin)])
            total += part
            magnitude += abs(part)
          }
          values.append(total * Double(scales[i]) + Double(bias?[j] ?? 0))
          magnitudes.append(magnitude * Double(scales[i]) + Double(abs(bias?[j] ?? 0)))
        }
      }
      return (values, magnitudes)
    }

    static func run(
      _ w: WeightMatrix, codes: [Int8], ld: Int, scales: [Float], sums: [Int32]?, rows: Range<Int>, columns: Range<Int>, bias: [Float]?,
      into c: UnsafeMutablePointer<Float>
    ) {
      var view = w.view
      let scratch = Scratch(bytes: dso_matmul_scratch_bytes(&view))
      let n = Int(view.n), groups = Int((view.k + view.group_size - 1) / view.group_size)
      let rowSums = sums.map { Array($0[rows.lowerBound * groups..<rows.upperBound * groups]) }
      dso_matmul_s8(
        Array(codes[(rows.lowerBound * ld)...]), Int64(ld), Array(scales[rows.lowerBound...]), rowSums, Int64(rows.count), &view,
        Int64(columns.lowerBound), Int64(columns.upperBound), bias, c + rows.lowerBound * n, Int64(n), scratch.pointer)
    }

    /// The integers are exact and the few float operations have a fixed order, so all sets give the same bits.
    @Test func setsAgreeToTheBit() {
      var numbers = TestNumbers(seed: 11)
      for (index, item) in Self.cases.enumerated() {
        let w = WeightMatrix(
          .codes(bits: item.bits, groupSize: item.groupSize, asymmetric: item.asymmetric), n: item.n, k: item.k, using: &numbers)
        let ld = item.k + 5
        let codes = (0..<item.m * ld).map { _ in Int8.random(in: -128...127, using: &numbers) }
        let scales = numbers.floats(item.m, 0.001...0.1)
        let bias = index % 2 == 0 ? numbers.floats(item.n) : nil
        let groups = (item.k + item.groupSize - 1) / item.groupSize
        let sums: [Int32] = (0..<item.m * groups).map { at in
          let begin = at % groups * item.groupSize
          return (begin..<min(item.k, begin + item.groupSize)).reduce(0) { $0 + Int32(codes[at / groups * ld + $1]) }
        }
        let (values, magnitudes) = Self.expected(w, codes: codes, ld: ld, scales: scales, m: item.m, bias: bias)
        var portable: [Float] = []
        for set in allSets {
          let c = GuardedArray<Float>(count: item.m * item.n, canary: -77)
          with(set) {
            Self.run(
              w, codes: codes, ld: ld, scales: scales, sums: sums, rows: 0..<item.m, columns: 0..<item.n, bias: bias, into: c.pointer)
          }
          c.expectIntact("\(name(set)) \(item)")
          if set == DSO_ISA_PORTABLE {
            portable = c.elements
            // One rounding for each group's sum, product and addition, and two at the end.
            let difference = firstDifference(portable, values) { 0x1p-24 * Double(groups + 5) * magnitudes[$0] + 1e-30 }
            #expect(difference == nil, "\(item)")
          } else {
            #expect(firstDifferentBits(c.elements, portable) == nil, "\(name(set)) \(item)")
          }
        }
      }
    }

    @Test func cutsAndMissingSumsDoNotChangeBits() {
      var numbers = TestNumbers(seed: 12)
      for (groupSize, asymmetric) in [(600, false), (32, true), (50, false)] {
        let m = 33, n = 70, k = 600
        let w = WeightMatrix(.codes(bits: 4, groupSize: groupSize, asymmetric: asymmetric), n: n, k: k, using: &numbers)
        let x = numbers.floats(m * k)
        var codes = [Int8](repeating: 0, count: m * k), scales = [Float](repeating: 0, count: m)
        var sums = [Int32](repeating: 0, count: m * ((k + groupSize - 1) / groupSize))
        dso_quantize_rows_s8(x, Int64(k), Int64(m), Int64(k), &codes, Int64(k), &scales, Int64(groupSize), &sums)
        for set in allSets {
          with(set) {
            let whole = GuardedArray<Float>(count: m * n, canary: -77)
            Self.run(w, codes: codes, ld: k, scales: scales, sums: sums, rows: 0..<m, columns: 0..<n, bias: nil, into: whole.pointer)
            let row = Int.random(in: 1..<m, using: &numbers), column = Int.random(in: 1..<n, using: &numbers)
            let c = GuardedArray<Float>(count: m * n, canary: -77)
            for rows in [0..<row, row..<m] {
              for columns in [0..<column, column..<n] {
                Self.run(
                  w, codes: codes, ld: k, scales: scales, sums: asymmetric ? sums : nil, rows: rows, columns: columns, bias: nil,
                  into: c.pointer)
              }
            }
            #expect(firstDifferentBits(c.elements, whole.elements) == nil, "\(name(set)) group \(groupSize) cut at \(row), \(column)")
            c.expectIntact("\(name(set))")
          }
        }
      }
    }

    /// The largest magnitudes there are: nothing may saturate or overflow.
    @Test(arguments: [2, 4, 7, 8])
    func extremesAreExact(bits: Int) {
      let k = 4096, n = 17, m = 3
      for sign in [Int8(127), -128] {
        for stored in WeightMatrix.Extreme.allCases {
          let weights = WeightMatrix(bits: bits, stored: stored, zeroPoint: nil, n: n, k: k)
          let codes = [Int8](repeating: sign, count: m * k), ones = [Float](repeating: 1, count: m)
          let expected = Float(Int(sign) * weights.code(0, 0) * k)
          for set in allSets {
            var view = weights.view
            let scratch = Scratch(bytes: dso_matmul_scratch_bytes(&view))
            var c = [Float](repeating: 0, count: m * n)
            with(set) { dso_matmul_s8(codes, Int64(k), ones, nil, Int64(m), &view, 0, Int64(n), nil, &c, Int64(n), scratch.pointer) }
            #expect(c.allSatisfy { $0 == expected }, "\(name(set)) \(sign) times the \(stored) code")
          }
        }
      }
    }

    @Test func rowsAreQuantizedByTheDefinition() {
      var numbers = TestNumbers(seed: 13)
      for k in boundaries + [0] {
        let rows = 3, ld = k + 2, groupSize = 16, groups = (k + 15) / 16
        var x = numbers.floats(rows * ld)
        if k > 2 {
          for i in 0..<k { x[ld + i] = 0 }
          x[2 * ld + 1] = 127.5
          x[2 * ld + 2] = -0x1p-130
        }
        for set in allSets {
          let codes = GuardedArray<Int8>(count: rows * ld, canary: 99)
          let scales = GuardedArray<Float>(count: rows, canary: -77)
          let sums = GuardedArray<Int32>(count: rows * groups, canary: -77)
          with(set) {
            dso_quantize_rows_s8(
              x, Int64(ld), Int64(rows), Int64(k), codes.pointer, Int64(ld), scales.pointer, Int64(groupSize), sums.pointer)
          }
          for row in 0..<rows {
            let largest = (0..<k).map { abs(x[row * ld + $0]) }.max() ?? 0
            let scale = largest > 0 ? largest / 127.5 : 1
            #expect(scales[row] == scale)
            let expected = (0..<k).map { Int8(max(-128, min(127, (x[row * ld + $0] / scale).rounded(.toNearestOrEven)))) }
            #expect((0..<k).map { codes[row * ld + $0] } == expected, "\(name(set)) k \(k) row \(row)")
            #expect((k..<ld).allSatisfy { codes[row * ld + $0] == 99 })
            for group in 0..<groups {
              let sum = expected[group * groupSize..<min(k, (group + 1) * groupSize)].reduce(0) { $0 + Int32($1) }
              #expect(sums[row * groups + group] == sum)
            }
          }
          codes.expectIntact("codes")
          scales.expectIntact("scales")
          sums.expectIntact("sums")
        }
      }
    }

    /// By the contract's words, ties and values beyond the range included.
    @Test func aFixedScaleRoundsClampsAndCounts() {
      var numbers = TestNumbers(seed: 57)
      let scale: Float = 0.0625
      for k in boundaries where k > 0 {
        let rows = 3, ld = k + 2, groupSize = max(1, k / 3)
        var x = numbers.floats(rows * ld, -9...9)
        for (index, value) in [0.03125, 0.09375, -0.03125, 7.96875, 8, -8.03125, -8.0625, .infinity, -.infinity, .nan].enumerated() {
          x[(index * 5) % k + (index % rows) * ld] = Float(value)
        }
        let groups = (k + groupSize - 1) / groupSize
        func code(_ value: Float) -> Int8 {
          let rounded = (value / scale).rounded(.toNearestOrEven)
          return Int8(rounded > -128 ? min(rounded, 127) : -128)
        }
        let expected = (0..<rows * k).map { code(x[$0 / k * ld + $0 % k]) }
        let beyond = (0..<rows * k).filter { !(-128.5...127.5 ~= x[$0 / k * ld + $0 % k] / scale) }.count
        for set in allSets {
          let codes = GuardedArray<Int8>(count: rows * k, canary: 99), sums = GuardedArray<Int32>(count: rows * groups, canary: -77)
          let values = GuardedArray<Float>(count: rows * k, canary: -77)
          var clamped: Int64 = 0
          with(set) {
            clamped = dso_quantize_rows_s8_fixed(
              x, Int64(ld), Int64(rows), Int64(k), scale, codes.pointer, Int64(k), Int64(groupSize), sums.pointer)
            dso_fake_quantize_rows_s8_fixed(x, Int64(ld), Int64(rows), Int64(k), scale, values.pointer, Int64(k))
          }
          #expect(codes.elements == expected, "\(name(set)) k \(k)")
          #expect(values.elements == expected.map { Float($0) * scale }, "\(name(set)) k \(k)")
          #expect(Int(clamped) == beyond, "\(name(set)) k \(k)")
          for row in 0..<rows {
            for group in 0..<groups {
              let part = expected[row * k + group * groupSize..<row * k + min(k, (group + 1) * groupSize)]
              #expect(sums[row * groups + group] == part.reduce(0) { $0 + Int32($1) })
            }
          }
          for array in [codes] { array.expectIntact("codes") }
          sums.expectIntact("sums")
          values.expectIntact("values")
        }
      }
    }
  }
}
