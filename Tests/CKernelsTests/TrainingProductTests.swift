import CKernels
import Testing

extension KernelTests {
  /// The three products of a linear layer in bfloat16, against rounding by its definition and sums in float64.
  @Suite struct TrainingProducts {
    static let kernels = ["dso_matmul_nt_bf16", "dso_matmul_nn_bf16", "dso_matmul_tn_bf16"]

    enum Kind: CaseIterable { case nt, nn, tn }

    /// Eight significant bits, ties to even.
    static func rounded(_ x: Float) -> Double {
      guard x != 0, x.isFinite else { return Double(x) }
      let step = Double(sign: .plus, exponent: Int(x.exponent) - 7, significand: 1)
      return (Double(x) / step).rounded(.toNearestOrEven) * step
    }

    /// Numbers of magnitude 1 to 2, every third one halfway between two of bfloat16. Products of rounded ones are multiples of 2^-14, so that
    /// sums below 2^10 are exact in float in any order.
    static func numbers(_ count: Int, _ random: inout TestNumbers) -> [Float] {
      (0..<count).map { index in
        let magnitude = Float.random(in: 1..<2, using: &random)
        let even = Float(Int(magnitude * 128)) / 128
        return (index % 3 == 0 ? even + 0x1p-8 : magnitude) * (Bool.random(using: &random) ? 1 : -1)
      }
    }

    /// One product in all its orders: element (row, inner) of the first factor, (inner, column) of the second, with room behind the rows.
    struct Case {
      var m: Int, n: Int, k: Int
      var first: [Float], second: [Float], start: [Float], bias: [Float]
      var ldc: Int { n + 3 }

      init(_ m: Int, _ n: Int, _ k: Int, _ random: inout TestNumbers) {
        (self.m, self.n, self.k) = (m, n, k)
        first = TrainingProducts.numbers(m * k, &random)
        second = TrainingProducts.numbers(k * n, &random)
        start = TrainingProducts.numbers(m * (n + 3), &random).map { Float(TrainingProducts.rounded($0)) }
        bias = TrainingProducts.numbers(n, &random).map { Float(TrainingProducts.rounded($0)) }
      }

      func expected(_ kind: Kind, accumulate: Bool) -> [Float] {
        let a = first.map(TrainingProducts.rounded), b = second.map(TrainingProducts.rounded)
        return (0..<m * ldc).map { at in
          let (row, column) = (at / ldc, at % ldc)
          guard column < n else { return start[at] }
          let sum = (0..<k).reduce(0.0) { $0 + a[row * k + $1] * b[$1 * n + column] }
          return Float(sum + (kind == .nt ? Double(bias[column]) : accumulate ? Double(start[at]) : 0))
        }
      }

      /// A transposed copy with rows `ld` apart, the rest not-a-numbers.
      private static func laid(_ x: [Float], rows: Int, columns: Int, ld: Int, transposed: Bool) -> [Float] {
        let (height, width) = transposed ? (columns, rows) : (rows, columns)
        return (0..<height * ld).map { at in
          let (i, j) = (at / ld, at % ld)
          return j >= width ? .nan : transposed ? x[j * columns + i] : x[i * columns + j]
        }
      }

      /// In pieces: columns cut at n/3, and rows at m/3 in what is right of it (tn: rows only).
      func result(_ kind: Kind, accumulate: Bool, cut: Bool) -> GuardedArray<Float> {
        let c = GuardedArray(start, canary: -77)
        let lda = (kind == .tn ? m : k) + 2, ldb = (kind == .nt ? k : n) + 1
        let a = Self.laid(first, rows: m, columns: k, ld: lda, transposed: kind == .tn)
        let b = Self.laid(second, rows: k, columns: n, ld: ldb, transposed: kind == .nt)
        let row = cut ? m / 3 : 0, column = cut ? n / 3 : 0
        a.withUnsafeBufferPointer { a in
          b.withUnsafeBufferPointer { b in
            guard let a = a.baseAddress, let b = b.baseAddress else { return }
            var w = dso_weights()
            (w.storage, w.data, w.row_bytes) = (DSO_STORAGE_F32, UnsafeRawPointer(b), Int64(4 * ldb))
            (w.n, w.k) = kind == .nt ? (Int64(n), Int64(k)) : (Int64(k), Int64(n))
            w.group_size = w.k
            let scratch = Scratch(bytes: max(dso_matmul_scratch_bytes(&w), dso_gradient_product_scratch_bytes()))
            let add: Int32 = accumulate ? 1 : 0
            func run(_ rows: Range<Int>, _ columns: Range<Int>) {
              let (from, to, begin, end) = (rows.lowerBound, rows.count, Int64(columns.lowerBound), Int64(columns.upperBound))
              let target = c.pointer + from * ldc
              switch kind {
              case .nt:
                dso_matmul_nt_bf16(a + from * lda, Int64(lda), Int64(to), &w, begin, end, bias, target, Int64(ldc), scratch.pointer)
              case .nn:
                dso_matmul_nn_bf16(a + from * lda, Int64(lda), Int64(to), &w, begin, end, add, target, Int64(ldc), scratch.pointer)
              case .tn:
                dso_matmul_tn_bf16(
                  a, Int64(lda), Int64(from), Int64(rows.upperBound), b, Int64(ldb), Int64(n), Int64(k), add, c.pointer, Int64(ldc),
                  scratch.pointer)
              }
            }
            if kind == .tn {
              run(0..<row, 0..<n)
              run(row..<m, 0..<n)
            } else {
              run(0..<m, 0..<column)
              run(0..<row, column..<n)
              run(row..<m, column..<n)
            }
          }
        }
        return c
      }
    }

    /// Every set gives the exact result, whole or cut: odd sizes, blocks of the inner dimension, rows and columns beyond theirs.
    @Test(arguments: Kind.allCases) func exactSumsAreExact(kind: Kind) {
      var random = TestNumbers(seed: 81)
      let shapes = [
        (1, 1, 1), (3, 5, 2), (14, 32, 256), (29, 33, 257), (17, 70, 511), (5, 31, 513), (260, 40, 31), (5, 530, 33), (13, 17, 1031),
        (350, 3, 7),
      ]
      for (m, n, k) in shapes {
        let item = Case(m, n, k, &random)
        for accumulate in kind == .nt ? [false] : [false, true] {
          let expected = item.expected(kind, accumulate: accumulate)
          for set in allSets {
            for cut in [false, true] {
              let label = "\(kind) \(name(set)) \(m) \(n) \(k) \(accumulate) \(cut)"
              let c = with(set) { item.result(kind, accumulate: accumulate, cut: cut) }
              c.expectIntact(label)
              #expect(firstDifferentBits(c.elements, expected) == nil, "\(label)")
            }
          }
        }
      }
    }

    /// With numbers of any size sums are rounded, but the same way wherever a call was cut.
    @Test(arguments: Kind.allCases) func cutsChangeNoBit(kind: Kind) {
      var random = TestNumbers(seed: 82)
      for (m, n, k) in [(31, 67, 1031), (265, 19, 300)] {
        var item = Case(m, n, k, &random)
        item.first = random.floats(m * k)
        item.second = random.floats(k * n)
        let exact = item.expected(kind, accumulate: true)
        for set in allSets {
          let (whole, cut) = with(set) { (item.result(kind, accumulate: true, cut: false), item.result(kind, accumulate: true, cut: true)) }
          #expect(firstDifferentBits(whole.elements, cut.elements) == nil, "\(kind) \(name(set)) \(m) \(n) \(k)")
          let bound = Double(k + 2) * 4 * 0x1p-23
          #expect(firstDifference(whole.elements, exact, relative: 0, absolute: bound) == nil, "\(kind) \(name(set)) \(m) \(n) \(k)")
        }
      }
    }

    /// Nothing to add up: the bias, zeros, or what was there.
    @Test(arguments: Kind.allCases) func nothingToSum(kind: Kind) {
      var random = TestNumbers(seed: 83)
      let item = Case(5, 7, 0, &random)
      for set in allSets {
        for accumulate in kind == .nt ? [false] : [false, true] {
          let c = with(set) { item.result(kind, accumulate: accumulate, cut: false) }
          #expect(firstDifferentBits(c.elements, item.expected(kind, accumulate: accumulate)) == nil, "\(kind) \(name(set)) \(accumulate)")
        }
      }
    }

    /// Infinity and not-a-number reach the elements they belong to and no other, though panels are filled up beside them; what is too large
    /// for bfloat16 becomes infinity.
    @Test(arguments: Kind.allCases) func specialsStayInTheirRow(kind: Kind) {
      var random = TestNumbers(seed: 84)
      for special in [Float.infinity, .nan, Float.greatestFiniteMagnitude, Float(bitPattern: 0x7f80_0001)] {
        var item = Case(16, 35, 33, &random)
        let clean = item.expected(kind, accumulate: true)
        item.second = item.second.map(abs)
        let positive = item.expected(kind, accumulate: true)
        item.first[3 * item.k + 32] = special
        for set in allSets {
          let c = with(set) { item.result(kind, accumulate: true, cut: false) }
          for at in 0..<item.m * item.ldc {
            let inside = at / item.ldc == 3 && at % item.ldc < item.n
            let right = !inside ? c[at].bitPattern == positive[at].bitPattern : special.isNaN ? c[at].isNaN : c[at] == .infinity
            #expect(right, "\(kind) \(name(set)) \(special) [\(at)] is \(c[at])")
          }
        }
        #expect(firstDifferentBits(clean, positive) != nil)
      }
    }

    /// Weights of every storage are decoded, then rounded.
    @Test func everyStorageIsRounded() {
      var random = TestNumbers(seed: 85)
      let storages: [WeightMatrix.Storage] =
        [.float32, .bfloat16, .float16]
        + (2...8).map { .codes(bits: $0, groupSize: 30, asymmetric: $0 % 2 == 0) } + [.codes(bits: 4, groupSize: 1 << 20, asymmetric: true)]
      for storage in storages {
        for (m, n, k) in [(17, 75, 301), (33, 301, 75)] {
          var storage = storage
          if case .codes(let bits, let size, let asymmetric) = storage {
            storage = .codes(bits: bits, groupSize: min(size, k), asymmetric: asymmetric)
          }
          let weights = WeightMatrix(storage, n: n, k: k, using: &random)
          let dense = (0..<n * k).map { Self.rounded(weights.value($0 / k, $0 % k)) }
          let x = random.floats(m * k), dy = random.floats(m * n)
          let (x64, dy64) = (x.map(Self.rounded), dy.map(Self.rounded))
          let forward = (0..<m * n).map { at in (0..<k).reduce(0.0) { $0 + x64[at / n * k + $1] * dense[at % n * k + $1] } }
          let back = (0..<m * k).map { at in (0..<n).reduce(0.0) { $0 + dy64[at / k * n + $1] * dense[$1 * k + at % k] } }
          let largest = dense.map(abs).max() ?? 0
          for set in allSets {
            let label = "\(name(set)) \(storage) \(n) \(k)"
            var view = weights.view
            let y = GuardedArray<Float>(count: m * n, canary: -77), same = GuardedArray<Float>(count: m * n, canary: -77)
            let dx = GuardedArray<Float>(count: m * k, canary: -77)
            let scratch = Scratch(bytes: max(dso_matmul_scratch_bytes(&view), dso_gradient_product_scratch_bytes()))
            let (m64, n64, k64) = (Int64(m), Int64(n), Int64(k))
            with(set) {
              dso_matmul_nt_bf16(x, k64, m64, &view, 0, n64, nil, y.pointer, n64, scratch.pointer)
              dso_matmul_nn_bf16(dy, n64, m64, &view, 0, k64, 0, dx.pointer, k64, scratch.pointer)
              var halves = [UInt16](repeating: 0, count: x.count)
              dso_convert_f32_to_bf16(x, &halves, Int64(x.count))
              dso_matmul_bf16(halves, k64, m64, &view, 0, n64, nil, same.pointer, n64, scratch.pointer)
            }
            y.expectIntact(label)
            dx.expectIntact(label)
            let bound = 2 * largest * 0x1p-23
            #expect(firstDifference(y.elements, forward, relative: 0, absolute: Double(k + 2) * bound) == nil, "\(label) nt")
            #expect(firstDifference(dx.elements, back, relative: 0, absolute: Double(n + 2) * bound) == nil, "\(label) nn")
            #expect(firstDifferentBits(y.elements, same.elements) == nil, "\(label): not the product of converted activations")
          }
        }
      }
    }
  }
}
