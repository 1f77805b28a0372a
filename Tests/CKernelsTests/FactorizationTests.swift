import CKernels
import Testing

extension KernelTests {
  @Suite struct Factorization {
    static let kernels = [
      "dso_accumulate_outer", "dso_solve_panel", "dso_round_with_feedback", "dso_round_two_sided", "dso_descend_tile",
    ]

    @Test func sumsOuterProducts() {
      var numbers = TestNumbers(seed: 71)
      let sizes = [(1, 1, 1), (13, 31, 5), (14, 32, 256), (29, 33, 257), (65, 129, 40), (343, 490, 300), (7, 8, 0)]
      for (index, (rows, columns, depth)) in sizes.enumerated() {
        for byRows in [false, true] {
          for lower in [false, true] {
            let (ldx, ldy) = (byRows ? depth + 3 : rows + 1, columns + 2)
            let x = numbers.floats((byRows ? rows : depth) * ldx), y = numbers.floats(depth * ldy)
            let weights = numbers.floats(depth, 0...1), start = numbers.floats(rows * (columns + 1))
            let weighted = !byRows && index % 2 == 0
            var expected = start.map(Double.init)
            for i in 0..<rows {
              for j in 0..<columns where !lower || j <= i {
                for t in 0..<depth {
                  let factor = Double(byRows ? x[i * ldx + t] : x[t * ldx + i]) * (weighted ? Double(weights[t]) : 1)
                  expected[i * (columns + 1) + j] += factor * Double(y[t * ldy + j])
                }
              }
            }
            for set in allSets {
              let c = GuardedArray<Float>(start, canary: -77)
              let cut = GuardedArray<Float>(start, canary: -77)
              let scratch = Scratch(bytes: dso_outer_scratch_bytes())
              weights.withUnsafeBufferPointer { weights in
                x.withUnsafeBufferPointer { x in
                  y.withUnsafeBufferPointer { y in
                    func run(_ c: GuardedArray<Float>, _ i: Range<Int>, _ j: Range<Int>) {
                      var product = dso_outer_product(
                        x: x.baseAddress, ldx: Int64(ldx), x_by_rows: byRows ? 1 : 0, y: y.baseAddress, ldy: Int64(ldy),
                        depth: Int64(depth), weights: weighted ? weights.baseAddress : nil, c: c.pointer, ldc: Int64(columns + 1),
                        lower: lower ? 1 : 0)
                      with(set) {
                        dso_accumulate_outer(
                          &product, Int64(i.lowerBound), Int64(i.upperBound), Int64(j.lowerBound), Int64(j.upperBound), scratch.pointer)
                      }
                    }
                    run(c, 0..<rows, 0..<columns)
                    for i in [0..<rows / 3, rows / 3..<rows] { for j in [0..<columns / 2, columns / 2..<columns] { run(cut, i, j) } }
                  }
                }
              }
              let label = "\(name(set)) \(rows)x\(columns)x\(depth) \(byRows) \(lower)"
              #expect(firstDifference(c.elements, expected, relative: 1e-5, absolute: 1e-5 * Double(depth + 1)) == nil, "\(label)")
              #expect(firstDifferentBits(cut.elements, c.elements) == nil, "\(label)")
              c.expectIntact(label)
            }
          }
        }
      }
    }

    /// M^T D M is the matrix again, for a block and the panel beside it.
    @Test(arguments: [1, 5, 64, 129, 256])
    func factorsABlockAndSolvesItsPanel(n: Int) {
      var numbers = TestNumbers(seed: 72)
      let columns = 77
      let ld = columns + n
      // H = MᵀDM of a known factor, [n rows] by [columns + n].
      var m = [Double](repeating: 0, count: n * ld)
      let d = (0..<n).map { _ in Double.random(in: 0.5...4, using: &numbers) }
      for i in 0..<n {
        for j in 0..<columns + i { m[i * ld + j] = Double.random(in: -1...1, using: &numbers) / Double(n).squareRoot() }
        m[i * ld + columns + i] = 1
      }
      var h = [Float](repeating: -5, count: n * ld)
      for i in 0..<n {
        for j in 0...columns + i {
          h[i * ld + j] = Float((0..<n).reduce(0.0) { $0 + m[$1 * ld + columns + i] * d[$1] * m[$1 * ld + j] })
        }
      }
      for set in allSets {
        let a = GuardedArray<Float>(h, canary: -77)
        var transposed = [Float](repeating: .nan, count: n * n), pivots = [Float](repeating: 0, count: n)
        var scratch = [Double](repeating: 0, count: n * n)
        #expect(dso_factor_block(a.pointer + columns, Int64(ld), Int64(n), &transposed, &pivots, &scratch) == -1)
        with(set) { dso_solve_panel(a.pointer, Int64(ld), Int64(n), transposed, pivots, 0, Int64(columns)) }
        #expect(firstDifference(pivots, d, relative: 1e-4) == nil, "\(name(set))")
        for i in 0..<n {
          let row = (0..<columns + i).map { a[i * ld + $0] }
          #expect(firstDifference(row, Array(m[i * ld..<i * ld + columns + i]), relative: 1e-4, absolute: 1e-4) == nil, "\(name(set)) \(i)")
          #expect((columns + i + 1..<ld).allSatisfy { a[i * ld + $0] == -5 }, "the upper triangle is not touched")
        }
        a.expectIntact("\(name(set))")
      }
    }

    @Test(arguments: [Float(0), -1, .nan, .infinity])
    func refusesAPivotThatIsNotPositive(bad: Float) {
      let a: [Float] = [3, 0, 0, 0.5, bad, 0, 0.1, 0.2, 2]
      var copy = a, transposed = [Float](repeating: 0, count: 9), pivots = [Float](repeating: 0, count: 3)
      var scratch = [Double](repeating: 0, count: 9)
      let row = dso_factor_block(&copy, 3, 3, &transposed, &pivots, &scratch)
      #expect(row == 1)
      #expect(firstDifferentBits(copy, a) == nil)
    }

    @Test(arguments: [2, 3, 4, 8])
    func roundsWithFeedback(bits: Int) {
      var numbers = TestNumbers(seed: 73)
      let half = Float(1 << (bits - 1))
      for (rows, columns) in [(16, 1), (32, 128), (80, 57), (144, 96)] {
        for isFed in [true, false] {
          let (ld, groups) = (rows + 16, 5)
          let weights = numbers.floats(columns * ld), feedback = numbers.floats(columns * ld, -0.1...0.1)
          let m = numbers.floats(columns * columns, -0.3...0.3)
          let scales = numbers.floats(groups * ld, 0.1...0.6).enumerated().map { $0 % 3 == 0 ? -$1 : $1 }
          let zeros = (0..<groups * ld).map { _ in Float(Int.random(in: -Int(half)..<Int(half), using: &numbers)) }
          let group = (0..<columns).map { _ in Int32.random(in: 0..<Int32(groups), using: &numbers) }
          let pivots = numbers.floats(columns, 0.5...2), damping = numbers.floats(columns, 0...0.1)
          for set in allSets {
            let errors = GuardedArray<Float>(weights, canary: -77), codes = GuardedArray<UInt8>(count: columns * ld, canary: 0xaa)
            let losses = GuardedArray<Double>([Double](repeating: 1, count: rows), canary: -77)
            for index in 0..<columns * ld { codes[index] = 0xaa }
            func run(_ m: UnsafePointer<Float>?) -> Int64 {
              feedback.withUnsafeBufferPointer { feedback in
                scales.withUnsafeBufferPointer { scales in
                  zeros.withUnsafeBufferPointer { zeros in
                    group.withUnsafeBufferPointer { group in
                      pivots.withUnsafeBufferPointer { pivots in
                        damping.withUnsafeBufferPointer { damping in
                          var step = dso_feedback_step(
                            rows: Int64(rows), columns: Int64(columns), ld: Int64(ld), weights: errors.pointer,
                            feedback: feedback.baseAddress, m: m, ldm: Int64(columns), groups: group.baseAddress,
                            scales: scales.baseAddress, zero_points: zeros.baseAddress, ldg: Int64(ld), bits: Int32(bits),
                            pivots: pivots.baseAddress, damping: damping.baseAddress, codes: codes.pointer, losses: losses.pointer,
                            levels: nil)
                          return with(set) { dso_round_with_feedback(&step) }
                        }
                      }
                    }
                  }
                }
              }
            }
            let clipped = isFed ? m.withUnsafeBufferPointer { run($0.baseAddress) } : run(nil)
            var expectedClipped = 0
            for r in 0..<rows {
              var loss = 1.0
              for p in 0..<columns {
                let at = p * ld + r, grid = Int(group[p]) * ld + r
                // From the kernel's own earlier errors, so that one rounding at a boundary does not change all that follows.
                var target = Double(weights[at]) + Double(feedback[at])
                if isFed { for s in 0..<p { target += Double(m[p * columns + s]) * Double(errors[s * ld + r]) } }
                let steps = target / Double(scales[grid]), zero = Double(zeros[grid])
                let low = -Double(half) - zero, high = Double(half) - 1 - zero
                if steps < low - 0.5 || steps > high + 0.5 { expectedClipped += 1 }
                let code = Double(codes[at]) - Double(half) - zero
                #expect(code >= low && code <= high)
                #expect(abs(min(max(steps, low), high) - code) <= 0.5 + 1e-4, "\(name(set)) \(p) \(r)")
                let value = code * Double(scales[grid]), error = Double(weights[at]) - value
                #expect(abs(Double(errors[at]) - error) < 1e-4)
                loss += Double(pivots[p]) * (target - value) * (target - value) - Double(damping[p]) * error * error
              }
              #expect(abs(losses[r] - loss) < 1e-3 * max(1, abs(loss)), "\(name(set)) \(rows)x\(columns): \(losses[r]), not \(loss)")
            }
            #expect(abs(Int(clipped) - expectedClipped) <= 1)
            #expect((0..<columns).allSatisfy { p in (rows..<ld).allSatisfy { codes[p * ld + $0] == 0xaa } })
            errors.expectIntact(name(set))
            codes.expectIntact(name(set))
            losses.expectIntact(name(set))
          }
        }
      }
    }

    @Test func movesElements() {
      var numbers = TestNumbers(seed: 74)
      for n in [1, 31, 33, 70] {
        let order = (0..<Int32(n)).shuffled(using: &numbers)
        let x = numbers.floats(18 * n), rows = 18, ld = 20
        var columns = [Float](repeating: -1, count: n * ld)
        dso_gather_columns(x, Int64(n), Int64(rows), order, Int64(n), &columns, Int64(ld))
        let codes = (0..<n * ld).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        var scattered = [UInt8](repeating: 0, count: rows * n)
        dso_scatter_codes(codes, Int64(ld), Int64(rows), order, Int64(n), &scattered, Int64(n))
        for p in 0..<n {
          for r in 0..<ld { #expect(columns[p * ld + r] == (r < rows ? x[r * n + Int(order[p])] : -1)) }
          for r in 0..<rows { #expect(scattered[r * n + Int(order[p])] == codes[p * ld + r]) }
        }
        let square = numbers.floats(n * n)
        for fromUpper in [0, 1] as [Int32] {
          var mirrored = square
          dso_mirror(&mirrored, Int64(n), Int64(n), 0, Int64(n / 2), fromUpper)
          dso_mirror(&mirrored, Int64(n), Int64(n), Int64(n / 2), Int64(n), fromUpper)
          for i in 0..<n {
            for j in 0..<n {
              let kept = fromUpper == 1 ? j >= i : j <= i
              #expect(mirrored[i * n + j] == (kept ? square[i * n + j] : square[j * n + i]))
            }
          }
        }
      }
    }
  }
}
