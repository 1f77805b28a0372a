import CKernels
import Foundation
import Testing

extension KernelTests {
  /// Attention over blocks of keys that queries choose.
  @Suite struct SelectedAttention {
    static let kernels = [
      "dso_select_blocks", "dso_attention_selected", "dso_attention_selected_s8", "dso_attention_selected_backward",
    ]

    struct Case {
      var queries: Int, cached = 0, headDim = 16, valueDim = 16, block: Int, count: Int
      var keys: Int { queries + cached }
    }

    static let cases: [Case] = [
      Case(queries: 1, block: 4, count: 2), Case(queries: 37, block: 4, count: 3),
      Case(queries: 300, headDim: 33, valueDim: 7, block: 16, count: 9),
      Case(queries: 5, cached: 201, headDim: 64, valueDim: 48, block: 8, count: 5), Case(queries: 60, block: 1, count: 7),
      Case(queries: 40, block: 50, count: 2), Case(queries: 9, cached: 31, headDim: 5, valueDim: 5, block: 8, count: 1),
      Case(queries: 1, cached: 1000, headDim: 128, valueDim: 128, block: 32, count: 8),
    ]

    /// By sorting: of equal products the later block goes first, and what is no number last.
    private func chosen(_ products: [Float], count: Int) -> [Int32] {
      let order = products.indices.sorted {
        let (a, b) = (products[$0].isNaN ? -.infinity : products[$0], products[$1].isNaN ? -.infinity : products[$1])
        return a == b ? $0 > $1 : a > b
      }
      let seen = order.prefix(count - 1).sorted().map(Int32.init) + [Int32(products.count)]
      return seen + Array(repeating: -1, count: count - seen.count)
    }

    @Test func theLargestProductsAreChosen() {
      var numbers = TestNumbers(seed: 61)
      for own in [0, 1, 2, 3, 7, 64, 255, 1000] {
        let random = numbers.floats(own)
        let lists = [
          random, random.sorted(), random.sorted(by: >), random.map { ($0 * 2).rounded() }, random.map { _ in 1 },
          random.map { $0 > 1 ? .nan : $0 },
        ]
        for (index, products) in lists.enumerated() {
          for count in [1, 2, 3, max(1, own / 2), own + 1, own + 3] {
            var result = [Int32](repeating: 99, count: count), work = products + [Float](repeating: 0, count: own + 1)
            dso_choose_blocks(&work, Int64(own), Int64(count), &result)
            // Not more than there are: then products are not looked at.
            #expect(result == chosen(count > own ? products.map { _ in 0 } : products, count: count), "\(index): \(count) of \(own)")
          }
        }
      }
    }

    fileprivate struct Problem {
      let item: Case
      let q, k, v: [Float]
      let scale = Float(0.3)

      init(_ item: Case, _ numbers: inout TestNumbers) {
        self.item = item
        q = numbers.floats(item.queries * item.headDim)
        k = numbers.floats(item.keys * item.headDim)
        v = numbers.floats(item.keys * item.valueDim)
      }

      func pooled() -> [Float] {
        let blocks = item.keys / item.block
        var result = [Float](repeating: 0, count: max(1, blocks) * item.headDim)
        dso_pool_keys(k, Int64(item.headDim), Int64(blocks), Int64(item.block), Int64(item.headDim), &result, Int64(item.headDim))
        return result
      }

      func select(_ range: Range<Int>) -> [Int32] {
        var chosen = [Int32](repeating: -7, count: range.count * item.count)
        let scratch = Scratch(bytes: dso_select_blocks_scratch_bytes(Int64(item.keys), Int64(item.block)))
        dso_select_blocks(
          Array(q[range.lowerBound * item.headDim..<range.upperBound * item.headDim]), Int64(item.headDim), pooled(), Int64(item.headDim),
          Int64(range.count), Int64(item.cached + range.lowerBound), Int64(item.headDim), Int64(item.block), Int64(item.count), &chosen,
          scratch.pointer)
        return chosen
      }

      func attend(_ range: Range<Int>, _ chosen: [Int32]) -> [Float] {
        let out = GuardedArray<Float>(count: range.count * item.valueDim, canary: -77)
        let scratch = Scratch(bytes: dso_attention_scratch_bytes(Int64(item.headDim), Int64(item.valueDim)))
        dso_attention_selected(
          Array(q[range.lowerBound * item.headDim..<range.upperBound * item.headDim]), Int64(item.headDim), k, Int64(item.headDim), v,
          Int64(item.valueDim), out.pointer, Int64(item.valueDim), Int64(range.count), Int64(item.keys),
          Int64(item.cached + range.lowerBound), Int64(item.headDim), Int64(item.valueDim), scale, Int64(item.block), Int64(item.count),
          chosen,
          scratch.pointer)
        out.expectIntact("\(item)")
        return out.elements
      }

      /// Dense attention in double, everything outside of the chosen blocks masked.
      func expected(_ chosen: [Int32]) -> [Double] {
        (0..<item.queries).flatMap { t -> [Double] in
          let position = item.cached + t
          let blocks = Set(chosen[t * item.count..<(t + 1) * item.count])
          let seen = (0...position).filter { blocks.contains(Int32($0 / item.block)) }
          let scores = seen.map { key in
            (0..<item.headDim).reduce(0.0) { $0 + Double(q[t * item.headDim + $1]) * Double(k[key * item.headDim + $1]) } * Double(scale)
          }
          let largest = scores.max() ?? 0, weights = scores.map { exp($0 - largest) }, total = weights.reduce(0, +)
          return (0..<item.valueDim).map { d in
            zip(seen, weights).reduce(0.0) { $0 + $1.1 * Double(v[$1.0 * item.valueDim + d]) } / total
          }
        }
      }
    }

    @Test func matchesDenseAttentionBehindAMask() {
      var numbers = TestNumbers(seed: 62)
      for item in Self.cases {
        let problem = Problem(item, &numbers)
        for set in allSets {
          with(set) {
            let chosen = problem.select(0..<item.queries)
            for t in 0..<item.queries {
              let own = Int32((item.cached + t) / item.block), row = chosen[t * item.count..<(t + 1) * item.count].filter { $0 >= 0 }
              #expect(row.last == own && row == row.sorted() && row.count == min(item.count, Int(own) + 1), "\(name(set)) \(item)")
            }
            let difference = firstDifference(
              problem.attend(0..<item.queries, chosen), problem.expected(chosen), relative: 0, absolute: 5e-6)
            #expect(difference == nil, "\(name(set)) \(item)")
          }
        }
      }
    }

    /// However many queries come at a time: decoding and prefill give the same bits.
    @Test func cutsDoNotChangeBits() {
      var numbers = TestNumbers(seed: 63)
      let problem = Problem(Case(queries: 90, headDim: 20, valueDim: 12, block: 8, count: 4), &numbers)
      for set in allSets {
        with(set) {
          let whole = problem.attend(0..<90, problem.select(0..<90))
          let pieces = [0..<1, 1..<40, 40..<90].flatMap { problem.attend($0, problem.select($0)) }
          #expect(firstDifferentBits(pieces, whole) == nil, "\(name(set))")
        }
      }
    }

    /// The int8 cache gives what attention over its dequantized keys and values does.
    @Test func quantizedCacheAgrees() {
      var numbers = TestNumbers(seed: 64)
      for item in Self.cases {
        let problem = Problem(item, &numbers)
        for set in allSets {
          with(set) {
            let keys = QuantizedCache.Codes(problem.k, heads: 1, dim: item.headDim)
            let values = QuantizedCache.Codes(problem.v, heads: 1, dim: item.valueDim)
            let plain = Problem(item, q: problem.q, k: keys.floats, v: values.floats)
            let chosen = plain.select(0..<item.queries)
            let blocks = item.keys / item.block
            var pooled = [Float](repeating: 0, count: max(1, blocks) * item.headDim)
            let out = GuardedArray<Float>(count: item.queries * item.valueDim, canary: -77)
            let scratch = Scratch(bytes: dso_attention_scratch_bytes(Int64(item.headDim), Int64(item.valueDim)))
            keys.withView(head: 0) { key in
              values.withView(head: 0) { value in
                var (key, value) = (key, value)
                dso_pool_keys_s8(&key, Int64(blocks), Int64(item.block), Int64(item.headDim), &pooled, Int64(item.headDim))
                dso_attention_selected_s8(
                  plain.q, Int64(item.headDim), &key, &value, out.pointer, Int64(item.valueDim), Int64(item.queries), Int64(item.keys),
                  Int64(item.cached), Int64(item.headDim), Int64(item.valueDim), plain.scale, Int64(item.block), Int64(item.count), chosen,
                  scratch.pointer)
              }
            }
            out.expectIntact("\(name(set)) \(item)")
            #expect(firstDifference(pooled, plain.pooled(), relative: 1e-5, absolute: 1e-6) == nil, "\(name(set)) \(item)")
            #expect(firstDifference(out.elements, plain.expected(chosen), relative: 0, absolute: 1e-5) == nil, "\(name(set)) \(item)")
          }
        }
      }
    }

    /// Every set's gradient against the portable one, which is held to differences by the tests of operations.
    @Test func gradientsOfAllSetsAgree() {
      var numbers = TestNumbers(seed: 65)
      for item in Self.cases where item.cached == 0 {
        let problem = Problem(item, &numbers)
        let dy = numbers.floats(item.queries * item.valueDim)
        let chosen = with(DSO_ISA_PORTABLE) { problem.select(0..<item.queries) }
        let output = with(DSO_ISA_PORTABLE) { problem.attend(0..<item.queries, chosen) }
        func gradients(_ set: dso_isa) -> [[Float]] {
          let (d, w) = (Int64(item.headDim), Int64(item.valueDim))
          let results = [problem.q, problem.k, problem.v].map { GuardedArray<Float>(count: $0.count, canary: -77) }
          let scratch = Scratch(
            bytes: dso_attention_selected_backward_scratch_bytes(Int64(item.keys), Int64(item.block), Int64(item.count)))
          problem.q.withUnsafeBufferPointer { q in
            problem.k.withUnsafeBufferPointer { k in
              problem.v.withUnsafeBufferPointer { v in
                output.withUnsafeBufferPointer { out in
                  dy.withUnsafeBufferPointer { dy in
                    var g = dso_attention_gradient(
                      queries: q.baseAddress, keys: k.baseAddress, values: v.baseAddress, output: out.baseAddress,
                      output_gradient: dy.baseAddress, query_gradient: results[0].pointer, key_gradient: results[1].pointer,
                      value_gradient: results[2].pointer, ld_queries: d, ld_keys: d, ld_values: w, ld_output: w, ld_output_gradient: w,
                      ld_query_gradient: d, ld_key_gradient: d, ld_value_gradient: w, query_heads: 1, q_tokens: Int64(item.queries),
                      kv_tokens: Int64(item.keys), q_offset: 0, head_dim: d, v_dim: w, window: 0, scale: problem.scale)
                    with(set) { dso_attention_selected_backward(&g, Int64(item.block), Int64(item.count), chosen, scratch.pointer) }
                  }
                }
              }
            }
          }
          for result in results { result.expectIntact("\(name(set)) \(item)") }
          return results.map(\.elements)
        }
        let expected = gradients(DSO_ISA_PORTABLE)
        for set in fastSets {
          for (found, expected) in zip(gradients(set), expected) {
            #expect(firstDifference(found, expected, relative: 1e-4, absolute: 2e-5) == nil, "\(name(set)) \(item)")
          }
        }
      }
    }
  }
}

extension KernelTests.SelectedAttention.Problem {
  fileprivate init(_ item: KernelTests.SelectedAttention.Case, q: [Float], k: [Float], v: [Float]) {
    (self.item, self.q, self.k, self.v) = (item, q, k, v)
  }
}
