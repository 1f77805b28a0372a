import CKernels
import Testing

extension KernelTests {
  /// Kernels that do little with each element: every set gives the bits of the portable one.
  @Suite struct MemoryBound {
    static let kernels = ["dso_adamw_step", "dso_dequantize_e4m3_blocks", "dso_hadamard_rows"]

    @Test func adamStepsAgreeToTheBit() {
      var numbers = TestNumbers(seed: 91)
      let step = dso_adamw(
        learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, correction1: 0.271, correction2: 0.002997,
        gradient_factor: 0.37)
      for count in boundaries {
        let gradient = numbers.floats(count), start = numbers.floats(count), means = numbers.floats(count)
        let variances = numbers.floats(count, 0...0.01)
        func run(_ set: dso_isa) -> [Float] {
          let state = [start, means, variances].map { GuardedArray($0, canary: -77) }
          var step = step
          with(set) { dso_adamw_step(&step, gradient, state[0].pointer, state[1].pointer, state[2].pointer, Int64(count)) }
          for part in state { part.expectIntact("\(name(set)) \(count)") }
          return state.flatMap(\.elements)
        }
        let portable = run(DSO_ISA_PORTABLE)
        for set in fastSets { #expect(firstDifferentBits(run(set), portable) == nil, "\(name(set)) \(count)") }
      }
    }

    /// Every code, and blocks that end within a vector; NaN is the portable one's.
    @Test func smallFloatsAgreeToTheBit() {
      var numbers = TestNumbers(seed: 92)
      for (columns, block) in [(256, 128), (300, 128), (7, 3), (65, 20)] {
        let rows = 4, blocks = (columns + block - 1) / block
        let codes = (0..<rows * columns).map { UInt8(truncatingIfNeeded: $0 &* 3) }
        let scales = numbers.floats(2 * blocks, 0.01...2)
        func run(_ set: dso_isa) -> [Float] {
          let out = GuardedArray<Float>(count: (rows - 1) * columns, canary: -77)
          with(set) {
            dso_dequantize_e4m3_blocks(
              codes, 1, Int64(rows), Int64(columns), scales, Int64(blocks), 2, Int64(block), out.pointer)
          }
          out.expectIntact("\(name(set)) \(columns)")
          return out.elements
        }
        let portable = run(DSO_ISA_PORTABLE)
        for set in fastSets { #expect(firstDifferentBits(run(set), portable) == nil, "\(name(set)) \(columns)") }
      }
    }

    /// Powers of two on both sides of a square of vectors, and orders beside them.
    @Test func hadamardRowsAgreeToTheBit() {
      var numbers = TestNumbers(seed: 93)
      for (size, order, n) in [(1, 1, 5), (64, 1, 192), (512, 1, 1024), (16, 1, 208), (96, 12, 192), (40, 20, 80), (768, 12, 768)] {
        let base = numbers.floats(order * order).map { $0 < 0 ? Float(-1) : 1 }, signs = numbers.floats(n).map { $0 < 0 ? Float(-1) : 1 }
        let rows = 3, ld = n + 2, x = numbers.floats(rows * ld)
        func run(_ set: dso_isa) -> [Float] {
          let result = GuardedArray(x, canary: -77)
          base.withUnsafeBufferPointer { base in
            signs.withUnsafeBufferPointer { signs in
              var q = dso_hadamard(size: Int64(size), order: Int64(order), base: base.baseAddress, signs: signs.baseAddress)
              with(set) { dso_hadamard_rows(&q, result.pointer, Int64(ld), Int64(rows), Int64(n)) }
            }
          }
          result.expectIntact("\(name(set)) \(size)")
          return result.elements
        }
        let portable = run(DSO_ISA_PORTABLE)
        for set in fastSets { #expect(firstDifferentBits(run(set), portable) == nil, "\(name(set)) \(size) \(order)") }
      }
    }
  }
}
