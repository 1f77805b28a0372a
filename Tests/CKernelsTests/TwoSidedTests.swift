import CKernels
import Testing

extension KernelTests {
  /// Rounding with feedback between rows and columns, and coordinate descent after it; `Factorization.kernels` lists both.
  @Suite struct TwoSided {
    private static let sizes = [(1, 1), (16, 128), (37, 57), (96, 31), (128, 128), (127, 5)]

    /// Targets are checked from the kernel's own earlier errors, so that one rounding at a boundary does not change all that follows.
    @Test(arguments: [2, 3, 4, 8])
    func roundsTwoSided(bits: Int) {
      var numbers = TestNumbers(seed: 75)
      let half = Float(1 << (bits - 1))
      for (rows, columns) in Self.sizes {
        let (ld, groups) = (rows + 5, 3)
        let weights = numbers.floats(columns * ld), sums = numbers.floats(columns * ld, -0.2...0.2)
        let rowFeedback = numbers.floats(columns * rows, -0.2...0.2)
        let m = numbers.floats(columns * columns, -0.1...0.1), rowM = numbers.floats(rows * rows, -0.1...0.1)
        let scales = numbers.floats(groups * ld, 0.1...0.6).enumerated().map { $0 % 3 == 0 ? -$1 : $1 }
        let zeros = (0..<groups * ld).map { _ in Float(Int.random(in: -Int(half)..<Int(half), using: &numbers)) }
        let group = (0..<columns).map { _ in Int32.random(in: 0..<Int32(groups), using: &numbers) }
        let pivots = numbers.floats(columns, 0.5...2), rowPivots = numbers.floats(rows, 0.5...2)
        for set in allSets {
          let errors = GuardedArray<Float>(weights, canary: -77), totals = GuardedArray<Float>(sums, canary: -77)
          let codes = GuardedArray<UInt8>(count: columns * ld, canary: 0xaa)
          let losses = GuardedArray<Double>([Double](repeating: 1, count: rows), canary: -77)
          // The lists outlive the call: the step only borrows them.
          let lists = [rowFeedback, m, rowM, scales, zeros, pivots, rowPivots].map { GuardedArray<Float>($0, canary: .nan) }
          let places = GuardedArray<Int32>(group, canary: -1)
          var step = dso_two_sided_step(
            rows: Int64(rows), columns: Int64(columns), ld: Int64(ld), weights: errors.pointer, sums: totals.pointer,
            row_feedback: lists[0].pointer, ld_row_feedback: Int64(rows), m: lists[1].pointer, ldm: Int64(columns),
            row_m: lists[2].pointer, ld_row_m: Int64(rows), groups: places.pointer, scales: lists[3].pointer,
            zero_points: lists[4].pointer, ldg: Int64(ld), bits: Int32(bits), pivots: lists[5].pointer, row_pivots: lists[6].pointer,
            codes: codes.pointer, losses: losses.pointer, levels: nil)
          let clipped = with(set) { dso_round_two_sided(&step) }
          let label = "\(name(set)) \(rows)x\(columns)"
          var expected = [Double](repeating: 1, count: rows), expectedClipped = 0
          for p in 0..<columns {
            var totalsSoFar: [Double] = []
            for r in 0..<rows {
              let at = p * ld + r, grid = Int(group[p]) * ld + r
              var sum = Double(sums[at]), spread = Double(rowFeedback[p * rows + r])
              for s in 0..<p { sum += Double(m[p * columns + s]) * Double(errors[s * ld + r]) }
              for a in 0..<r { spread += Double(rowM[a * rows + r]) * totalsSoFar[a] }
              let target = Double(weights[at]) + sum + spread, steps = target / Double(scales[grid]), zero = Double(zeros[grid])
              let low = -Double(half) - zero, high = Double(half) - 1 - zero
              if steps < low - 0.5 || steps > high + 0.5 { expectedClipped += 1 }
              let code = Double(codes[at]) - Double(half) - zero
              #expect(code >= low && code <= high, "\(label)")
              #expect(abs(min(max(steps, low), high) - code) <= 0.5 + 1e-3, "\(label) \(p) \(r): \(steps), not \(code)")
              let value = code * Double(scales[grid])
              #expect(abs(Double(errors[at]) - (Double(weights[at]) - value)) < 1e-4, "\(label)")
              #expect(abs(Double(totals[at]) - (sum + Double(errors[at]))) < 1e-3, "\(label)")
              totalsSoFar.append(sum + Double(errors[at]))
              expected[r] += Double(rowPivots[r]) * Double(pivots[p]) * (target - value) * (target - value)
            }
          }
          for r in 0..<rows { #expect(abs(losses[r] / expected[r] - 1) < 1e-3, "\(label): \(losses[r]), not \(expected[r])") }
          #expect(abs(Int(clipped) - expectedClipped) <= 1, "\(label)")
          for p in 0..<columns {
            for r in rows..<ld { #expect(codes[p * ld + r] == 0xaa && errors[p * ld + r] == weights[p * ld + r]) }
          }
          errors.expectIntact(label)
          totals.expectIntact(label)
          codes.expectIntact(label)
          losses.expectIntact(label)
        }
      }
    }

    /// Every code is where the slope of the moment wants it, and what moved, moved to where it said.
    @Test(arguments: [2, 3, 4, 8], [true, false])
    func descends(bits: Int, rowsMatter: Bool) {
      var numbers = TestNumbers(seed: 76)
      let most = Double((1 << bits) - 1)
      for (rows, columns) in Self.sizes {
        let (ld, groups) = ((rows + 15) / 16 * 16, 3)
        func symmetric(_ n: Int) -> [Float] {
          var values = numbers.floats(n * n, -0.2...0.2)
          for i in 0..<n {
            values[i * n + i] = 1 + abs(values[i * n + i])
            for j in 0..<i { values[i * n + j] = values[j * n + i] }
          }
          return values
        }
        let h = symmetric(columns), g = symmetric(rows)
        let start = numbers.floats(columns * ld, -0.4...0.4)
        let scales = numbers.floats(groups * ld, 0.3...0.9).enumerated().map { $0 % 3 == 0 ? -$1 : $1 }
        let group = (0..<columns).map { _ in Int32.random(in: 0..<Int32(groups), using: &numbers) }
        let before = (0..<columns * ld).map { _ in UInt8.random(in: 0...UInt8(most), using: &numbers) }
        for set in allSets {
          let products = GuardedArray<Float>(start, canary: -77), codes = GuardedArray<UInt8>(before, canary: 0xaa)
          let changes = GuardedArray<Float>([Float](repeating: 9, count: columns * ld), canary: -77)
          let gains = GuardedArray<Double>([Double](repeating: 1, count: rows), canary: -77)
          let lists = [h, g, scales].map { GuardedArray<Float>($0, canary: .nan) }
          let places = GuardedArray<Int32>(group, canary: -1)
          var step = dso_descent_step(
            rows: Int64(rows), columns: Int64(columns), products: products.pointer, ld_products: Int64(ld), h: lists[0].pointer,
            ldh: Int64(columns), g: rowsMatter ? UnsafePointer(lists[1].pointer) : nil, ldg: Int64(rows), groups: places.pointer,
            scales: lists[2].pointer, ld_scales: Int64(ld), bits: Int32(bits), codes: codes.pointer, changes: changes.pointer,
            ld: Int64(ld), gains: gains.pointer)
          let moved = with(set) { dso_descend_tile(&step) }
          let label = "\(name(set)) \(rows)x\(columns)"
          var (expectedMoved, expectedGains) = (0, [Double](repeating: 1, count: rows))
          // [columns, rows]: G times the changes of a column.
          var spread = [Double](repeating: 0, count: columns * rows)
          for p in 0..<columns {
            for r in 0..<rows {
              let at = p * ld + r, scale = Double(scales[Int(group[p]) * ld + r])
              let curvature = (rowsMatter ? Double(g[r * rows + r]) : 1) * Double(h[p * columns + p])
              var slope = Double(start[at])
              for s in 0...p { slope += Double(h[p * columns + s]) * spread[s * rows + r] }
              let steps = slope / (curvature * scale), change = Double(changes[at])
              let move = Double(codes[at]) - Double(before[at])
              #expect(abs(change + move * scale) < 1e-5 * (1 + most), "\(label): the change is not that of the code")
              let best = min(max(Double(before[at]) + steps, 0), most)
              #expect(abs(Double(codes[at]) - best) <= 0.501 + 1e-3, "\(label) \(p) \(r): \(before[at]) + \(steps) became \(codes[at])")
              if move != 0 {
                #expect(abs(steps) > 0.5, "\(label): moved for nothing")
                expectedMoved += 1
                let gain = -change * (2 * slope + change * curvature)
                #expect(gain > 0, "\(label)")
                expectedGains[r] += gain
                for i in 0..<rows where rowsMatter || i == r {
                  spread[p * rows + i] += change * (rowsMatter ? Double(g[r * rows + i]) : 1)
                }
              }
            }
          }
          #expect(Int(moved) == expectedMoved, "\(label)")
          for r in 0..<rows { #expect(abs(gains[r] / expectedGains[r] - 1) < 1e-3, "\(label): \(gains[r]), not \(expectedGains[r])") }
          for p in 0..<columns {
            for r in rows..<ld { #expect(codes[p * ld + r] == before[p * ld + r] && changes[p * ld + r] == 9) }
          }
          products.expectIntact(label)
          codes.expectIntact(label)
          changes.expectIntact(label)
          gains.expectIntact(label)
        }
      }
    }

    /// No curvature, or one that is no number, moves nothing.
    @Test(arguments: [Float(0), .nan, .infinity])
    func staysWhereThereIsNoCurvature(_ bad: Float) {
      for set in allSets {
        let products = GuardedArray<Float>([Float](repeating: 3, count: 16), canary: -77)
        let codes = GuardedArray<UInt8>([UInt8](repeating: 5, count: 16), canary: 0xaa)
        let changes = GuardedArray<Float>([Float](repeating: 9, count: 16), canary: -77)
        let gains = GuardedArray<Double>([Double](repeating: 0, count: 16), canary: -77)
        let h = GuardedArray<Float>([bad], canary: -77), scales = GuardedArray<Float>([Float](repeating: 0.5, count: 16), canary: -77)
        let group = GuardedArray<Int32>([0], canary: -1)
        var step = dso_descent_step(
          rows: 16, columns: 1, products: products.pointer, ld_products: 16, h: h.pointer, ldh: 1, g: nil, ldg: 0, groups: group.pointer,
          scales: scales.pointer, ld_scales: 16, bits: 4, codes: codes.pointer, changes: changes.pointer, ld: 16, gains: gains.pointer)
        #expect(with(set) { dso_descend_tile(&step) } == 0)
        #expect(codes.elements.allSatisfy { $0 == 5 } && changes.elements.allSatisfy { $0 == 0 } && gains.elements.allSatisfy { $0 == 0 })
      }
    }

    @Test(arguments: [1, 31, 32, 33, 97])
    func transposesInPlaceAndMovesCodes(n: Int) {
      var numbers = TestNumbers(seed: 77)
      let square = numbers.floats(n * n)
      var transposed = square
      dso_transpose_square(&transposed, Int64(n), Int64(n), 0, Int64(n / 3))
      dso_transpose_square(&transposed, Int64(n), Int64(n), Int64(n / 3), Int64(n))
      for i in 0..<n { for j in 0..<n { #expect(transposed[i * n + j] == square[j * n + i]) } }

      let (rows, ld) = (18, 20)
      let order = (0..<Int32(n)).shuffled(using: &numbers)
      let codes = (0..<rows * n).map { UInt8(truncatingIfNeeded: $0 &* 37) }
      var gathered = [UInt8](repeating: 0xaa, count: n * ld)
      dso_gather_codes(codes, Int64(n), Int64(rows), order, Int64(n), &gathered, Int64(ld))
      for p in 0..<n { for r in 0..<ld { #expect(gathered[p * ld + r] == (r < rows ? codes[r * n + Int(order[p])] : 0xaa)) } }

      let weights = numbers.floats(n), small = (0..<n).map { _ in UInt8.random(in: 0..<8, using: &numbers) }
      var errors = weights
      dso_subtract_codes(&errors, small, Int64(n), 0.25, -2, 3)
      for i in 0..<n { #expect(errors[i] == weights[i] - Float(Int(small[i]) - 4 + 2) * 0.25) }
    }
  }
}
