import CKernels
import Testing

extension KernelTests {
  @Suite struct Products {
    static let kernels = ["dso_matmul_f32", "dso_matvec_f32", "dso_matmul_bf16"]

    enum Kind: CaseIterable { case matmul, matvec, bfloat16 }

    struct Shape: CustomStringConvertible {
      var m: Int, n: Int, k: Int
      var description: String { "\(m)x\(n)x\(k)" }
    }

    static let storages: [WeightMatrix.Storage] =
      [.float32, .bfloat16, .float16]
      + (2...8).flatMap { bits -> [WeightMatrix.Storage] in
        [.codes(bits: bits, groupSize: 32, asymmetric: false), .codes(bits: bits, groupSize: 30, asymmetric: true)]
      } + [.codes(bits: 4, groupSize: 128, asymmetric: true), .codes(bits: 8, groupSize: 1 << 20, asymmetric: false)]
      + (2...8).map { .levels(bits: $0, groupSize: 32) }
      + [.levels(bits: 4, groupSize: 128), .levels(bits: 4, groupSize: 30), .levels(bits: 4, groupSize: 1 << 20)]

    /// Every m and every n of the boundaries, odd k, k beyond one block, k below a group.
    static let shapes: [Shape] =
      zip(boundaries, boundaries.reversed()).map { Shape(m: $0, n: $1, k: 65) }
      + [
        Shape(m: 1, n: 1, k: 1), Shape(m: 3, n: 33, k: 129), Shape(m: 15, n: 40, k: 1031), Shape(m: 8, n: 65, k: 257),
        Shape(m: 2, n: 17, k: 7),
      ]

    /// One product with everything it needs.
    final class Case {
      let shape: Shape
      let weights: WeightMatrix
      let a: [Float]
      let rounded: [UInt16]
      let bias: [Float]?
      let lda: Int
      let scratch: Scratch

      init(_ shape: Shape, _ storage: WeightMatrix.Storage, biased: Bool, using numbers: inout TestNumbers) {
        self.shape = shape
        weights = WeightMatrix(storage.fitting(shape.k), n: shape.n, k: shape.k, using: &numbers)
        lda = shape.k + 3
        a = numbers.floats(shape.m * lda)
        rounded = a.map { UInt16($0.bitPattern >> 16) }
        bias = biased ? numbers.floats(shape.n) : nil
        var view = weights.view
        scratch = Scratch(bytes: dso_matmul_scratch_bytes(&view))
      }

      /// Rows and columns of the result, into `c` with rows `ldc` apart.
      func run(_ kind: Kind, rows: Range<Int>, columns: Range<Int>, into c: UnsafeMutablePointer<Float>, ldc: Int) {
        var view = weights.view
        let begin = Int64(columns.lowerBound), end = Int64(columns.upperBound), height = Int64(rows.count)
        let target = c + rows.lowerBound * ldc
        a.withUnsafeBufferPointer { a in
          rounded.withUnsafeBufferPointer { rounded in
            guard let first = a.baseAddress, let first16 = rounded.baseAddress else { return }
            let from = first + rows.lowerBound * lda, from16 = first16 + rows.lowerBound * lda
            let ld = Int64(lda), ldc = Int64(ldc)
            switch kind {
            case .matmul: dso_matmul_f32(from, ld, height, &view, begin, end, bias, target, ldc, scratch.pointer)
            case .matvec: dso_matvec_f32(from, ld, height, &view, begin, end, bias, target, ldc, scratch.pointer)
            case .bfloat16: dso_matmul_bf16(from16, ld, height, &view, begin, end, bias, target, ldc, scratch.pointer)
            }
          }
        }
      }

      func result(_ kind: Kind) -> [Float] {
        let c = GuardedArray<Float>(count: shape.m * shape.n, canary: -77)
        run(kind, rows: 0..<shape.m, columns: 0..<shape.n, into: c.pointer, ldc: shape.n)
        c.expectIntact("\(kind) \(shape)")
        return c.elements
      }

      /// The product in double, and for each element the sum of the magnitudes of its terms.
      func expected(_ kind: Kind) -> (values: [Double], magnitudes: [Double]) {
        var values: [Double] = [], magnitudes: [Double] = []
        let w = (0..<shape.n).map { j in
          (0..<shape.k).map { i -> Double in
            let value = weights.value(j, i)
            return Double(kind == .bfloat16 ? nearestBFloat16(value) : value)
          }
        }
        for i in 0..<shape.m {
          for j in 0..<shape.n {
            var sum = bias.map { Double($0[j]) } ?? 0
            var magnitude = abs(sum)
            for l in 0..<shape.k {
              let x = kind == .bfloat16 ? Float(bitPattern: UInt32(rounded[i * lda + l]) << 16) : a[i * lda + l]
              sum += Double(x) * w[j][l]
              magnitude += abs(Double(x) * w[j][l])
            }
            values.append(sum)
            magnitudes.append(magnitude)
          }
        }
        return (values, magnitudes)
      }

      private func nearestBFloat16(_ x: Float) -> Float {
        let bits = x.bitPattern
        return Float(bitPattern: (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
      }
    }

    /// Sums of k products in float, in whatever order: the error is below k * 2^-24 times the sum of magnitudes, and in practice near its
    /// square root. 2^-24 * (8 + k/8) leaves room for sequential sums of these lengths. The instruction that multiplies pairs of bfloat16
    /// rounds by its own rules (denormals are zero), so it gets twice as much.
    static func tolerance(_ kind: Kind, k: Int, magnitude: Double) -> Double {
      (kind == .bfloat16 ? 2 : 1) * 0x1p-24 * (8 + Double(k) / 8) * magnitude + 1e-30
    }

    @Test(arguments: Kind.allCases)
    func matchesDoublePrecision(kind: Kind) {
      var numbers = TestNumbers(seed: 1)
      for (index, shape) in Self.shapes.enumerated() {
        for (other, storage) in Self.storages.enumerated() where (index + other) % 4 == 0 || shape.k > 1000 {
          let product = Case(shape, storage, biased: (index + other) % 3 != 0, using: &numbers)
          let (values, magnitudes) = product.expected(kind)
          for set in allSets {
            let result = with(set) { product.result(kind) }
            let difference = firstDifference(result, values) { Self.tolerance(kind, k: shape.k, magnitude: magnitudes[$0]) }
            #expect(difference == nil, "\(name(set)) \(kind) \(shape) \(storage)")
          }
        }
      }
    }

    /// The rule of determinism: cutting rows and columns anywhere changes no bit and touches nothing else.
    @Test(arguments: Kind.allCases)
    func cutsDoNotChangeBits(kind: Kind) {
      var numbers = TestNumbers(seed: 2)
      for shape in [Shape(m: 33, n: 70, k: 600), Shape(m: 16, n: 129, k: 65), Shape(m: 5, n: 31, k: 1031)] {
        let storages: [WeightMatrix.Storage] = [
          .float32, .bfloat16, .float16, .codes(bits: 4, groupSize: 32, asymmetric: true), .levels(bits: 4, groupSize: 1 << 20),
          .levels(bits: 3, groupSize: 64),
        ]
        for storage in storages {
          let product = Case(shape, storage, biased: true, using: &numbers)
          for set in allSets {
            with(set) {
              let whole = product.result(kind)
              for _ in 0..<4 {
                let row = Int.random(in: 0...shape.m, using: &numbers), column = Int.random(in: 0...shape.n, using: &numbers)
                let c = GuardedArray<Float>(count: shape.m * shape.n, canary: -77)
                for rows in [0..<row, row..<shape.m] {
                  for columns in [0..<column, column..<shape.n] {
                    product.run(kind, rows: rows, columns: columns, into: c.pointer, ldc: shape.n)
                  }
                }
                #expect(firstDifferentBits(c.elements, whole) == nil, "\(name(set)) \(kind) \(shape) cut at \(row), \(column)")
              }
            }
          }
        }
      }
    }

    @Test(arguments: Kind.allCases)
    func writesOnlyItsRange(kind: Kind) {
      var numbers = TestNumbers(seed: 3)
      let product = Case(Shape(m: 7, n: 65, k: 33), .float32, biased: false, using: &numbers)
      for set in allSets {
        with(set) {
          let ldc = 70
          let c = GuardedArray<Float>(count: 7 * ldc, canary: -77)
          product.run(kind, rows: 1..<6, columns: 17..<50, into: c.pointer, ldc: ldc)
          for row in 0..<7 {
            for column in 0..<ldc {
              let inside = (1..<6).contains(row) && (17..<50).contains(column)
              #expect((c[row * ldc + column] == -77) != inside, "\(name(set)) \(kind) at \(row), \(column)")
            }
          }
          c.expectIntact("\(kind)")
        }
      }
    }

    @Test func emptyDepthGivesTheBias() {
      var numbers = TestNumbers(seed: 4)
      let product = Case(Shape(m: 2, n: 5, k: 0), .float32, biased: true, using: &numbers)
      for set in allSets {
        with(set) {
          #expect(product.result(.matmul) == (0..<2).flatMap { _ in product.bias ?? [] }, "\(name(set))")
        }
      }
    }
  }
}
