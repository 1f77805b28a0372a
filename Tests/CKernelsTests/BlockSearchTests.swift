import CKernels
import Testing

extension KernelTests {
  @Suite struct BlockSearch {
    private static let types = BlockRows.types

    /// Sums of three uniforms with an outlier now and then.
    private func weights(_ count: Int, using numbers: inout TestNumbers) -> [Float] {
      (0..<count).map { _ in
        let three = numbers.floats(3, -1...1).reduce(0, +)
        return UInt8.random(in: 0..<60, using: &numbers) == 0 ? three * 3 : three
      }
    }

    private func label(_ type: dso_block_type) -> String { "type \(type.rawValue)" }

    @Test func everySetGivesTheSameBits() {
      var numbers = TestNumbers(seed: 192)
      for type in Self.types {
        for (rows, blocks) in [(1, 1), (3, 2), (17, 1), (2, 19)] {
          let k = blocks * BlockRows.block(of: type)
          let x = weights(rows * k, using: &numbers), q: [Float]? = rows == 1 ? nil : numbers.floats(k, -0.2...1)
          for byMagnitude in [false, true] {
            let found = allSets.map { set in
              with(set) {
                let row = BlockRows(type: type, k: k, rows: rows)
                #expect(row.quantize(x, importance: q, byMagnitude: byMagnitude) == 0)
                row.expectIntact("\(label(type)), \(name(set))")
                return row.encoded()
              }
            }
            #expect(Set(found).count == 1, "\(label(type)), \(rows) rows of \(blocks)")
          }
        }
      }
    }

    /// Neither the rows of a call nor the other blocks of a row change a block.
    @Test func blocksDoNotDependOnEachOther() {
      var numbers = TestNumbers(seed: 193)
      for type in Self.types {
        let block = BlockRows.block(of: type), x = weights(5 * block, using: &numbers)
        let together = BlockRows(type: type, k: 5 * block, rows: 1), rows = BlockRows(type: type, k: block, rows: 5)
        _ = (together.quantize(x), rows.quantize(x))
        #expect(together.encoded() == rows.encoded(), "\(label(type))")
      }
    }

    /// The plain rule, from its definition, is never better than what is found; and `plain` is that rule.
    @Test func neverWorseThanTheExtremesSay() {
      var numbers = TestNumbers(seed: 194)
      for type in Self.types {
        let k = 4 * BlockRows.block(of: type), rows = 8
        let x = weights(rows * k, using: &numbers)
        for q in [nil, numbers.floats(k, 0.05...1).map { $0 * $0 }] {
          let searched = BlockRows(type: type, k: k, rows: rows), plain = BlockRows(type: type, k: k, rows: rows)
          _ = (searched.quantize(x, importance: q), plain.quantize(x, importance: q, plain: true))
          let gain = searched.error(x, importance: q) / plain.error(x, importance: q)
          #expect(gain < 0.97, "\(label(type)): \(gain) of the plain rule's error")
        }
        for row in 0..<rows {
          let own = Array(x[row * k..<(row + 1) * k])
          let searched = BlockRows(type: type, k: k, rows: 1), plain = BlockRows(type: type, k: k, rows: 1)
          _ = (searched.quantize(own), plain.quantize(own, plain: true))
          #expect(searched.error(own) <= plain.error(own) * (1 + 1e-6), "\(label(type))")
        }
      }
    }

    @Test func plainIsTheRuleOfTheExtremes() {
      let x = (0..<32).map { Float($0) / 10 - 1 }  // -1...2.1
      let symmetric = BlockRows(type: DSO_BLOCKS_Q4_0, k: 32, rows: 1)
      _ = symmetric.quantize(x, plain: true)
      // 2.1 / -8, as float16 has it.
      #expect(symmetric.scales[0] == 0xb433)
      let minima = BlockRows(type: DSO_BLOCKS_Q5_1, k: 32, rows: 1)
      _ = minima.quantize(x, plain: true)
      #expect(minima.minima[0] == 0xbc00)
      var codes = [UInt8](repeating: 0, count: 32)
      dso_unpack_codes(minima.words.pointer, 32, 5, &codes)
      #expect(codes == (0..<32).map { UInt8($0) })
    }

    /// The least error of a block over every float16 scale, or every exponent, of either sign.
    private func bruteForce(_ x: [Float], type: dso_block_type, importance: [Float]) -> Double {
      let peak = x.map(abs).max() ?? 0, isPower = type == DSO_BLOCKS_MXFP4
      let levels: [Float] =
        isPower
        ? [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -2, -3, -4, -6]
        : type == DSO_BLOCKS_IQ4_NL
          ? [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113] : (-8...7).map { Float($0) }
      let largest = levels.map(abs).max() ?? 1
      var least = Double.infinity
      func judge(_ scale: Float) {
        var sum = 0.0
        for index in x.indices {
          let rest = levels.reduce(Float.infinity) { min($0, abs(x[index] - $1 * scale)) }
          sum += Double(importance[index]) * Double(rest) * Double(rest)
        }
        least = min(least, sum)
      }
      if isPower {
        for exponent in -20...20 { judge(Float(sign: .plus, exponent: exponent, significand: 1)) }
        return least
      }
      for pattern in UInt16(1)..<0x7c00 {
        var half = pattern
        var scale: Float = 0
        dso_convert_f16_to_f32(&half, &scale, 1)
        if scale * largest < peak / 3 || scale * largest > peak * 2 { continue }
        judge(scale)
        judge(-scale)
      }
      return least
    }

    @Test(arguments: [DSO_BLOCKS_Q4_0.rawValue, DSO_BLOCKS_IQ4_NL.rawValue, DSO_BLOCKS_MXFP4.rawValue])
    func findsNearlyWhatBruteForceFinds(number: UInt32) {
      let type = dso_block_type(number)
      var numbers = TestNumbers(seed: 195)
      var excess = 0.0
      let trials = 24
      for _ in 0..<trials {
        let x = weights(32, using: &numbers), q = numbers.floats(32, 0.1...1).map { $0 * $0 }
        let row = BlockRows(type: type, k: 32, rows: 1)
        _ = row.quantize(x, importance: q)
        let over = row.error(x, importance: q) / bruteForce(x, type: type, importance: q) - 1
        #expect(over > -1e-4)
        excess += over / Double(trials)
      }
      // A power of two is one of three; a scale lies between others.
      #expect(excess < (type == DSO_BLOCKS_MXFP4 ? 1e-5 : 0.02), "\(excess) above the least")
    }

    /// Weights that a type can hold are found again.
    @Test func whatIsRepresentedStaysSo() {
      var numbers = TestNumbers(seed: 196)
      for type in Self.types {
        let block = BlockRows.block(of: type), source = BlockRows(type: type, k: 4 * block, rows: 1)
        _ = source.quantize(weights(4 * block, using: &numbers))
        let x = source.weights(), again = BlockRows(type: type, k: 4 * block, rows: 1)
        _ = again.quantize(x)
        let relative = again.error(x) / x.reduce(0) { $0 + Double($1) * Double($1) }
        #expect(relative < 2e-4, "\(label(type)): \(relative)")
      }
    }

    @Test func edgesAreRepresented() {
      for type in Self.types {
        let block = BlockRows.block(of: type)
        for (value, allowed) in [(Float(0), 0.0), (0.37, 2e-3), (-0.37, 2e-3)] where value == 0 || type != DSO_BLOCKS_MXFP4 {
          let row = BlockRows(type: type, k: block, rows: 1)
          #expect(row.quantize([Float](repeating: value, count: block)) == 0)
          #expect(row.weights().allSatisfy { abs(Double($0) - Double(value)) <= allowed * abs(Double(value)) }, "\(label(type)) \(value)")
        }
        for size in [Float(0x1p-140), 0x1p-24, 0x1p30, 0x1p120] {
          var numbers = TestNumbers(seed: 197)
          let row = BlockRows(type: type, k: block, rows: 1)
          #expect(row.quantize(weights(block, using: &numbers).map { $0 * size }) == 0)
          #expect(row.weights().allSatisfy { $0.isFinite }, "\(label(type)), \(size)")
        }
      }
    }

    @Test func whatIsNotFiniteIsCounted() {
      var numbers = TestNumbers(seed: 198)
      for type in Self.types {
        let block = BlockRows.block(of: type)
        var x = weights(2 * block, using: &numbers), zeroed = x
        for (index, value) in [(0, Float.nan), (5, .infinity), (block + 1, -.infinity)] { (x[index], zeroed[index]) = (value, 0) }
        let row = BlockRows(type: type, k: block, rows: 2), other = BlockRows(type: type, k: block, rows: 2)
        #expect(row.quantize(x) == 3)
        #expect(other.quantize(zeroed) == 0)
        #expect(row.encoded() == other.encoded(), "\(label(type))")
      }
    }

    /// An importance that is no number, or not above 0, counts as next to nothing; none that is above 0, as the same everywhere.
    @Test func importanceIsTakenAsItIs() {
      var numbers = TestNumbers(seed: 199), changed = 0
      for type in Self.types {
        let block = BlockRows.block(of: type), x = weights(block, using: &numbers)
        func blocks(_ importance: [Float]?) -> [UInt8] {
          let row = BlockRows(type: type, k: block, rows: 1)
          _ = row.quantize(x, importance: importance)
          return row.encoded()
        }
        let ones = [Float](repeating: 1, count: block)
        #expect(blocks(nil) == blocks(ones))
        #expect(blocks(nil) == blocks(ones.map { $0 * 0x1p-90 }))
        #expect(blocks(nil) == blocks(ones.map { _ in 0 }))
        var odd = ones, small = ones
        for index in stride(from: 0, to: block, by: 2) {
          (odd[index], small[index]) = ([Float.nan, 0, -4][index / 2 % 3], 0x1p-30)
        }
        #expect(blocks(odd) == blocks(small), "\(label(type))")
        changed += blocks(odd) == blocks(ones) ? 0 : 1
      }
      // Of three exponents the same one may be the best.
      #expect(changed >= Self.types.count - 1)
    }
  }
}
