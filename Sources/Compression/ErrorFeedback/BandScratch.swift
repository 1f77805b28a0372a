import CKernels

/// The memory a thread works in while it rounds a band of rows, cut into areas on whole vectors.
struct BandScratch {
  struct Extents {
    let columns: Int
    let groups: Int
    /// Rows of the band, a multiple of 16: the distance between columns.
    let rows: Int
    /// Columns of a block.
    let block: Int

    /// Sizes of the areas in the order of the properties below.
    fileprivate var sizes: [Int] {
      let table = groups * rows * 4
      return [16 * columns * 4, columns * rows * 4, block * rows * 4, block * rows, table, table, rows * 8, Int(dso_outer_scratch_bytes())]
        .map { ($0 + 63) / 64 * 64 }
    }

    var byteCount: Int { sizes.reduce(0, +) }
  }

  let rows: Int
  /// `[16, columns]`: rows as they lie in the weight.
  let strip: UnsafeMutablePointer<Float>
  /// `[columns, rows]`: weights, then errors.
  let weights: UnsafeMutablePointer<Float>
  /// `[block, rows]`
  let feedback: UnsafeMutablePointer<Float>
  /// `[block, rows]`
  let codes: UnsafeMutablePointer<UInt8>
  /// `[groups, rows]`
  let scales: UnsafeMutablePointer<Float>
  /// `[groups, rows]`
  let zeroPoints: UnsafeMutablePointer<Float>
  /// `[rows]`
  let losses: UnsafeMutablePointer<Double>
  let products: UnsafeMutableRawPointer

  init(_ memory: UnsafeMutableRawPointer, _ extents: Extents) {
    var next = memory
    var sizes = extents.sizes.makeIterator()
    func area() -> UnsafeMutableRawPointer {
      defer { next += sizes.next() ?? 0 }
      return next
    }
    rows = extents.rows
    strip = area().assumingMemoryBound(to: Float.self)
    weights = area().assumingMemoryBound(to: Float.self)
    feedback = area().assumingMemoryBound(to: Float.self)
    codes = area().assumingMemoryBound(to: UInt8.self)
    scales = area().assumingMemoryBound(to: Float.self)
    zeroPoints = area().assumingMemoryBound(to: Float.self)
    losses = area().assumingMemoryBound(to: Double.self)
    products = area()
  }
}
