import CKernels
import Testing

extension KernelTests.WideProducts {
  /// The largest magnitudes there are: no sum may overflow.
  @Test(arguments: [2, 4, 7, 8])
  func extremesDoNotOverflow(bits: Int) {
    let k = 8192, n = 17, m = 3, half = 1 << (bits - 1)
    for (stored, zeroPoint) in [(WeightMatrix.Extreme.least, Int?.none), (.largest, nil), (.least, half - 1), (.largest, -half)] {
      let weights = WeightMatrix(bits: bits, stored: stored, zeroPoint: zeroPoint, n: n, k: k)
      for code in [Int16(32639), -32639] {
        let codes = [Int16](repeating: code, count: m * k), ones = [Float](repeating: 1, count: m)
        let expected = Double(Int(code) * (weights.code(0, 0) - (zeroPoint ?? 0)) * k)
        for set in KernelTests.allSets {
          for kind in Kind.allCases {
            var view = weights.view
            var c = [Float](repeating: 0, count: m * n)
            let scratch = Scratch(bytes: dso_matmul_scratch_bytes(&view))
            let product = kind == .matmul ? dso_matmul_s16 : dso_matvec_s16
            KernelTests.with(set) {
              product(codes, Int64(k), ones, Int64(m), &view, 0, Int64(n), nil, &c, Int64(n), scratch.pointer)
            }
            let difference = firstDifference(c, [Double](repeating: expected, count: m * n), relative: 1e-5)
            #expect(difference == nil, "\(KernelTests.name(set)) \(kind) \(code) times the \(stored) code, zero point \(zeroPoint ?? 0)")
          }
        }
      }
    }
  }

  @Test func rowsAreQuantizedByTheDefinition() {
    var numbers = TestNumbers(seed: 74)
    for k in KernelTests.boundaries + [0] {
      let rows = 5, ld = k + 2
      var x = numbers.floats(rows * ld)
      for i in 0..<k { x[ld + i] = 0 }
      if k > 2 {
        x[2 * ld + k - 1] = 1e20
        x[3 * ld + 1] = .nan
        x[4 * ld] = .infinity
        x[4 * ld + k - 1] = -.infinity
      }
      for set in KernelTests.allSets {
        let codes = GuardedArray<Int16>(count: rows * ld, canary: 99), scales = GuardedArray<Float>(count: rows, canary: -77)
        KernelTests.with(set) {
          dso_quantize_rows_s16(x, Int64(ld), Int64(rows), Int64(k), codes.pointer, Int64(ld), scales.pointer)
        }
        for row in 0..<rows {
          let values = (0..<k).map { x[row * ld + $0] }
          let largest = values.filter { !$0.isNaN }.map(abs).max() ?? 0
          let scale = largest > 0 ? largest / 32639 : 1
          // A row with a NaN in it tells, whatever comes of its codes.
          let isTelling = values.contains { $0.isNaN } && scale.isFinite
          #expect(isTelling ? scales[row].isNaN : scales[row] == scale, "\(KernelTests.name(set)) k \(k) row \(row)")
          let expected = values.map { value -> Int16 in
            let steps = (value / scale).rounded(.toNearestOrEven)
            return steps.isNaN ? -32639 : Int16(max(-32639, min(32639, steps)))
          }
          #expect((0..<k).map { codes[row * ld + $0] } == expected, "\(KernelTests.name(set)) k \(k) row \(row)")
          #expect((k..<ld).allSatisfy { codes[row * ld + $0] == 99 })
        }
        codes.expectIntact("codes")
        scales.expectIntact("scales")
      }
    }
  }

  /// What sixteen bits are for: the product of floats, to within 1e-4 of its size.
  @Test(arguments: Kind.allCases)
  func staysCloseToTheProductOfFloats(kind: Kind) {
    var numbers = TestNumbers(seed: 75)
    for shape in [
      Shape(m: 6, n: 40, k: 1536, bits: 4, groupSize: 128, asymmetric: true), Shape(m: 3, n: 50, k: 2048, bits: 8, groupSize: 2048),
    ] {
      let product = Case(shape, biased: false, using: &numbers)
      let x = numbers.floats(shape.m * product.ld)
      dso_quantize_rows_s16(
        x, Int64(product.ld), Int64(shape.m), Int64(shape.k), &product.codes, Int64(product.ld), &product.scales)
      var squares = 0.0
      var exact: [Double] = []
      for i in 0..<shape.m {
        for j in 0..<shape.n {
          let sum = (0..<shape.k).reduce(0.0) { $0 + Double(x[i * product.ld + $1]) * Double(product.weights.value(j, $1)) }
          exact.append(sum)
          squares += sum * sum
        }
      }
      for set in KernelTests.allSets {
        let errors = zip(KernelTests.with(set) { product.result(kind) }, exact).reduce(0.0) {
          $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1)
        }
        #expect((errors / squares).squareRoot() < 1e-4, "\(KernelTests.name(set)) \(kind) \(shape)")
      }
    }
  }
}
