import CKernels
import Execution
import Tensors

/// Rounding with feedback over the threads of a pool. Rows of a weight do not depend on each other: each thread takes a band of them from
/// the first input to the last, column-major, so that the rows lie side by side in vectors.
struct FeedbackBands {
  let weight: WeightRows
  let grids: GridTable
  let factor: FeedbackFactor
  let blockSize: Int

  /// Most rows of a band: as many as the products take at once.
  private static let mostRows = 480
  /// Rows that are brought into processing order together.
  private static let stripRows = 16

  struct Outcome {
    var codes: [UInt8]
    /// `(w − q) H (w − q)ᵀ` of each row.
    var losses: [Double]
    var clipped: Int
  }

  /// What all bands read and write.
  private struct Places {
    let groupOfPlace: UnsafePointer<Int32>
    let codes: UnsafeMutablePointer<UInt8>
    let losses: UnsafeMutablePointer<Double>
    let clipped: UnsafeMutablePointer<Int64>
  }

  func run(pool: ThreadPool) -> Outcome {
    let (rows, columns) = (weight.rows, weight.columns)
    guard rows > 0, columns > 0 else { return Outcome(codes: [], losses: [], clipped: 0) }
    let height = bandRows(threads: pool.threads)
    let bands = (rows + height - 1) / height
    let groupSize = grids.groupSize
    let groups = factor.order.map { $0 / Int32(clamping: groupSize) }
    var codes = [UInt8](repeating: 0, count: rows * columns)
    var losses = [Double](repeating: 0, count: rows)
    var clipped = [Int64](repeating: 0, count: bands)
    let areas = BandScratch.Extents(columns: columns, groups: grids.groups, rows: height, block: blockSize)
    groups.withUnsafeBufferPointer { groups in
      codes.withUnsafeMutableBufferPointer { codes in
        losses.withUnsafeMutableBufferPointer { losses in
          clipped.withUnsafeMutableBufferPointer { clipped in
            guard let groups = groups.baseAddress, let codes = codes.baseAddress, let losses = losses.baseAddress,
              let clipped = clipped.baseAddress
            else { return }
            // Every band writes its own rows, and only those.
            nonisolated(unsafe) let places = Places(groupOfPlace: groups, codes: codes, losses: losses, clipped: clipped)
            pool.run(bands, scratchBytes: areas.byteCount) { band, memory in
              let scratch = BandScratch(memory, areas)
              let range = band * height..<min(rows, (band + 1) * height)
              load(range, into: scratch)
              places.clipped[band] = round(range, scratch, places)
              if !factor.hasFactor { measure(scratch) }
              (places.losses + range.lowerBound).update(from: scratch.losses, count: range.count)
            }
          }
        }
      }
    }
    return Outcome(codes: codes, losses: losses, clipped: Int(clipped.reduce(0, +)))
  }

  /// Bands of equal height, as many for each thread.
  private func bandRows(threads: Int) -> Int {
    let least = (weight.rows + Self.mostRows - 1) / Self.mostRows
    let bands = (least + threads - 1) / threads * threads
    let rows = (weight.rows + bands - 1) / bands
    return (rows + Self.stripRows - 1) / Self.stripRows * Self.stripRows
  }

  /// Weights and grids of some rows, column-major, columns in processing order.
  private func load(_ rows: Range<Int>, into scratch: BandScratch) {
    let (columns, ld) = (weight.columns, scratch.rows)
    for start in stride(from: 0, to: ld, by: Self.stripRows) {
      let count = min(Self.stripRows, rows.count - start)
      for row in 0..<max(0, count) { weight.read(row: rows.lowerBound + start + row, into: scratch.strip + row * columns) }
      let blank = max(0, count) * columns
      (scratch.strip + blank).update(repeating: 0, count: Self.stripRows * columns - blank)
      dso_gather_columns(
        scratch.strip, Int64(columns), Int64(Self.stripRows), factor.order, Int64(columns), scratch.weights + start, Int64(ld))
    }
    let first = rows.lowerBound * grids.groups
    grids.scales.withUnsafeBufferPointer { scales in
      grids.zeroPoints.withUnsafeBufferPointer { points in
        guard let scales = scales.baseAddress, let points = points.baseAddress else { return }
        dso_transpose_grids(
          scales + first, points + first, Int64(rows.count), Int64(grids.groups), scratch.scales, scratch.zeroPoints, Int64(ld))
      }
    }
    scratch.losses.update(repeating: 0, count: ld)
  }

  /// All columns in turn; the weights become their errors.
  private func round(_ rows: Range<Int>, _ scratch: BandScratch, _ places: Places) -> Int64 {
    let (columns, ld) = (weight.columns, scratch.rows)
    var clipped: Int64 = 0
    for begin in stride(from: 0, to: columns, by: blockSize) {
      let count = min(blockSize, columns - begin)
      let coefficients = UnsafePointer(factor.matrix.row(begin))
      scratch.feedback.update(repeating: 0, count: count * ld)
      if factor.hasFactor {
        var product = dso_outer_product(
          x: coefficients, columns, y: scratch.weights, ld, depth: begin, into: scratch.feedback, ld)
        product.x_by_rows = 1
        dso_accumulate_outer(&product, 0, Int64(count), 0, Int64(ld), scratch.products)
      }
      factor.pivots.withUnsafeBufferPointer { pivots in
        factor.added.withUnsafeBufferPointer { added in
          guard let pivots = pivots.baseAddress, let added = added.baseAddress else { return }
          var step = dso_feedback_step(
            rows: Int64(ld), columns: Int64(count), ld: Int64(ld), weights: scratch.weights + begin * ld, feedback: scratch.feedback,
            m: factor.hasFactor ? coefficients + begin : nil, ldm: Int64(columns), groups: places.groupOfPlace + begin,
            scales: scratch.scales, zero_points: scratch.zeroPoints, ldg: Int64(ld), bits: Int32(grids.scheme.bits),
            pivots: pivots + begin, damping: added + begin, codes: scratch.codes, losses: scratch.losses,
            levels: grids.levels)
          clipped += dso_round_with_feedback(&step)
        }
      }
      factor.order.withUnsafeBufferPointer { order in
        guard let order = order.baseAddress else { return }
        dso_scatter_codes(
          scratch.codes, Int64(ld), Int64(rows.count), order + begin, Int64(count), places.codes + rows.lowerBound * columns,
          Int64(columns))
      }
    }
    return clipped
  }

  /// `e H eᵀ` from its definition: without a factor the steps do not add up to it.
  private func measure(_ scratch: BandScratch) {
    let (columns, ld) = (weight.columns, scratch.rows)
    scratch.losses.update(repeating: 0, count: ld)
    for begin in stride(from: 0, to: columns, by: blockSize) {
      let count = min(blockSize, columns - begin)
      scratch.feedback.update(repeating: 0, count: count * ld)
      var product = dso_outer_product(
        x: factor.matrix.pointer + begin, columns, y: scratch.weights, ld, depth: columns, into: scratch.feedback, ld)
      dso_accumulate_outer(&product, 0, Int64(count), 0, Int64(ld), scratch.products)
      for place in 0..<count {
        dso_add_products(scratch.feedback + place * ld, scratch.weights + (begin + place) * ld, scratch.losses, Int64(ld))
      }
    }
  }
}
