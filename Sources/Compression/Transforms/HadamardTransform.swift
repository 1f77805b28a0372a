import CKernels
import Tensors

/// A randomised Hadamard transform: the orthogonal matrix Q = diag(±1) · H / √size, applied in n·log n steps. It spreads what stands out in
/// one feature over all of them, so that no feature needs a range of its own (QuIP#, Tseng et al. 2024; QuaRot, Ashkboos et al. 2024).
struct HadamardTransform: Sendable, Equatable {
  /// Features of a row.
  let width: Int
  /// Features that one Hadamard matrix mixes: all, or blocks of them.
  let size: Int
  private let order: Int
  private let base: [Float]
  private let signs: [Float]

  /// - Parameters:
  ///   - width: features of one run, at least 1.
  ///   - repetitions: runs of a row, all transformed alike (heads).
  init(width run: Int, seed: UInt64, repetitions: Int = 1) {
    let (order, size) = HadamardMatrix.decomposition(of: run)
    let values = HadamardMatrix.values(order: order)
    self.order = values == nil ? 1 : order
    base = values ?? [1]
    self.size = size
    width = run * repetitions
    let signs = (0..<run).map { SeededRandom.value(seed: seed, index: UInt64($0)) >> 63 == 0 ? Float(1) : -1 }
    self.signs = Array(repeatElement(signs, count: repetitions).joined())
  }

  /// Rows of `width` features times Q, in place.
  func transformRows(_ values: UnsafeMutablePointer<Float>, rows: Int) {
    withKernelForm { dso_hadamard_rows(&$0, values, Int64(width), Int64(rows), Int64(width)) }
  }

  /// The transpose of Q times a matrix `[width, columns]`, in place.
  func transformColumns(_ values: UnsafeMutablePointer<Float>, columns: Int) {
    withKernelForm { dso_hadamard_columns(&$0, values, Int64(columns), Int64(width), Int64(columns)) }
  }

  private func withKernelForm(_ body: (inout dso_hadamard) -> Void) {
    base.withUnsafeBufferPointer { base in
      signs.withUnsafeBufferPointer { signs in
        var form = dso_hadamard(size: Int64(size), order: Int64(order), base: base.baseAddress, signs: signs.baseAddress)
        body(&form)
      }
    }
  }
}
