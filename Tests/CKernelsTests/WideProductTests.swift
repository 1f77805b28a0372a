import CKernels
import Testing

extension KernelTests {
  /// Products of 16-bit activations.
  @Suite struct WideProducts {
    static let kernels = ["dso_matmul_s16", "dso_matvec_s16", "dso_quantize_rows_s16"]

    enum Kind: CaseIterable { case matmul, matvec }

    struct Shape: CustomStringConvertible {
      var m = 1, n = 1, k = 1, bits = 8, groupSize = 1
      var asymmetric = false
      var description: String { "\(m)x\(n)x\(k) \(bits) bit, groups of \(groupSize)\(asymmetric ? " with zero points" : "")" }
    }

    /// All widths, with groups that have steps of their own, share one, have an odd tail, fit no step, and exceed a chunk.
    static func shapes(bits: Int) -> [Shape] {
      let even = bits % 2 == 0
      return [
        Shape(m: 1, n: 33, k: 256, bits: bits, groupSize: 64, asymmetric: even),
        Shape(m: 2, n: 37, k: 384, bits: bits, groupSize: 128, asymmetric: true),
        Shape(m: 9, n: 21, k: 127, bits: bits, groupSize: 32, asymmetric: !even),
        Shape(m: 3, n: 13, k: 208, bits: bits, groupSize: 16, asymmetric: true),
        Shape(m: 7, n: 31, k: 129, bits: bits, groupSize: 30, asymmetric: true),
        Shape(m: 15, n: 16, k: 65, bits: bits, groupSize: 65, asymmetric: false),
        Shape(m: 4, n: 11, k: 1031, bits: bits, groupSize: 1031, asymmetric: even),
      ]
    }

    static let others: [Shape] = [
      Shape(m: 8, n: 70, k: 2176, bits: 4, groupSize: 128), Shape(m: 5, n: 9, k: 4640, bits: 8, groupSize: 4640),
      Shape(m: 6, n: 5, k: 9000, bits: 8, groupSize: 4224, asymmetric: true), Shape(m: 29, n: 66, k: 7, bits: 3, groupSize: 2),
      Shape(m: 1, n: 1, k: 1, bits: 5, groupSize: 1), Shape(m: 14, n: 40, k: 900, bits: 6, groupSize: 300, asymmetric: true),
      Shape(m: 2, n: 6, k: 576, bits: 4, groupSize: 192, asymmetric: true),
    ]

    static let shapes: [Shape] = (2...8).flatMap { shapes(bits: $0) } + others

    /// One product with everything it needs.
    final class Case {
      let shape: Shape, weights: WeightMatrix, ld: Int, scratch: Scratch
      var codes: [Int16], scales: [Float], bias: [Float]?

      init(_ shape: Shape, biased: Bool = true, using numbers: inout TestNumbers) {
        self.shape = shape
        weights = WeightMatrix(
          .codes(bits: shape.bits, groupSize: shape.groupSize, asymmetric: shape.asymmetric), n: shape.n, k: shape.k, using: &numbers)
        ld = shape.k + 5
        codes = (0..<shape.m * ld).map { _ in Int16.random(in: -32639...32639, using: &numbers) }
        scales = numbers.floats(shape.m, 1e-5...1e-3)
        bias = biased ? numbers.floats(shape.n) : nil
        var view = weights.view
        scratch = Scratch(bytes: dso_matmul_scratch_bytes(&view))
      }

      func run(_ kind: Kind, rows: Range<Int>, columns: Range<Int>, into c: UnsafeMutablePointer<Float>) {
        var view = weights.view
        let product = kind == .matmul ? dso_matmul_s16 : dso_matvec_s16
        product(
          Array(codes[(rows.lowerBound * ld)...]), Int64(ld), Array(scales[rows.lowerBound...]), Int64(rows.count), &view,
          Int64(columns.lowerBound), Int64(columns.upperBound), bias, c + rows.lowerBound * shape.n, Int64(shape.n), scratch.pointer)
      }

      func result(_ kind: Kind) -> [Float] {
        let c = GuardedArray<Float>(count: shape.m * shape.n, canary: -77)
        run(kind, rows: 0..<shape.m, columns: 0..<shape.n, into: c.pointer)
        c.expectIntact("\(kind) \(shape)")
        return c.elements
      }

      /// In double, from the exact sums of the groups; and for each element the magnitudes that were added.
      func expected() -> (values: [Double], magnitudes: [Double]) {
        var values: [Double] = [], magnitudes: [Double] = []
        let centered = (0..<shape.n).map { j in (0..<shape.k).map { weights.code(j, $0) - weights.zeroPoint(j, $0) } }
        for i in 0..<shape.m {
          for j in 0..<shape.n {
            var total = 0.0, magnitude = Double(abs(bias?[j] ?? 0))
            for l in 0..<shape.k {
              let part = Double(Int(codes[i * ld + l]) * centered[j][l]) * Double(weights.view.scales[weights.group(j, l)])
              total += part
              magnitude += abs(part) * Double(scales[i])
            }
            values.append(total * Double(scales[i]) + Double(bias?[j] ?? 0))
            magnitudes.append(magnitude)
          }
        }
        return (values, magnitudes)
      }

      /// One rounding for each chunk's sum and addition, and few at the end.
      func tolerance(_ magnitude: Double) -> Double {
        0x1p-24 * Double(shape.k / min(shape.groupSize, 256) + 8) * magnitude + 1e-30
      }
    }

    @Test(arguments: Kind.allCases)
    func matchesExactSums(kind: Kind) {
      var numbers = TestNumbers(seed: 71)
      for (index, shape) in Self.shapes.enumerated() {
        let product = Case(shape, biased: index % 3 != 0, using: &numbers)
        let (values, magnitudes) = product.expected()
        for set in allSets {
          let result = with(set) { product.result(kind) }
          #expect(firstDifference(result, values) { product.tolerance(magnitudes[$0]) } == nil, "\(name(set)) \(kind) \(shape)")
        }
      }
    }

    /// The integers of a chunk are exact and the few float operations have a fixed order.
    @Test func setsAgreeToTheBitInPrefill() {
      var numbers = TestNumbers(seed: 72)
      for shape in Self.shapes {
        let product = Case(shape, using: &numbers)
        let portable = with(DSO_ISA_PORTABLE) { product.result(.matmul) }
        for set in fastSets {
          #expect(firstDifferentBits(with(set) { product.result(.matmul) }, portable) == nil, "\(name(set)) \(shape)")
        }
      }
    }

    @Test(arguments: Kind.allCases)
    func cutsDoNotChangeBits(kind: Kind) {
      var numbers = TestNumbers(seed: 73)
      for shape in Self.shapes where shape.m > 1 {
        let product = Case(shape, using: &numbers)
        for set in allSets {
          with(set) {
            let whole = product.result(kind)
            let row = Int.random(in: 0...shape.m, using: &numbers), column = Int.random(in: 0...shape.n, using: &numbers)
            let c = GuardedArray<Float>(count: shape.m * shape.n, canary: -77)
            for rows in [0..<row, row..<shape.m] {
              for columns in [0..<column, column..<shape.n] { product.run(kind, rows: rows, columns: columns, into: c.pointer) }
            }
            #expect(firstDifferentBits(c.elements, whole) == nil, "\(name(set)) \(kind) \(shape) cut at \(row), \(column)")
          }
        }
      }
    }
  }
}
