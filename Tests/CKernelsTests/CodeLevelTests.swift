import CKernels
import Testing

extension KernelTests {
  /// Codes into a table of levels: what is theirs alone; products in float and dequantizing take them among all storages.
  @Suite struct CodeLevels {
    /// A product that takes float activations and weights `[n, k]`, or `[k, n]` when it is of the gradients.
    enum Kind: CaseIterable { case matmul, bfloat16, nt, nn, nnBFloat16 }

    /// `weights` `[rows, columns]` times what fits it, in pieces of columns.
    private func product(_ kind: Kind, _ a: [Float], m: Int, _ weights: dso_weights, columns: Int) -> [Float] {
      var view = weights
      let isGradient = kind == .nn || kind == .nnBFloat16
      let lda = Int64(isGradient ? view.n : view.k), outputs = Int64(columns), middle = outputs / 3
      let scratch = Scratch(bytes: max(dso_matmul_scratch_bytes(&view), dso_gradient_product_scratch_bytes()))
      let c = GuardedArray<Float>(count: m * columns, canary: -77)
      let narrow = a.map { UInt16($0.bitPattern >> 16) }
      for (begin, end) in [(0, middle), (middle, outputs)] {
        let rows = Int64(m)
        switch kind {
        case .matmul: dso_matmul_f32(a, lda, rows, &view, begin, end, nil, c.pointer, outputs, scratch.pointer)
        case .bfloat16: dso_matmul_bf16(narrow, lda, rows, &view, begin, end, nil, c.pointer, outputs, scratch.pointer)
        case .nt: dso_matmul_nt_bf16(a, lda, rows, &view, begin, end, nil, c.pointer, outputs, scratch.pointer)
        case .nn: dso_matmul_nn_f32(a, lda, rows, &view, begin, end, 0, c.pointer, outputs, scratch.pointer)
        case .nnBFloat16: dso_matmul_nn_bf16(a, lda, rows, &view, begin, end, 0, c.pointer, outputs, scratch.pointer)
        }
      }
      c.expectIntact("\(kind)")
      return c.elements
    }

    /// Every packed product computes what it computes for the same weights as floats, to the bit: only the decoding differs.
    @Test(arguments: Kind.allCases) func productsEqualThoseOfTheValues(kind: Kind) {
      var numbers = TestNumbers(seed: 91)
      for (m, rows, columns) in [(1, 5, 7), (17, 40, 300), (3, 260, 65), (33, 70, 1031)] {
        for (bits, size) in [(4, 32), (4, 30), (4, 1 << 20), (2, 32), (3, 64), (5, 30), (6, 32), (7, 32), (8, 64)] {
          let w = WeightMatrix(.levels(bits: bits, groupSize: min(size, columns)), n: rows, k: columns, using: &numbers)
          let isGradient = kind == .nn || kind == .nnBFloat16
          let a = numbers.floats(m * (isGradient ? rows : columns))
          let outputs = isGradient ? columns : rows
          let values = (0..<rows * columns).map { w.value($0 / columns, $0 % columns) }
          for set in allSets {
            let result = with(set) { product(kind, a, m: m, w.view, columns: outputs) }
            let expected = values.withUnsafeBytes { bytes in
              var dense = dso_weights()
              (dense.storage, dense.data, dense.row_bytes) = (DSO_STORAGE_F32, bytes.baseAddress, Int64(4 * columns))
              (dense.n, dense.k, dense.group_size) = (Int64(rows), Int64(columns), Int64(columns))
              return with(set) { product(kind, a, m: m, dense, columns: outputs) }
            }
            #expect(firstDifferentBits(result, expected) == nil, "\(kind) \(name(set)) \(m) \(rows) \(columns) \(bits) g\(size)")
          }
        }
      }
    }

    /// The nearest of half a dozen, by the definition: distances in the units that the kernel rounds in, ties to the lower.
    @Test(arguments: [1, 2, 4, 8]) func nearestLevelsAreTheNearest(bits: Int) {
      var numbers = TestNumbers(seed: 92)
      let inner = numbers.floats((1 << bits) - 2, -1...1).sorted()
      let levels = [-1] + inner + [1]
      for count in boundaries {
        for variant in 0..<4 {
          var x = numbers.floats(count, -0.3...0.3)
          if variant == 1 { x = x.map { $0 * 0x1p-126 } }
          if variant == 2 { x = x.map { _ in 0 } }
          if variant == 3 {
            // With the largest magnitude 1 bounds come out exactly: ties.
            x = (0..<count).map { (levels[$0 % (levels.count - 1)] + levels[$0 % (levels.count - 1) + 1]) / 2 }
            x[count - 1] = -1
          }
          let codes = GuardedArray<UInt8>(count: count, canary: 0xaa)
          let scale = dso_quantize_absmax_levels(x, Int64(count), levels, Int32(bits), codes.pointer)
          #expect(scale == x.map(abs).max())
          let factor = 1 / max(scale, 1e-38)
          let expected = x.map { value in
            UInt8(zip(levels, levels.dropFirst()).filter { value * factor > ($0 + $1) / 2 }.count)
          }
          #expect(codes.elements == expected, "\(bits) \(count) \(variant)")
          codes.expectIntact("\(bits) \(count) \(variant)")
        }
      }
    }
  }
}
