import CKernels
import Foundation
import Testing

extension KernelTests {
  /// Vector-Jacobian products against float64: what is linear by its definition, the rest by central differences of a forward pass.
  @Suite struct Gradients {
    static let kernels = [
      "dso_matmul_nn_f32", "dso_matvec_nn_f32", "dso_matmul_tn_f32", "dso_attention_backward", "dso_rms_norm_backward",
      "dso_layer_norm_backward", "dso_gated_activation_backward", "dso_sum_rows", "dso_fake_quantize_rows_s8",
      "dso_cross_entropy_gradient", "dso_kl_divergence_gradient", "dso_partial_divergence_gradient",
    ]

    /// Central differences of `f` with respect to some elements of x. The step is near the cube root of float64's resolution.
    static func differences(_ x: [Double], at indices: [Int], _ f: ([Double]) -> Double) -> [Double] {
      indices.map { index in
        let step = 1e-5
        var (above, below) = (x, x)
        above[index] += step
        below[index] -= step
        return (f(above) - f(below)) / (2 * step)
      }
    }

    static func dot(_ a: [Double], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * Double($1.1) } }

    // MARK: Products

    /// Inner dimensions on both sides of the blocks of 256, columns beyond a block of them; cut ranges give the same bits.
    @Test func productsMatchDoublePrecision() {
      var numbers = TestNumbers(seed: 51)
      let shapes = [(1, 1, 1), (3, 5, 2), (14, 32, 256), (29, 33, 257), (17, 70, 600), (15, 16, 0), (260, 40, 31), (5, 530, 20)]
      for (m, n, k) in shapes {
        let (lda, ldc) = (k + 3, n + 2)
        let a = numbers.floats(m * lda), tall = numbers.floats(k * (m + 1)), b = numbers.floats(k * n), start = numbers.floats(m * ldc)
        func expected(_ left: (Int, Int) -> Float, _ accumulate: Bool) -> [Double] {
          (0..<m * ldc).map { at in
            let (row, column) = (at / ldc, at % ldc)
            guard column < n else { return Double(start[at]) }
            let sum = (0..<k).reduce(0.0) { $0 + Double(left(row, $1)) * Double(b[$1 * n + column]) }
            return accumulate ? sum + Double(start[at]) : sum
          }
        }
        for set in allSets {
          let scratch = Scratch(bytes: dso_gradient_product_scratch_bytes())
          for accumulate in [false, true] {
            let label = "\(name(set)) \(m) \(n) \(k) \(accumulate)"
            let nn = GuardedArray(start, canary: -77), tn = GuardedArray(start, canary: -77)
            let (cut, cutTN) = (GuardedArray(start, canary: -77), GuardedArray(start, canary: -77))
            let (streamed, cutStreamed) = (GuardedArray(start, canary: -77), GuardedArray(start, canary: -77))
            b.withUnsafeBytes { bytes in
              var w = dso_weights()
              w.storage = DSO_STORAGE_F32
              w.data = bytes.baseAddress
              (w.n, w.k, w.row_bytes) = (Int64(k), Int64(n), Int64(4 * n))
              let (m64, n64, k64, add) = (Int64(m), Int64(n), Int64(k), Int32(accumulate ? 1 : 0))
              with(set) {
                dso_matmul_nn_f32(a, Int64(lda), m64, &w, 0, n64, add, nn.pointer, Int64(ldc), scratch.pointer)
                dso_matmul_tn_f32(tall, m64 + 1, 0, m64, b, n64, n64, k64, add, tn.pointer, Int64(ldc), scratch.pointer)
                let (column, row) = (n64 / 3, m64 / 3)
                dso_matmul_nn_f32(a, Int64(lda), m64, &w, 0, column, add, cut.pointer, Int64(ldc), scratch.pointer)
                dso_matmul_nn_f32(a, Int64(lda), row, &w, column, n64, add, cut.pointer, Int64(ldc), scratch.pointer)
                a.withUnsafeBufferPointer { rest in
                  guard let base = rest.baseAddress else { return }
                  dso_matmul_nn_f32(
                    base + Int(row) * lda, Int64(lda), m64 - row, &w, column, n64, add, cut.pointer + Int(row) * ldc, Int64(ldc),
                    scratch.pointer)
                }
                dso_matvec_nn_f32(a, Int64(lda), m64, &w, 0, n64, streamed.pointer, Int64(ldc))
                dso_matvec_nn_f32(a, Int64(lda), m64, &w, column, n64, cutStreamed.pointer, Int64(ldc))
                dso_matvec_nn_f32(a, Int64(lda), m64, &w, 0, column, cutStreamed.pointer, Int64(ldc))
                dso_matmul_tn_f32(tall, m64 + 1, 0, row, b, n64, n64, k64, add, cutTN.pointer, Int64(ldc), scratch.pointer)
                dso_matmul_tn_f32(tall, m64 + 1, row, m64, b, n64, n64, k64, add, cutTN.pointer, Int64(ldc), scratch.pointer)
              }
            }
            let all = [
              (nn, label + " nn"), (tn, label + " tn"), (cut, label), (cutTN, label), (streamed, label + " streamed"), (cutStreamed, label),
            ]
            for (result, label) in all { result.expectIntact(label) }
            // Terms of magnitude up to 4, each rounded once or twice.
            let bound = Double(k + 2) * 4 * 0x1p-23
            let exactNN = expected({ a[$0 * lda + $1] }, accumulate), exactTN = expected({ tall[$1 * (m + 1) + $0] }, accumulate)
            #expect(firstDifference(nn.elements, exactNN, relative: 0, absolute: bound) == nil, "\(label)")
            #expect(firstDifference(tn.elements, exactTN, relative: 0, absolute: bound) == nil, "\(label)")
            #expect(firstDifferentBits(cut.elements, nn.elements) == nil, "\(label) cut")
            #expect(firstDifferentBits(cutStreamed.elements, streamed.elements) == nil, "\(label) cut, streamed")
            if !accumulate {
              #expect(firstDifference(streamed.elements, exactNN, relative: 0, absolute: bound) == nil, "\(label) streamed")
            }
            #expect(firstDifferentBits(cutTN.elements, tn.elements) == nil, "\(label) cut")
          }
        }
      }
    }

    /// Every storage gives what its dequantized values give.
    @Test func productsTakeEveryStorage() {
      var numbers = TestNumbers(seed: 52)
      let (m, n, k) = (20, 75, 300)  // the weight is [k, n]
      let a = numbers.floats(m * k)
      for bits in [0, 1, 2, 3, 4, 5, 8] {
        var w = dso_weights()
        (w.n, w.k) = (Int64(k), Int64(n))
        let halves = numbers.floats(k * n).map { bits == 1 ? Float16($0).bitPattern : UInt16($0.bitPattern >> 16) }
        let rowBytes = bits < 2 ? 2 * n : (n * bits + 7) / 8
        let codes = (0..<k * rowBytes).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        let group = 32, groups = (n + group - 1) / group
        let scales = numbers.floats(k * groups, 0.1...1)
        let zeros = (0..<k * groups).map { _ in Int8.random(in: -2...1, using: &numbers) }
        halves.withUnsafeBytes { halves in
          codes.withUnsafeBytes { codes in
            scales.withUnsafeBufferPointer { scales in
              zeros.withUnsafeBufferPointer { zeros in
                w.storage = bits == 0 ? DSO_STORAGE_BF16 : bits == 1 ? DSO_STORAGE_F16 : DSO_STORAGE_QUANTIZED
                w.data = bits < 2 ? halves.baseAddress : codes.baseAddress
                w.row_bytes = Int64(rowBytes)
                (w.bits, w.group_size, w.scales, w.zero_points) = (Int32(bits), Int64(group), scales.baseAddress, zeros.baseAddress)
                var dense = [Float](repeating: 0, count: k * n)
                with(DSO_ISA_PORTABLE) { dso_dequantize(&w, 0, Int64(k), &dense, Int64(n)) }
                let expected = (0..<m * n).map { at in
                  (0..<k).reduce(0.0) { $0 + Double(a[at / n * k + $1]) * Double(dense[$1 * n + at % n]) }
                }
                for set in allSets {
                  let c = GuardedArray<Float>(count: m * n, canary: -77)
                  let scratch = Scratch(bytes: dso_gradient_product_scratch_bytes())
                  with(set) { dso_matmul_nn_f32(a, Int64(k), Int64(m), &w, 0, Int64(n), 0, c.pointer, Int64(n), scratch.pointer) }
                  c.expectIntact("\(name(set)) \(bits)")
                  #expect(firstDifference(c.elements, expected, relative: 1e-5, absolute: 5e-3) == nil, "\(name(set)) \(bits)")
                  with(set) { dso_matvec_nn_f32(a, Int64(k), Int64(m), &w, 0, Int64(n), c.pointer, Int64(n)) }
                  c.expectIntact("\(name(set)) \(bits) streamed")
                  #expect(firstDifference(c.elements, expected, relative: 1e-5, absolute: 5e-3) == nil, "\(name(set)) \(bits) streamed")
                }
              }
            }
          }
        }
      }
    }

    // MARK: Attention

    struct AttentionCase {
      var queries = 1, cached = 0, heads = 1, headDim = 16, valueDim = 16, window = 0
      var hidden = 0
    }

    /// One query head's output in double, by the definition.
    static func attend(_ item: AttentionCase, q: [Double], k: [Double], v: [Double], keys: Int, scale: Double) -> [Double] {
      let (d, w) = (item.headDim, item.valueDim)
      var out = [Double](repeating: 0, count: item.queries * item.heads * w)
      for t in 0..<item.queries {
        let position = item.cached + t
        let first = item.window > 0 ? max(0, position - item.window + 1) : 0
        guard first < min(keys, position + 1) else { continue }
        for head in 0..<item.heads {
          let query = (t * item.heads + head) * d, result = (t * item.heads + head) * w
          let scores = (first..<min(keys, position + 1)).map { key in
            (0..<d).reduce(0.0) { $0 + q[query + $1] * k[key * d + $1] } * scale
          }
          let largest = scores.max() ?? 0
          let weights = scores.map { exp($0 - largest) }
          let total = weights.reduce(0, +)
          for (j, weight) in weights.enumerated() {
            for i in 0..<w { out[result + i] += weight / total * v[(first + j) * w + i] }
          }
        }
      }
      return out
    }

    static let attentionCases: [AttentionCase] =
      [1, 2, 7, 15, 33, 65, 97, 127].map { AttentionCase(queries: $0) } + [
        AttentionCase(queries: 130, heads: 2, headDim: 12, valueDim: 12), AttentionCase(queries: 40, heads: 3, headDim: 33, valueDim: 7),
        AttentionCase(queries: 50, heads: 2, headDim: 64, valueDim: 48), AttentionCase(queries: 140, headDim: 8, valueDim: 8, window: 20),
        AttentionCase(queries: 210, headDim: 4, valueDim: 4, window: 130), AttentionCase(queries: 30, cached: 90, heads: 2),
        AttentionCase(queries: 9, hidden: 4), AttentionCase(queries: 5, cached: 100, window: 1),
      ]

    /// Some elements of every gradient, spread over the rows, against differences; all of them against the portable variant.
    @Test func attentionAgreesWithDifferences() throws {
      var numbers = TestNumbers(seed: 57)
      for item in Self.attentionCases {
        let keys = item.queries + item.cached - item.hidden, (d, w, heads) = (item.headDim, item.valueDim, item.heads)
        let q = numbers.floats(item.queries * heads * d), k = numbers.floats(keys * d), v = numbers.floats(keys * w)
        let slope = numbers.floats(item.queries * heads * w)
        let scale = 1 / Float(d).squareRoot()
        let (q64, k64, v64) = (q.map(Double.init), k.map(Double.init), v.map(Double.init))
        let output = Self.attend(item, q: q64, k: k64, v: v64, keys: keys, scale: Double(scale)).map(Float.init)
        func run(_ set: dso_isa) -> [GuardedArray<Float>] {
          let results = [q.count, k.count, v.count].map { GuardedArray<Float>(count: $0, canary: -77) }
          let scratch = Scratch(bytes: dso_attention_backward_scratch_bytes(Int64(d), Int64(w)))
          q.withUnsafeBufferPointer { q in
            k.withUnsafeBufferPointer { k in
              v.withUnsafeBufferPointer { v in
                output.withUnsafeBufferPointer { output in
                  slope.withUnsafeBufferPointer { slope in
                    let (inKeys, inValues, inQueries, inOutput) = (Int64(d), Int64(w), Int64(heads * d), Int64(heads * w))
                    var g = dso_attention_gradient(
                      queries: q.baseAddress, keys: k.baseAddress, values: v.baseAddress, output: output.baseAddress,
                      output_gradient: slope.baseAddress, query_gradient: results[0].pointer, key_gradient: results[1].pointer,
                      value_gradient: results[2].pointer, ld_queries: inQueries, ld_keys: inKeys, ld_values: inValues,
                      ld_output: inOutput, ld_output_gradient: inOutput, ld_query_gradient: inQueries, ld_key_gradient: inKeys,
                      ld_value_gradient: inValues, query_heads: Int64(heads), q_tokens: Int64(item.queries), kv_tokens: Int64(keys),
                      q_offset: Int64(item.cached), head_dim: inKeys, v_dim: inValues, window: Int64(item.window), scale: scale)
                    with(set) { dso_attention_backward(&g, scratch.pointer) }
                  }
                }
              }
            }
          }
          return results
        }
        func loss(_ q: [Double], _ k: [Double], _ v: [Double]) -> Double {
          Self.dot(Self.attend(item, q: q, k: k, v: v, keys: keys, scale: Double(scale)), slope)
        }
        func some(_ count: Int) -> [Int] { Array(stride(from: count / 7, to: count, by: max(1, count / 6))) }
        let picked = [some(q.count), some(k.count), some(v.count)]
        let expected = [
          Self.differences(q64, at: picked[0]) { loss($0, k64, v64) }, Self.differences(k64, at: picked[1]) { loss(q64, $0, v64) },
          Self.differences(v64, at: picked[2]) { loss(q64, k64, $0) },
        ]
        let portable = run(DSO_ISA_PORTABLE)
        for set in allSets {
          let results = run(set)
          for (part, result) in results.enumerated() {
            let label = "\(name(set)) \(item) part \(part)"
            result.expectIntact(label)
            let sample = picked[part].map { result[$0] }
            #expect(firstDifference(sample, expected[part], relative: 2e-5, absolute: 2e-5) == nil, "\(label)")
            #expect(firstDifference(result.elements, portable[part].elements, relative: 1e-5, absolute: 2e-5) == nil, "\(label)")
          }
        }
      }
    }

    // MARK: Rows and elements

    /// Every set against the portable one, which the tests of operations hold to differences.
    @Test func layerNormsOfAllSetsAgree() {
      var numbers = TestNumbers(seed: 58)
      for width in boundaries {
        let rows = 3, ld = width + 2
        let x = numbers.floats(rows * ld, -3...5), dy = numbers.floats(rows * ld), before = numbers.floats(rows * ld)
        let gain = numbers.floats(width)
        func run(_ set: dso_isa, accumulate: Bool) -> [Float] {
          let to = GuardedArray(before, canary: -77), toGain = GuardedArray([Float](repeating: 1, count: width), canary: -77)
          with(set) {
            dso_layer_norm_backward(
              x, Int64(ld), gain, dy, Int64(ld), accumulate ? 1 : 0, to.pointer, Int64(ld), toGain.pointer, Int64(rows), Int64(width), 1e-3)
          }
          for array in [to, toGain] { array.expectIntact("\(name(set)) \(width)") }
          return to.elements + toGain.elements
        }
        for accumulate in [false, true] {
          let expected = run(DSO_ISA_PORTABLE, accumulate: accumulate)
          for set in fastSets {
            let difference = firstDifference(run(set, accumulate: accumulate), expected, relative: 1e-5, absolute: 1e-5)
            #expect(difference == nil, "\(name(set)) \(width)")
          }
        }
      }
    }

    @Test func rmsNormAgreesWithDifferences() {
      var numbers = TestNumbers(seed: 53)
      for width in [1, 7, 16, 33, 64, 129] {
        let rows = 3, ld = width + 2, epsilon: Float = 1e-3
        let x = numbers.floats(rows * ld), gain = numbers.floats(width), dy = numbers.floats(rows * ld), before = numbers.floats(rows * ld)
        func loss(_ x: [Double], _ gain: [Double]) -> Double {
          (0..<rows).reduce(0) { sum, row in
            let values = (0..<width).map { x[row * ld + $0] }
            let factor = 1 / (values.reduce(0) { $0 + $1 * $1 } / Double(width) + Double(epsilon)).squareRoot()
            return sum + (0..<width).reduce(0) { $0 + values[$1] * factor * gain[$1] * Double(dy[row * ld + $1]) }
          }
        }
        let (exactX, exactGain) = (x.map(Double.init), gain.map(Double.init))
        let dx = Self.differences(exactX, at: Array(x.indices)) { loss($0, exactGain) }
        let dgain = Self.differences(exactGain, at: Array(gain.indices)) { loss(exactX, $0) }
        for set in allSets {
          for accumulate in [false, true] {
            let to = GuardedArray(before, canary: -77), toGain = GuardedArray([Float](repeating: 1, count: width), canary: -77)
            with(set) {
              dso_rms_norm_backward(
                x, Int64(ld), gain, dy, Int64(ld), accumulate ? 1 : 0, to.pointer, Int64(ld), toGain.pointer, Int64(rows), Int64(width),
                epsilon)
            }
            to.expectIntact("\(name(set)) \(width)")
            toGain.expectIntact("\(name(set)) \(width)")
            let expected = dx.indices.map { at in
              at % ld >= width ? Double(before[at]) : dx[at] + (accumulate ? Double(before[at]) : 0)
            }
            #expect(firstDifference(to.elements, expected, relative: 1e-5, absolute: 1e-5) == nil, "\(name(set)) \(width)")
            #expect(firstDifference(toGain.elements, dgain.map { $0 + 1 }, relative: 1e-5, absolute: 1e-5) == nil, "\(name(set)) \(width)")
          }
        }
      }
    }

    @Test(
      arguments: [DSO_ACTIVATION_SILU, DSO_ACTIVATION_GELU_TANH, DSO_ACTIVATION_GELU_ERF, DSO_ACTIVATION_RELU, DSO_ACTIVATION_RELU_SQUARED]
        .map(\.rawValue))
    func activationsAgreeWithDifferences(kind raw: UInt32) {
      let kind = dso_activation(rawValue: numericCast(raw))
      var numbers = TestNumbers(seed: 54)
      for count in boundaries + [1200] {
        // Away from 0, where ReLU has no derivative.
        let gate = numbers.floats(count, -9...9).map { abs($0) < 1e-3 ? 0.5 : $0 }
        let up = numbers.floats(count), dy = numbers.floats(count)
        let slopes = gate.map { (Activations.exact(kind, Double($0) + 1e-5) - Activations.exact(kind, Double($0) - 1e-5)) / 2e-5 }
        for set in allSets {
          for gated in [false, true] {
            let dgate = GuardedArray(dy, canary: -77), dup = GuardedArray<Float>(count: count, canary: -77)
            with(set) {
              dso_gated_activation_backward(
                kind, gate, gated ? up : nil, dgate.pointer, dgate.pointer, gated ? dup.pointer : nil, Int64(count))
            }
            dgate.expectIntact("\(name(set)) \(raw)")
            dup.expectIntact("\(name(set)) \(raw)")
            let toGate = gate.indices.map { slopes[$0] * Double(dy[$0]) * (gated ? Double(up[$0]) : 1) }
            let toUp = gate.indices.map { gated ? Activations.exact(kind, Double(gate[$0])) * Double(dy[$0]) : -77 }
            #expect(firstDifference(dgate.elements, toGate, relative: 1e-5, absolute: 3e-6) == nil, "\(name(set)) \(raw) \(count)")
            #expect(firstDifference(dup.elements, toUp, relative: 1e-6, absolute: 1e-7) == nil, "\(name(set)) \(raw) \(count)")
          }
        }
      }
    }

    /// Far from zero an activation is 0 or the identity, and so is its derivative; nothing becomes not-a-number on the way.
    @Test func activationsKeepTheirMeaningFarOut() {
      let gate: [Float] = [0, -0.0, 1e-38, -1e-38, 50, 1e20, -50, -200, -1e20]
      for set in allSets {
        for kind in [DSO_ACTIVATION_SILU, DSO_ACTIVATION_GELU_TANH, DSO_ACTIVATION_GELU_ERF] {
          var slopes = [Float](repeating: 1, count: gate.count)
          let ones = slopes
          with(set) { dso_gated_activation_backward(kind, gate, nil, ones, &slopes, nil, Int64(gate.count)) }
          let expected: [Double] = [0.5, 0.5, 0.5, 0.5, 1, 1, 0, 0, 0]
          #expect(firstDifference(slopes, expected, relative: 0, absolute: 1e-6) == nil, "\(name(set)) \(kind.rawValue)")
        }
      }
    }

    @Test func sumsRowsAndRoundsThem() {
      var numbers = TestNumbers(seed: 55)
      for (rows, width) in [(1, 1), (3, 17), (64, 33), (65, 16), (300, 129)] {
        let x = numbers.floats(rows * (width + 1)), before = numbers.floats(width)
        let expected = (0..<width).map { i in (0..<rows).reduce(Double(before[i])) { $0 + Double(x[$1 * (width + 1) + i]) } }
        var codes = [Int8](repeating: 0, count: rows * width), scales = [Float](repeating: 0, count: rows)
        with(DSO_ISA_PORTABLE) {
          dso_quantize_rows_s8(x, Int64(width + 1), Int64(rows), Int64(width), &codes, Int64(width), &scales, Int64(width), nil)
        }
        for set in allSets {
          let sums = GuardedArray(before, canary: -77), rounded = GuardedArray<Float>(count: rows * width, canary: -77)
          with(set) {
            dso_sum_rows(x, Int64(width + 1), Int64(rows), Int64(width), sums.pointer)
            dso_fake_quantize_rows_s8(x, Int64(width + 1), Int64(rows), Int64(width), rounded.pointer, Int64(width))
          }
          sums.expectIntact("\(name(set)) \(rows)")
          rounded.expectIntact("\(name(set)) \(rows)")
          #expect(firstDifference(sums.elements, expected, relative: 0, absolute: Double(rows) * 0x1p-22) == nil, "\(name(set)) \(rows)")
          let values = codes.indices.map { Float(codes[$0]) * scales[$0 / width] }
          #expect(rounded.elements == values, "\(name(set)) \(rows) \(width)")
        }
      }
    }

    // MARK: Losses

    @Test func lossesAgreeWithDifferences() {
      var numbers = TestNumbers(seed: 56)
      for count in [2, 7, 16, 33, 64, 200] {
        let logits = numbers.floats(count, -6...6), teacher = numbers.floats(count, -6...6)
        let target = count / 2, weight: Float = 0.7
        func logs(_ x: [Double]) -> [Double] {
          let lse = log(x.reduce(0) { $0 + exp($1) })
          return x.map { $0 - lse }
        }
        let exact = logits.map(Double.init)
        let crossEntropy = { (x: [Double]) in -logs(x)[target] }
        for set in allSets {
          let row = GuardedArray(logits, canary: -77)
          let loss = with(set) { dso_cross_entropy_gradient(row.pointer, Int64(target), Int64(count), weight) }
          row.expectIntact("\(name(set)) \(count)")
          #expect(abs(loss - crossEntropy(exact)) < 1e-6, "\(name(set)) \(count)")
          let slopes = Self.differences(exact, at: Array(exact.indices), crossEntropy).map { $0 * Double(weight) }
          #expect(firstDifference(row.elements, slopes, relative: 1e-5, absolute: 1e-8) == nil, "\(name(set)) \(count)")
          for temperature: Float in [1, 2.5] {
            let divergence = { (x: [Double]) -> Double in
              let p = logs(teacher.map { Double($0) / Double(temperature) }), q = logs(x.map { $0 / Double(temperature) })
              return zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
            }
            let row = GuardedArray(logits, canary: -77)
            let loss = with(set) { dso_kl_divergence_gradient(teacher, row.pointer, Int64(count), temperature, weight) }
            row.expectIntact("\(name(set)) \(count)")
            #expect(abs(loss - divergence(exact)) < 2e-6, "\(name(set)) \(count)")
            let slopes = Self.differences(exact, at: Array(exact.indices), divergence).map { $0 * Double(weight) }
            #expect(firstDifference(row.elements, slopes, relative: 1e-5, absolute: 2e-7) == nil, "\(name(set)) \(count)")
            let same = GuardedArray(teacher, canary: -77)
            let none = with(set) { dso_kl_divergence_gradient(teacher, same.pointer, Int64(count), temperature, weight) }
            #expect(abs(none) < 1e-12 && same.elements.allSatisfy { $0 == 0 }, "\(name(set)) \(count)")
          }
        }
      }
    }

    @Test func partialDivergencesAgreeWithDifferences() {
      var numbers = TestNumbers(seed: 57)
      for (count, ids) in [
        (2, [0]), (7, [2, 5]), (16, [0, 15]), (33, [1, 2, 3, 31, 32]), (64, Array(0..<64)), (200, [0, 7, 8, 90, 199]),
      ] {
        let logits = numbers.floats(count, -6...6), weight: Float = 0.7
        let shares = ids.map { _ in numbers.floats(1, 0.1...1)[0] }
        // All of it where every token is known, else four fifths.
        let total = shares.reduce(0, +) / (ids.count == count ? 1 : 0.8)
        let known = shares.map { $0 / total }
        for temperature: Float in [1, 2.5] {
          let divergence = { (x: [Double]) -> Double in
            let scaled = x.map { $0 / Double(temperature) }
            let lse = log(scaled.reduce(0) { $0 + exp($1) })
            let rest = max(0, 1 - known.reduce(0) { $0 + Double($1) })
            let others = scaled.indices.filter { !ids.contains($0) }.reduce(0) { $0 + exp(scaled[$1] - lse) }
            let inside = zip(ids, known).reduce(0) { $0 + Double($1.1) * (log(Double($1.1)) - (scaled[$1.0] - lse)) }
            return inside + (rest > 0 && others > 0 ? rest * log(rest / others) : 0)
          }
          for set in allSets {
            let row = GuardedArray(logits, canary: -77)
            let loss = with(set) {
              dso_partial_divergence_gradient(
                ids.map(UInt32.init), known, Int64(ids.count), row.pointer, Int64(count), temperature, weight)
            }
            row.expectIntact("\(name(set)) \(count)")
            #expect(abs(loss - divergence(logits.map(Double.init))) < 2e-6, "\(name(set)) \(count)")
            let slopes = Self.differences(logits.map(Double.init), at: Array(logits.indices), divergence).map { $0 * Double(weight) }
            #expect(firstDifference(row.elements, slopes, relative: 1e-5, absolute: 2e-7) == nil, "\(name(set)) \(count)")
          }
        }
      }
    }
  }
}
