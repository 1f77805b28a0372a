import CKernels
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension KernelTests {
  @Suite struct GridSearch {
    static let kernels = ["dso_search_grid", "dso_grid_error", "dso_imatrix_importance", "dso_half_quadratic_grid"]
    private static let types = [DSO_SCALE_F32, DSO_SCALE_F16, DSO_SCALE_BF16]

    private func search(
      _ w: [Float], _ importance: [Float]? = nil, bits: Int, symmetric: Bool, type: dso_scale_type = DSO_SCALE_BF16
    ) -> dso_grid {
      let bytes = Int(dso_grid_scratch_bytes(Int64(w.count)))
      let scratch = GuardedArray<UInt8>(count: bytes, canary: 0xff)
      defer { scratch.expectIntact("search of \(w.count)") }
      return dso_search_grid(w, importance, Int64(w.count), Int32(bits), symmetric ? 1 : 0, type, scratch.pointer)
    }

    private func solve(
      _ w: [Float], from start: dso_grid, exponent: Float = 0.7, bits: Int, symmetric: Bool, type: dso_scale_type = DSO_SCALE_F32
    ) -> dso_grid {
      let scratch = GuardedArray<UInt8>(count: Int(dso_grid_scratch_bytes(Int64(w.count))), canary: 0xff)
      defer { scratch.expectIntact("solver of \(w.count)") }
      let solver = dso_half_quadratic(exponent: exponent, beta: 10, growth: 1.01, iterations: 20)
      return dso_half_quadratic_grid(
        w, Int64(w.count), Int32(bits), symmetric ? 1 : 0, type, solver, start, scratch.pointer)
    }

    /// Sums of three uniforms with an outlier now and then.
    private func weights(_ count: Int, using numbers: inout TestNumbers) -> [Float] {
      (0..<count).map { _ in
        let three = numbers.floats(3, -1...1).reduce(0, +)
        return UInt8.random(in: 0..<40, using: &numbers) == 0 ? three * 3 : three
      }
    }

    /// By the definition: the nearest code of each weight.
    private func error(
      _ w: [Float], _ importance: [Float]?, bits: Int, scale: Float, zeroPoint: Int, power: Double = 2
    ) -> Double {
      let half = Double(1 << (bits - 1)), point = Double(zeroPoint)
      var sum = 0.0
      for index in w.indices {
        let steps = (Double(w[index]) / Double(scale)).rounded(.toNearestOrEven)
        let rest = Double(w[index]) - min(max(steps, -half - point), half - 1 - point) * Double(scale)
        sum += Double(importance?[index] ?? 1) * pow(abs(rest), power)
      }
      return sum
    }

    /// The least error over every bfloat16 scale from a small part of the extreme to twice it, both signs, and every zero point.
    private func bruteForce(_ w: [Float], _ importance: [Float]?, bits: Int, symmetric: Bool) -> Double {
      let peak = w.map(abs).max() ?? 0, half = 1 << (bits - 1)
      let range = symmetric ? peak : (w.max() ?? 0) - (w.min() ?? 0)
      var best = Double.infinity
      var pattern = (range / Float(half * 6)).bitPattern >> 16
      while Float(bitPattern: pattern << 16) <= 2 * range {
        let scale = Float(bitPattern: pattern << 16)
        if symmetric {
          for signed in [scale, -scale] { best = min(best, error(w, importance, bits: bits, scale: signed, zeroPoint: 0)) }
        } else {
          for point in -half..<half { best = min(best, error(w, importance, bits: bits, scale: scale, zeroPoint: point)) }
        }
        pattern += 1
      }
      return best
    }

    @Test(arguments: [2, 3, 4], [true, false])
    func findsWhatBruteForceFinds(bits: Int, symmetric: Bool) {
      var numbers = TestNumbers(seed: 71)
      for weighted in [false, true] {
        var excess = 0.0, found = 0
        let trials = 96
        for trial in 0..<trials {
          let count = [16, 32, 64, 24][trial % 4]
          let w = weights(count, using: &numbers)
          let q = weighted ? numbers.floats(count, 0.01...4).map { $0 * $0 } : nil
          let least = bruteForce(w, q, bits: bits, symmetric: symmetric)
          let over = search(w, q, bits: bits, symmetric: symmetric).error / least - 1
          #expect(over > -1e-5)
          excess += max(0, over) / Double(trials)
          if over < 1e-5 { found += 1 }
        }
        // A small group with few weights that matter can have a narrow optimum between the scales that are tried.
        #expect(excess < 0.02, "\(bits) bits: on average \(excess) above the least")
        #expect(found * 10 > trials * 9, "\(bits) bits: \(found) of \(trials) at the least")
      }
    }

    @Test(arguments: 2...8)
    func neverWorseThanTheRules(bits: Int) {
      var numbers = TestNumbers(seed: 72)
      let half = Float(1 << (bits - 1))
      for count in boundaries {
        for type in Self.types {
          let w = weights(count, using: &numbers)
          let q: [Float]? = count % 2 == 0 ? nil : numbers.floats(count, 0...1)
          let low = min(w.min() ?? 0, 0), high = max(w.max() ?? 0, 0), peak = max(high, -low)
          func least(_ scale: Float, _ zeroPoint: Int) -> Double {
            let stored = rounded(scale, type)
            return stored == 0 ? .infinity : error(w, q, bits: bits, scale: stored, zeroPoint: zeroPoint)
          }
          let signed = (-low > high ? low : high) / -half
          let rules = [signed, peak / (half - 0.5), peak / (half - 1)].map { least($0, 0) }
          let symmetric = search(w, q, bits: bits, symmetric: true, type: type).error
          #expect(symmetric <= (rules.min() ?? 0) * (1 + 1e-6), "\(count) \(type)")
          let scale = rounded((high - low) / (2 * half - 1), type)
          let point = min(max((-low / scale).rounded(.toNearestOrEven) - half, -half), half - 1)
          let asymmetric = search(w, q, bits: bits, symmetric: false, type: type).error
          #expect(asymmetric <= least(scale, Int(point)) * (1 + 1e-6), "\(count) \(type)")
        }
      }
    }

    private func rounded(_ value: Float, _ type: dso_scale_type) -> Float {
      if type == DSO_SCALE_F32 { return value }
      var half: UInt16 = 0
      var back: Float = 0
      if type == DSO_SCALE_F16 {
        dso_convert_f32_to_f16([value], &half, 1)
        dso_convert_f16_to_f32(&half, &back, 1)
      } else {
        dso_convert_f32_to_bf16([value], &half, 1)
        dso_convert_bf16_to_f32(&half, &back, 1)
      }
      return back
    }

    /// What is returned is what would be stored, and its error that of the codes which are found for it.
    @Test func scaleIsStoredAndErrorIsTrue() {
      var numbers = TestNumbers(seed: 73)
      for bits in [2, 4, 8] {
        for symmetric in [true, false] {
          for type in Self.types {
            let w = weights(100, using: &numbers), q = numbers.floats(100, 0...2)
            let grid = search(w, q, bits: bits, symmetric: symmetric, type: type)
            #expect(rounded(grid.scale, type) == grid.scale)
            #expect(symmetric ? grid.zero_point == 0 : grid.scale > 0 && abs(2 * Int(grid.zero_point) + 1) < 1 << bits)
            var codes = [UInt8](repeating: 0, count: 100)
            dso_quantize_group(w, 100, grid.scale, grid.zero_point, Int32(bits), &codes)
            var sum = 0.0
            for index in w.indices {
              let code = Int(codes[index]) - (1 << (bits - 1)) - Int(grid.zero_point)
              let rest = Double(w[index]) - Double(Float(code) * grid.scale)
              sum += Double(q[index]) * rest * rest
            }
            #expect(abs(sum - grid.error) <= 1e-9 * sum, "\(bits) \(symmetric) \(type)")
            #expect(dso_grid_error(w, q, 100, Int32(bits), grid.scale, grid.zero_point) == grid.error)
          }
        }
      }
    }

    @Test(arguments: 2...8)
    func everySetGivesTheSameBits(bits: Int) {
      var numbers = TestNumbers(seed: 74)
      for count in boundaries + [1000] {
        for (index, type) in Self.types.enumerated() {
          let w = weights(count, using: &numbers).map { $0 * [1, 0x1p-130, 0x1p100][(count + index) % 3] }
          let q: [Float]? = index == 0 ? nil : numbers.floats(count, -0.2...1)
          for symmetric in [true, false] {
            let results = allSets.map { set in
              with(set) {
                let grid = search(w, q, bits: bits, symmetric: symmetric, type: type)
                let solved = solve(w, from: grid, bits: bits, symmetric: symmetric, type: type)
                return [grid, solved].map { [UInt64($0.scale.bitPattern), UInt64(bitPattern: Int64($0.zero_point)), $0.error.bitPattern] }
              }
            }
            #expect(Set(results).count == 1, "\(count) \(type) \(symmetric)")
          }
        }
      }
    }

    @Test func errorAndImportanceAreTheSameBitsForEverySet() {
      var numbers = TestNumbers(seed: 78)
      for count in boundaries + [1000] {
        let w = weights(count, using: &numbers)
        for q in [nil, numbers.floats(count, -0.2...1)] {
          let results = allSets.map { set in
            with(set) {
              let out = GuardedArray<Float>(count: count, canary: -7)
              dso_imatrix_importance(w, q, Int64(count), out.pointer)
              let error = dso_grid_error(w, q, Int64(count), 4, 0.3, 1)
              return out.elements.map { UInt64($0.bitPattern) } + [error.bitPattern]
            }
          }
          #expect(Set(results).count == 1, "\(count)")
        }
      }
    }

    @Test(arguments: 2...8)
    func edgesAreRepresented(bits: Int) {
      for type in Self.types {
        for symmetric in [true, false] {
          func found(_ w: [Float], _ q: [Float]? = nil) -> dso_grid { search(w, q, bits: bits, symmetric: symmetric, type: type) }
          for zeros in [[], [Float(0)], [Float](repeating: -0, count: 33)] {
            let grid = found(zeros)
            #expect(grid.scale == 1 && grid.zero_point == 0 && grid.error == 0)
          }
          for single in [Float(0.75), -0.75, 3, -1024] {
            let grid = found([single])
            #expect(grid.error <= Double(single * single) * 1e-5, "\(single)")
          }
          // Too small for the type, or nearly too large: finite, and no worse than all zeros.
          for size in [Float(0x1p-149), 0x1p-126, 0x1p-30, 0x1p15, 0x1.8p127] {
            let w: [Float] = [size, -size, size / 2, 0, size * 0.75]
            let grid = found(w)
            #expect(grid.scale.isFinite && grid.scale != 0 && grid.error.isFinite, "\(size)")
            #expect(grid.error <= w.reduce(0) { $0 + Double($1) * Double($1) }, "\(size)")
          }
          for bad in [Float.nan, .infinity, -.infinity] {
            let grid = found([1, bad, 2])
            #expect(grid.scale.isFinite && grid.scale != 0)
          }
        }
      }
    }

    @Test func missingImportanceCountsAsOne() {
      var numbers = TestNumbers(seed: 75)
      let w = weights(50, using: &numbers)
      for symmetric in [true, false] {
        let plain = search(w, bits: 3, symmetric: symmetric)
        for missing in [[Float](repeating: 0, count: 50), [Float](repeating: -1, count: 50), [Float](repeating: .nan, count: 50)] {
          let grid = search(w, missing, bits: 3, symmetric: symmetric)
          #expect(grid.scale == plain.scale && grid.zero_point == plain.zero_point && grid.error == plain.error)
        }
        // A factor common to all changes nothing but the error.
        for factor in [Float(0x1p-100), 0x1p100] {
          let grid = search(w, [Float](repeating: factor, count: 50), bits: 3, symmetric: symmetric)
          #expect(grid.scale == plain.scale && grid.zero_point == plain.zero_point)
        }
      }
    }

    @Test func importanceIsFollowed() {
      // One weight matters: it must be hit, whatever becomes of the others.
      var w = [Float](repeating: 0, count: 32)
      for index in w.indices { w[index] = Float(index) - 15.5 }
      var q = [Float](repeating: 1e-6, count: 32)
      q[20] = 1
      let grid = search(w, q, bits: 2, symmetric: true, type: DSO_SCALE_F32)
      #expect(abs((w[20] / grid.scale).rounded() * grid.scale - w[20]) < 0.02)
    }

    @Test(arguments: [2, 3, 4, 8], [true, false])
    func halfQuadraticLowersItsNorm(bits: Int, symmetric: Bool) {
      var numbers = TestNumbers(seed: 76)
      var lowered = 0
      for exponent in [Float(0.5), 0.7, 1] {
        for trial in 0..<20 {
          let w = weights(64 + trial, using: &numbers)
          let start = search(w, bits: bits, symmetric: symmetric, type: DSO_SCALE_F32)
          let grid = solve(w, from: start, exponent: exponent, bits: bits, symmetric: symmetric)
          func norm(_ grid: dso_grid) -> Double {
            error(w, nil, bits: bits, scale: grid.scale, zeroPoint: Int(grid.zero_point), power: Double(exponent))
          }
          #expect(abs(grid.error / norm(grid) - 1) < 1e-4)
          #expect(norm(grid) <= norm(start) * (1 + 1e-5))
          if norm(grid) < norm(start) * (1 - 1e-5) { lowered += 1 }
        }
      }
      #expect(lowered > 20, "the norm fell for only \(lowered) of 60 groups")
    }

    @Test func halfQuadraticPassesOddStartsThrough() {
      for (w, scale) in [([Float(0), 0], Float(1)), ([.nan, 1], 0.5), ([1, 2], 0), ([1, 2], .infinity), ([.infinity, 2], 1)] {
        let grid = solve(w, from: dso_grid(scale: scale, zero_point: 0, error: 0), bits: 4, symmetric: true)
        #expect(grid.scale == scale && grid.zero_point == 0)
      }
    }

    @Test func imatrixImportanceIsByTheDefinition() {
      var numbers = TestNumbers(seed: 77)
      let w = numbers.floats(37), q = numbers.floats(37, 0...3)
      let mean = w.reduce(0) { $0 + Double($1) * Double($1) } / 37
      for given in [q, nil] {
        let out = GuardedArray<Float>(count: 37, canary: -7)
        dso_imatrix_importance(w, given, 37, out.pointer)
        let expected = w.indices.map { Double(given?[$0] ?? 1) * (2 * mean + Double(w[$0]) * Double(w[$0])).squareRoot() }
        #expect(firstDifference(out.elements, expected, relative: 1e-6) == nil)
        out.expectIntact("importance")
      }
    }
  }
}
