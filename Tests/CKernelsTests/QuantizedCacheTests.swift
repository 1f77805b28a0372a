import CKernels
import Foundation
import Testing

extension KernelTests {
  @Suite struct QuantizedCache {
    static let kernels = ["dso_quantize_heads_s8", "dso_attention_s8"]

    /// Keys or values of several heads as the cache holds them.
    struct Codes {
      var codes: [Int8]
      var scales: [Float]
      let heads: Int
      let dim: Int

      init(_ x: [Float], heads: Int, dim: Int) {
        let (rows, width) = (x.count / (heads * dim), heads * dim)
        codes = [Int8](repeating: 0, count: rows * width)
        scales = [Float](repeating: 0, count: rows * heads)
        (self.heads, self.dim) = (heads, dim)
        dso_quantize_heads_s8(
          x, Int64(width), Int64(rows), Int64(heads), Int64(dim), &codes, Int64(width), &scales, Int64(heads))
      }

      var floats: [Float] { codes.indices.map { Float(codes[$0]) * scales[$0 / dim] } }

      func withView<Result>(head: Int, _ body: (dso_quantized_head) -> Result) -> Result {
        codes.withUnsafeBufferPointer { codes in
          scales.withUnsafeBufferPointer { scales in
            body(
              dso_quantized_head(
                codes: codes.baseAddress.map { $0 + head * dim }, ld: Int64(heads * dim), scales: scales.baseAddress.map { $0 + head },
                ld_scales: Int64(heads)))
          }
        }
      }
    }

    /// absmax / 127, ties to even, by the definition; every set gives the same bytes and writes nowhere else.
    @Test func codesFollowTheDefinition() {
      var numbers = TestNumbers(seed: 61)
      for (heads, dim) in [(1, 64), (2, 32), (3, 7), (2, 80), (1, 1), (4, 129), (2, 16)] {
        let rows = 5, distance = heads * dim + 3, scaleDistance = heads + 2
        var x = numbers.floats(rows * distance)
        // A head of zeros, a head of denormals, a tie.
        for i in 0..<dim { (x[i], x[distance + i]) = (0, Float(bitPattern: UInt32(i % 200))) }
        (x[2 * distance], x[2 * distance + dim - 1]) = (127, 2.5)
        for set in allSets {
          let codes = GuardedArray<Int8>(count: rows * distance, canary: 99)
          let scales = GuardedArray<Float>(count: rows * scaleDistance, canary: -77)
          with(set) {
            dso_quantize_heads_s8(
              x, Int64(distance), Int64(rows), Int64(heads), Int64(dim), codes.pointer, Int64(distance), scales.pointer,
              Int64(scaleDistance))
          }
          codes.expectIntact("\(name(set)) \(heads)x\(dim)")
          scales.expectIntact("\(name(set)) \(heads)x\(dim)")
          for row in 0..<rows {
            #expect((heads..<scaleDistance).allSatisfy { scales[row * scaleDistance + $0] == -77 })
            #expect((heads * dim..<distance).allSatisfy { codes[row * distance + $0] == 99 })
            for head in 0..<heads {
              let values = (0..<dim).map { x[row * distance + head * dim + $0] }
              let most = values.map(abs).max() ?? 0
              let scale = scales[row * scaleDistance + head]
              #expect(scale == (most / 127 == 0 ? most : most / 127), "\(name(set)) row \(row)")
              for (i, value) in values.enumerated() {
                let expected = scale == 0 ? 0 : min(127, max(-127, (value / scale).rounded(.toNearestOrEven)))
                #expect(Float(codes[row * distance + head * dim + i]) == expected, "\(name(set)) \(row) \(head) \(i)")
              }
            }
          }
        }
      }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity]) func whatIsNotANumberStaysOne(_ bad: Float) {
      for set in allSets {
        for place in [0, 17, 39] {
          var x = [Float](repeating: 1, count: 80)
          x[place] = bad
          let codes = with(set) { Codes(x, heads: 2, dim: 40) }
          #expect(codes.scales[0].isNaN && codes.scales[1] == 1 / 127, "\(name(set))")
          #expect(codes.codes[..<40].allSatisfy { $0 == 0 } && codes.codes[40...].allSatisfy { $0 == 127 })
        }
      }
    }

    /// The shapes of the float kernel's test, over the second of two heads: against the definition in double on the dequantized keys and
    /// values, and bit for bit against the float kernel where the tiles run.
    @Test func attendsToWhatIsStored() {
      var numbers = TestNumbers(seed: 62)
      for item in Attention.cases {
        let keys = item.queries + item.cached - item.hidden
        let q = numbers.floats(item.queries * item.headDim)
        let k = Codes(numbers.floats(keys * 2 * item.headDim), heads: 2, dim: item.headDim)
        let v = Codes(numbers.floats(keys * 2 * item.valueDim), heads: 2, dim: item.valueDim)
        func second(_ codes: Codes) -> [Float] {
          let all = codes.floats
          return (0..<keys).flatMap { all[($0 * 2 + 1) * codes.dim..<($0 * 2 + 2) * codes.dim] }
        }
        let (floatK, floatV) = (second(k), second(v))
        let scale = 1 / Float(item.headDim).squareRoot()
        let expected = Attention.expected(item, q: q, k: floatK, v: floatV, keys: keys, scale: Double(scale))
        let (width, valueWidth) = (Int64(item.headDim), Int64(item.valueDim))
        for set in allSets {
          let out = GuardedArray<Float>(count: item.queries * item.valueDim, canary: -77)
          var floats = [Float](repeating: 0, count: item.queries * item.valueDim)
          with(set) {
            let scratch = Scratch(bytes: dso_attention_s8_scratch_bytes(width, valueWidth))
            k.withView(head: 1) { key in
              v.withView(head: 1) { value in
                withUnsafePointer(to: key) { key in
                  withUnsafePointer(to: value) { value in
                    dso_attention_s8(
                      q, width, key, value, out.pointer, valueWidth, Int64(item.queries), Int64(keys), Int64(item.cached), width,
                      valueWidth, scale, Int64(item.window), scratch.pointer)
                  }
                }
              }
            }
            dso_attention(
              q, width, floatK, width, floatV, valueWidth, &floats, valueWidth, Int64(item.queries), Int64(keys), Int64(item.cached),
              width, valueWidth, scale, Int64(item.window), scratch.pointer)
          }
          out.expectIntact("\(name(set)) \(item)")
          #expect(firstDifference(out.elements, expected, relative: 0, absolute: 1e-5) == nil, "\(name(set)) \(item)")
          if set != DSO_ISA_PORTABLE, item.queries > 3 {
            #expect(firstDifferentBits(out.elements, floats) == nil, "\(name(set)) \(item)")
          } else {
            #expect(firstDifference(out.elements, floats, relative: 0, absolute: 1e-5) == nil, "\(name(set)) \(item)")
          }
        }
      }
    }

    /// A key that was not a number reaches the result of every query that sees it, and no other.
    @Test func aLostKeyIsNotHidden() {
      let (tokens, dim) = (6, 32)
      var x = [Float](repeating: 1, count: tokens * dim)
      x[3 * dim] = .nan
      let k = Codes(x, heads: 1, dim: dim), v = Codes([Float](repeating: 1, count: tokens * dim), heads: 1, dim: dim)
      for set in allSets {
        for query in 0..<tokens {
          var out = [Float](repeating: 0, count: dim)
          with(set) {
            let scratch = Scratch(bytes: dso_attention_s8_scratch_bytes(Int64(dim), Int64(dim)))
            k.withView(head: 0) { key in
              v.withView(head: 0) { value in
                var (key, value) = (key, value)
                dso_attention_s8(
                  [Float](repeating: 1, count: dim), Int64(dim), &key, &value, &out, Int64(dim), 1, Int64(tokens), Int64(query),
                  Int64(dim), Int64(dim), 1, 0, scratch.pointer)
              }
            }
          }
          #expect(out.allSatisfy { $0.isNaN == (query >= 3) }, "\(name(set)) query \(query)")
        }
      }
    }
  }
}
