import CKernels
import Foundation
import Testing

extension KernelTests {
  @Suite struct Attention {
    static let kernels = ["dso_attention"]

    struct Case {
      var queries = 1, cached = 0, headDim = 64, valueDim = 64, window = 0
      var hidden = 0  // keys at the end that do not exist
    }

    static let cases: [Case] =
      boundaries.map { Case(queries: $0, cached: 0) }
      + boundaries.map { Case(queries: 1, cached: $0 * 3, headDim: 128, valueDim: 128) }
      + [
        Case(queries: 5, cached: 300, headDim: 80, valueDim: 80), Case(queries: 40, cached: 17, headDim: 33, valueDim: 7),
        Case(queries: 130, cached: 0, headDim: 192, valueDim: 128), Case(queries: 129, cached: 65, headDim: 16, valueDim: 16, window: 50),
        Case(queries: 260, cached: 0, headDim: 32, valueDim: 32, window: 128), Case(queries: 3, cached: 200, window: 1),
        Case(queries: 20, cached: 400, headDim: 256, valueDim: 256, window: 300), Case(queries: 9, cached: 0, hidden: 4),
        Case(queries: 2, cached: 0, hidden: 1),
      ]

    /// Softmax attention in double, by the definition.
    static func expected(_ item: Case, q: [Float], k: [Float], v: [Float], keys: Int, scale: Double) -> [Double] {
      var out: [Double] = []
      for t in 0..<item.queries {
        let position = item.cached + t
        let visible = (0..<keys).filter { $0 <= position && (item.window == 0 || $0 > position - item.window) }
        let scores = visible.map { key in
          (0..<item.headDim).reduce(0.0) { $0 + Double(q[t * item.headDim + $1]) * Double(k[key * item.headDim + $1]) } * scale
        }
        let largest = scores.max() ?? 0
        let weights = scores.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        for d in 0..<item.valueDim {
          let sum = zip(visible, weights).reduce(0.0) { $0 + $1.1 * Double(v[$1.0 * item.valueDim + d]) }
          out.append(total > 0 ? sum / total : 0)
        }
      }
      return out
    }

    /// Scores of magnitude up to about 10 carry a float error of some 1e-6, which is what a weight is then off by, relatively;
    /// values lie within 2.
    @Test func matchesDoublePrecision() {
      var numbers = TestNumbers(seed: 21)
      for item in Self.cases {
        let keys = item.queries + item.cached - item.hidden
        let q = numbers.floats(item.queries * item.headDim)
        let k = numbers.floats(keys * item.headDim), v = numbers.floats(keys * item.valueDim)
        let scale = 1 / Float(item.headDim).squareRoot()
        let expected = Self.expected(item, q: q, k: k, v: v, keys: keys, scale: Double(scale))
        for set in allSets {
          let out = GuardedArray<Float>(count: item.queries * item.valueDim, canary: -77)
          let scratch = Scratch(bytes: dso_attention_scratch_bytes(Int64(item.headDim), Int64(item.valueDim)))
          with(set) {
            dso_attention(
              q, Int64(item.headDim), k, Int64(item.headDim), v, Int64(item.valueDim), out.pointer, Int64(item.valueDim),
              Int64(item.queries), Int64(keys), Int64(item.cached), Int64(item.headDim), Int64(item.valueDim), scale, Int64(item.window),
              scratch.pointer)
          }
          out.expectIntact("\(name(set)) \(item)")
          let difference = firstDifference(out.elements, expected, relative: 0, absolute: 5e-6)
          #expect(difference == nil, "\(name(set)) \(item)")
        }
      }
    }

    /// Rows farther apart than they are long: what lies between is neither read into the result nor written.
    @Test func honoursRowDistances() {
      var numbers = TestNumbers(seed: 22)
      let tokens = 37, dim = 40, ld = 47
      func spread(_ x: [Float]) -> [Float] {
        (0..<tokens).flatMap { row in x[row * dim..<(row + 1) * dim] + [Float](repeating: .nan, count: ld - dim) }
      }
      let q = numbers.floats(tokens * dim), k = numbers.floats(tokens * dim), v = numbers.floats(tokens * dim)
      let (q2, k2, v2) = (spread(q), spread(k), spread(v))
      for set in allSets {
        with(set) {
          let scratch = Scratch(bytes: dso_attention_scratch_bytes(Int64(dim), Int64(dim)))
          let n = Int64(tokens), d = Int64(dim), l = Int64(ld)
          let dense = GuardedArray<Float>(count: tokens * dim, canary: -77), wide = GuardedArray<Float>(count: tokens * ld, canary: -77)
          dso_attention(q, d, k, d, v, d, dense.pointer, d, n, n, 0, d, d, 0.1, 0, scratch.pointer)
          dso_attention(q2, l, k2, l, v2, l, wide.pointer, l, n, n, 0, d, d, 0.1, 0, scratch.pointer)
          for row in 0..<tokens {
            #expect((0..<dim).allSatisfy { wide[row * ld + $0] == dense[row * dim + $0] }, "\(name(set)) row \(row)")
            #expect((dim..<ld).allSatisfy { wide[row * ld + $0] == -77 })
          }
        }
      }
    }

    /// A query's bits do not depend on the queries beside it, as long as no call has fewer than four.
    @Test func cutsDoNotChangeBits() {
      var numbers = TestNumbers(seed: 23)
      let tokens = 300, dim = 48
      let q = numbers.floats(tokens * dim), k = numbers.floats(tokens * dim), v = numbers.floats(tokens * dim)
      for (set, window) in allSets.flatMap({ [($0, 0), ($0, 90)] }) {
        func attend(_ range: Range<Int>) -> [Float] {
          let scratch = Scratch(bytes: dso_attention_scratch_bytes(Int64(dim), Int64(dim)))
          let out = GuardedArray<Float>(count: range.count * dim, canary: -77)
          let d = Int64(dim)
          dso_attention(
            Array(q[range.lowerBound * dim..<range.upperBound * dim]), d, k, d, v, d, out.pointer, d, Int64(range.count), Int64(tokens),
            Int64(range.lowerBound), d, d, 0.1, Int64(window), scratch.pointer)
          return out.elements
        }
        with(set) {
          let whole = attend(0..<tokens)
          for cut in [4, 17, 128, 151, 290] {
            #expect(firstDifferentBits(attend(0..<cut) + attend(cut..<tokens), whole) == nil, "\(name(set)) window \(window) cut at \(cut)")
          }
        }
      }
    }

    @Test func largeScoresDoNotOverflow() {
      let tokens = 70, dim = 32
      let q = [Float](repeating: 40, count: tokens * dim), v = (0..<tokens * dim).map { Float($0 / dim) }
      let k = (0..<tokens * dim).map { Float($0 / dim) }  // later keys win by far
      for set in allSets {
        with(set) {
          let scratch = Scratch(bytes: dso_attention_scratch_bytes(Int64(dim), Int64(dim)))
          var out = [Float](repeating: -1, count: tokens * dim)
          let n = Int64(tokens), d = Int64(dim)
          dso_attention(q, d, k, d, v, d, &out, d, n, n, 0, d, d, 1, 0, scratch.pointer)
          #expect((0..<tokens * dim).allSatisfy { out[$0] == Float($0 / dim) }, "\(name(set))")
        }
      }
    }
  }
}
