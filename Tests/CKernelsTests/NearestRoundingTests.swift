import CKernels
import Testing

extension KernelTests {
  @Suite struct NearestRounding {
    static let kernels = ["dso_round_rows_to_nearest", "dso_weight_error"]

    struct Found: Equatable {
      var words: [UInt32], scales: [Float], points: [Int8], clamped: Int64, nonfinite: Int64
    }

    private func round(_ w: WeightMatrix, _ grid: dso_nearest_grid, on set: dso_isa) -> Found {
      let (rows, k) = (Int(w.view.n), Int(w.view.k))
      let (groups, rowWords) = ((k + Int(grid.group_size) - 1) / Int(grid.group_size), (k * Int(grid.bits) + 31) / 32)
      let words = GuardedArray<UInt32>(count: rows * rowWords, canary: 0xdead_beef)
      let scales = GuardedArray<Float>(count: rows * groups, canary: -77)
      let points = GuardedArray<Int8>(count: rows * groups, canary: 99)
      let scratch = Scratch(bytes: dso_nearest_scratch_bytes(Int64(k)))
      var grid = grid
      let counts = with(set) {
        dso_round_rows_to_nearest(
          w.view.data, Int32(w.view.storage.rawValue), w.view.row_bytes, Int64(rows), Int64(k), &grid, words.pointer, scales.pointer,
          grid.symmetric != 0 ? nil : points.pointer, scratch.pointer)
      }
      words.expectIntact("\(name(set)) words")
      scales.expectIntact("\(name(set)) scales")
      points.expectIntact("\(name(set)) points")
      return Found(
        words: words.elements, scales: scales.elements, points: points.elements, clamped: counts.clamped, nonfinite: counts.nonfinite)
    }

    /// Every set finds the portable bits, and those are what the definition says of each weight.
    @Test(arguments: 2...8)
    func findsTheNearestCodes(bits: Int) throws {
      var numbers = TestNumbers(seed: 71)
      for k in [1, 15, 16, 33, 128, 200] {
        for storage in [WeightMatrix.Storage.float32, .bfloat16, .float16] {
          let w = WeightMatrix(storage, n: 3, k: k, using: &numbers)
          for variant in 0..<4 {
            let symmetric = variant < 3
            let grid = dso_nearest_grid(
              bits: Int32(bits), symmetric: symmetric ? 1 : 0, rule: dso_scale_rule(rawValue: UInt32(symmetric ? variant : 0)),
              type: [DSO_SCALE_F32, DSO_SCALE_F16, DSO_SCALE_BF16][variant % 3], group_size: Int64(k > 64 ? 64 : k))
            let portable = round(w, grid, on: DSO_ISA_PORTABLE)
            for set in fastSets { #expect(round(w, grid, on: set) == portable, "\(name(set)) k \(k) variant \(variant)") }
            try expectNearest(portable, w, grid)
          }
        }
      }
    }

    private func expectNearest(_ found: Found, _ w: WeightMatrix, _ grid: dso_nearest_grid) throws {
      let (k, bits, size) = (Int(w.view.k), Int(grid.bits), Int(grid.group_size))
      let (groups, rowWords, half) = ((k + size - 1) / size, (k * bits + 31) / 32, 1 << (bits - 1))
      var clamped: Int64 = 0
      for row in 0..<Int(w.view.n) {
        var codes = [UInt8](repeating: 0, count: k)
        dso_unpack_codes(Array(found.words[row * rowWords..<(row + 1) * rowWords]), Int64(k), Int32(bits), &codes)
        for column in 0..<k {
          let scale = found.scales[row * groups + column / size]
          let point = grid.symmetric != 0 ? 0 : Int(found.points[row * groups + column / size])
          let steps = w.value(row, column) / scale
          let (low, high) = (Float(-half - point), Float(half - 1 - point))
          if !(steps >= low - 0.5 && steps <= high + 0.5) { clamped += 1 }
          let code = Int(min(max(steps.rounded(.toNearestOrEven), low), high)) + point + half
          try #require(Int(codes[column]) == code, "bits \(bits) k \(k) row \(row) column \(column)")
        }
      }
      #expect(found.clamped == clamped)
    }

    /// Halves are where a product with the reciprocal would go astray.
    @Test func dividesBesideHalves() {
      var numbers = TestNumbers(seed: 72)
      for scale in [0.1, 0.3, 1e-30, 3e-39, 7.7e30] as [Float] {
        var x = (0..<256).map { _ in (Float(Int.random(in: -130...130, using: &numbers)) + 0.5) * scale }
        for index in stride(from: 0, to: 256, by: 3) { x[index] = index % 2 == 0 ? x[index].nextUp : x[index].nextDown }
        var expected = [UInt8](repeating: 0, count: 256)
        let clamped = with(DSO_ISA_PORTABLE) { dso_quantize_group(x, 256, scale, 3, 8, &expected) }
        for set in fastSets {
          var codes = [UInt8](repeating: 0, count: 256)
          #expect(with(set) { dso_quantize_group(x, 256, scale, 3, 8, &codes) } == clamped, "\(name(set)) \(scale)")
          #expect(codes == expected, "\(name(set)) \(scale)")
        }
      }
    }

    @Test func countsWhatIsNotFinite() {
      for set in allSets {
        var values = [Float](repeating: 0.5, count: 40)
        (values[3], values[39]) = (.nan, -.infinity)
        var grid = dso_nearest_grid(bits: 4, symmetric: 1, rule: DSO_RULE_SIGNED_ABSMAX, type: DSO_SCALE_F32, group_size: 40)
        var (words, scales) = ([UInt32](repeating: 0, count: 5), [Float(0)])
        let scratch = Scratch(bytes: dso_nearest_scratch_bytes(40))
        let counts = with(set) {
          dso_round_rows_to_nearest(values, Int32(DSO_STORAGE_F32.rawValue), 160, 1, 40, &grid, &words, &scales, nil, scratch.pointer)
        }
        #expect(counts.nonfinite == 2, "\(name(set))")
      }
    }

    @Test func sumsErrors() {
      var numbers = TestNumbers(seed: 73)
      for (k, bits) in [(5, 4), (64, 8), (513, 3), (1100, 8), (1030, 2)] {
        for storage in [WeightMatrix.Storage.float32, .bfloat16, .float16] {
          let dense = WeightMatrix(storage, n: 2, k: k, using: &numbers)
          let codes = WeightMatrix(.codes(bits: bits, groupSize: min(k, 32), asymmetric: bits == 3), n: 2, k: k, using: &numbers)
          var (signal, noise) = (0.0, 0.0)
          for column in 0..<k {
            signal += Double(dense.value(1, column)) * Double(dense.value(1, column))
            let difference = Double(dense.value(1, column)) - Double(codes.value(1, column))
            noise += difference * difference
          }
          for set in allSets {
            var (one, other) = (dense.view, codes.view)
            var (s, n) = (0.0, 0.0)
            with(set) { dso_weight_error(&one, &other, 1, &s, &n) }
            #expect(abs(s - signal) <= 1e-5 * signal, "\(name(set)) \(k)")
            #expect(abs(n - noise) <= 1e-5 * noise, "\(name(set)) \(k)")
          }
        }
      }
    }
  }

  @Suite struct Digests {
    /// As sha256 of each alone, from any state.
    @Test func twoDigestsAtOnceAreThoseOfEach() {
      let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 167) }
      for (before, count) in [(0, 640), (64, 100), (3, 200), (0, 1), (128, 0)] {
        var (a, b, c, d) = (dso_sha256(), dso_sha256(), dso_sha256(), dso_sha256())
        dso_sha256_start(&a); dso_sha256_start(&b); dso_sha256_start(&c); dso_sha256_start(&d)
        dso_sha256_update(&a, bytes, before); dso_sha256_update(&c, bytes, before)
        bytes.withUnsafeBytes { bytes in
          guard let base = bytes.baseAddress else { return }
          dso_sha256_update_two(&a, base + 100, &b, base + 300, count)
          dso_sha256_update(&c, base + 100, count); dso_sha256_update(&d, base + 300, count)
        }
        var results = [[UInt8]](repeating: Array(repeating: 0, count: 32), count: 4)
        dso_sha256_finish(&a, &results[0]); dso_sha256_finish(&b, &results[1])
        dso_sha256_finish(&c, &results[2]); dso_sha256_finish(&d, &results[3])
        #expect(results[0] == results[2] && results[1] == results[3], "\(before) \(count)")
      }
    }

    private func fingerprint(_ bytes: [UInt8], mask: UInt8 = 0) -> [UInt64] {
      var out: [UInt64] = [0, 0]
      dso_fingerprint(bytes, Int64(bytes.count), mask, &out)
      return out
    }

    @Test func everyBitAndEveryPlaceCounts() {
      var seen: Set<[UInt64]> = []
      for count in [0, 1, 63, 64, 65, 200] {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(seen.insert(fingerprint(bytes)).inserted)
        for bit in 0..<count * 8 {
          var changed = bytes
          changed[bit / 8] ^= 1 << (bit % 8)
          #expect(seen.insert(fingerprint(changed)).inserted, "\(count) bit \(bit)")
        }
      }
      // Two words exchanged, zeros more or less, the highest bits of two words.
      let words = (0..<256).map { UInt8(truncatingIfNeeded: $0 / 8) }
      var exchanged = words
      exchanged.swapAt(0, 64)
      var high = words
      high[7] ^= 0x80
      high[7 + 128] ^= 0x80
      for other in [exchanged, high, words + [0], Array(words.dropLast())] { #expect(fingerprint(other) != fingerprint(words)) }
    }

    @Test func aMaskIsAnExclusiveOr() {
      let bytes = (0..<151).map { UInt8(truncatingIfNeeded: $0 &* 77) }
      #expect(fingerprint(bytes, mask: 0x80) == fingerprint(bytes.map { $0 ^ 0x80 }))
      var signs = [UInt8](repeating: 0, count: 151)
      dso_exchange_signs(bytes, &signs, 151)
      #expect(signs == bytes.map { $0 ^ 0x80 })
    }
  }
}
