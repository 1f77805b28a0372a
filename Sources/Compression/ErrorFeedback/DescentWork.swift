import CKernels
import Execution
import Tensors

/// The memory of a coordinate descent: everything column-major, columns and rows in processing order.
final class DescentWork {
  private static let tile = Int(DSO_FEEDBACK_COLUMNS)

  private let (rows, columns, ld): (Int, Int, Int)
  private let (inputs, pool): (FeedbackFactor, ThreadPool)
  private let rowOrder: [Int32]
  /// G, both triangles; nil for 1.
  private let outputs: Matrix?
  /// `[columns, ld]`: E = W − Q.
  private let errors: Matrix
  /// `[columns, ld]`: H Eᵀ.
  private let products: Matrix
  /// `[tile, ld]`: what was added to the errors of the columns at work.
  private let changes: Matrix
  /// `[tile, tile]`: H of the columns at work, both triangles.
  private let square = Matrix(rows: tile, columns: tile)
  /// `[groups, ld]`
  private let scales: Matrix
  private let groups: [Int32]
  private let bits: Int32
  /// `[columns, ld]`
  private var codes: [UInt8]
  /// By how much the objective fell at each row, and, once measured, `e H eᵀ` without damping.
  private(set) var gains: [Double]
  private(set) var losses: [Double]

  init(
    _ weight: WeightRows, codes: [UInt8], grids: GridTable, inputs: FeedbackFactor, rowOrder: [Int32], outputs: Matrix?, pool: ThreadPool
  ) {
    (rows, columns) = (weight.rows, weight.columns)
    ld = (rows + 15) / 16 * 16
    (self.inputs, self.rowOrder, self.outputs, self.pool) = (inputs, rowOrder, outputs, pool)
    errors = Matrix(rows: columns, columns: ld)
    products = Matrix(rows: columns, columns: ld)
    changes = Matrix(rows: Self.tile, columns: ld)
    scales = Matrix(rows: grids.groups, columns: ld)
    groups = inputs.order.map { $0 / Int32(clamping: grids.groupSize) }
    bits = Int32(grids.scheme.bits)
    self.codes = Array(repeating: 0, count: columns * ld)
    gains = Array(repeating: 0, count: ld)
    losses = Array(repeating: 0, count: ld)
    load(weight, codes, grids)
    for begin in stride(from: 0, to: columns, by: Self.tile) {
      let range = begin..<min(columns, begin + Self.tile)
      loadSquare(range)
      spread(errors.row(begin), of: range, within: true)
      spread(errors.row(begin), of: range, within: false)
    }
  }

  private func load(_ weight: WeightRows, _ source: [UInt8], _ grids: GridTable) {
    let (rows, columns, ld, order, bits) = (rows, columns, ld, rowOrder, bits)
    let (inputOrder, errors, scales) = (inputs.order, errors, scales)
    source.withUnsafeBufferPointer { source in
      codes.withUnsafeMutableBufferPointer { codes in
        // Sixteen rows at a time come into order together: whole cache lines are written, each by one task.
        nonisolated(unsafe) let (source, codes) = (source, codes)
        pool.run((rows + 15) / 16, scratchBytes: 16 * columns * 5) { strip, scratch in
          guard let source = source.baseAddress, let codes = codes.baseAddress else { return }
          let values = scratch.bindMemory(to: Float.self, capacity: 16 * columns)
          let bytes = (scratch + 16 * columns * 4).bindMemory(to: UInt8.self, capacity: 16 * columns)
          let first = strip * 16
          let count = min(16, rows - first)
          for place in 0..<count {
            let row = Int(order[first + place])
            let (value, code) = (values + place * columns, bytes + place * columns)
            weight.read(row: row, into: value)
            code.update(from: source + row * columns, count: columns)
            for group in 0..<grids.groups {
              let (start, at) = (group * grids.groupSize, row * grids.groups + group)
              dso_subtract_codes(
                value + start, code + start, Int64(min(grids.groupSize, columns - start)), grids.scales[at], Int32(grids.zeroPoints[at]),
                bits)
              scales.row(group)[first + place] = grids.scales[at]
            }
          }
          dso_gather_columns(values, Int64(columns), Int64(count), inputOrder, Int64(columns), errors.pointer + first, Int64(ld))
          dso_gather_codes(bytes, Int64(columns), Int64(count), inputOrder, Int64(columns), codes + first, Int64(ld))
        }
      }
    }
  }

  private func loadSquare(_ range: Range<Int>) {
    for (place, column) in range.enumerated() {
      for (other, from) in range.enumerated() where other >= place {
        let value = other == place ? inputs.diagonal[column] : inputs.matrix.row(column)[from]
        square.row(place)[other] = value
        square.row(other)[place] = value
      }
    }
  }

  /// Adds what errors `[range, ld]` of these columns do, to the products of the columns themselves or of all others. H stands above the
  /// diagonal of the factor's matrix only.
  private func spread(_ values: UnsafeMutablePointer<Float>, of range: Range<Int>, within: Bool) {
    let (matrix, count) = (inputs.matrix, range.count)
    if within {
      let product = dso_outer_product(x: square.pointer, Self.tile, y: values, ld, depth: count, into: products.row(range.lowerBound), ld)
      OuterProducts.accumulate(product, rows: count, columns: ld, pool: pool)
      return
    }
    var before = dso_outer_product(
      x: matrix.pointer + range.lowerBound, columns, y: values, ld, depth: count, into: products.pointer, ld)
    before.x_by_rows = 1
    OuterProducts.accumulate(before, rows: range.lowerBound, columns: ld, pool: pool)
    guard range.upperBound < columns else { return }
    let after = dso_outer_product(
      x: matrix.row(range.lowerBound) + range.upperBound, columns, y: values, ld, depth: count, into: products.row(range.upperBound), ld)
    OuterProducts.accumulate(after, rows: columns - range.upperBound, columns: ld, pool: pool)
  }

  /// All rows of some columns.
  /// - Returns: how many codes moved.
  func descend(columns range: Range<Int>) -> Int {
    loadSquare(range)
    let tiles = (rows + Self.tile - 1) / Self.tile
    var moved = [Int](repeating: 0, count: tiles)
    let bytes = Self.tile * Self.tile * 4
    moved.withUnsafeMutableBufferPointer { moved in
      codes.withUnsafeMutableBufferPointer { codes in
        gains.withUnsafeMutableBufferPointer { gains in
          // Every tile writes its own rows, and only those.
          nonisolated(unsafe) let (moved, codes, gains) = (moved, codes, gains)
          guard let codes = codes.baseAddress, let gains = gains.baseAddress else { return }
          nonisolated(unsafe) let places = (codes: codes + range.lowerBound * ld, gains: gains)
          guard let outputs else {
            pool.run(tiles, scratchBytes: bytes) { index, scratch in
              let rows = index * Self.tile..<min(rows, (index + 1) * Self.tile)
              let slopes = scratch.bindMemory(to: Float.self, capacity: Self.tile * Self.tile)
              let width = (rows.count + 15) / 16 * 16
              for place in 0..<range.count {
                (slopes + place * Self.tile).update(from: products.row(range.lowerBound + place) + rows.lowerBound, count: width)
              }
              moved[index] = run(range, rows, slopes, places.codes, places.gains, nil)
            }
            if moved.contains(where: { $0 > 0 }) { spread(changes.pointer, of: range, within: true) }
            return
          }
          let slopes = Matrix(rows: Self.tile, columns: Self.tile)
          for index in 0..<tiles {
            let rows = index * Self.tile..<min(rows, (index + 1) * Self.tile)
            slopes.pointer.update(repeating: 0, count: Self.tile * Self.tile)
            var product = dso_outer_product(
              x: products.row(range.lowerBound), ld, y: outputs.pointer + rows.lowerBound, outputs.columns, depth: outputs.rows,
              into: slopes.pointer, Self.tile)
            product.x_by_rows = 1
            OuterProducts.accumulate(product, rows: range.count, columns: rows.count, pool: pool)
            moved[index] = run(range, rows, slopes.pointer, places.codes, places.gains, outputs)
            if moved[index] > 0 { spreadTile(range, rows) }
          }
        }
      }
    }
    let total = moved.reduce(0, +)
    guard total > 0 else { return 0 }
    spread(changes.pointer, of: range, within: false)
    dso_add(changes.pointer, errors.row(range.lowerBound), Int64(range.count * ld))
    return total
  }

  /// One tile's changes to the products of its own columns, which the next tile's slopes are made of.
  private func spreadTile(_ range: Range<Int>, _ rows: Range<Int>) {
    let product = dso_outer_product(
      x: square.pointer, Self.tile, y: changes.pointer + rows.lowerBound, ld, depth: range.count,
      into: products.row(range.lowerBound) + rows.lowerBound, ld)
    OuterProducts.accumulate(product, rows: range.count, columns: rows.count, pool: pool)
  }

  private func run(
    _ range: Range<Int>, _ rows: Range<Int>, _ slopes: UnsafeMutablePointer<Float>, _ codes: UnsafeMutablePointer<UInt8>,
    _ gains: UnsafeMutablePointer<Double>, _ outputs: Matrix?
  ) -> Int {
    let first = rows.lowerBound
    return groups.withUnsafeBufferPointer { groups in
      guard let groups = groups.baseAddress else { return 0 }
      var step = dso_descent_step(
        rows: Int64(rows.count), columns: Int64(range.count), products: slopes, ld_products: Int64(Self.tile), h: square.pointer,
        ldh: Int64(Self.tile), g: outputs.map { UnsafePointer($0.row(first) + first) }, ldg: Int64(outputs?.columns ?? 0),
        groups: groups + range.lowerBound, scales: scales.pointer + first, ld_scales: Int64(ld), bits: bits, codes: codes + first,
        changes: changes.pointer + first, ld: Int64(ld), gains: gains + first)
      return Int(dso_descend_tile(&step))
    }
  }

  /// `e H eᵀ` of every row, without damping. Takes the products for it.
  func measure() {
    let (columns, ld, errors, products, added) = (columns, ld, errors, products, inputs.added)
    losses.withUnsafeMutableBufferPointer { losses in
      // Every task writes the rows it was given, and only those.
      nonisolated(unsafe) let losses = losses
      pool.ranges(of: ld, grain: 64) { rows in
        guard let losses = losses.baseAddress else { return }
        let damping = Matrix(rows: 1, columns: rows.count)
        let ones = [Float](repeating: 1, count: rows.count)
        for column in 0..<columns {
          let own = errors.row(column) + rows.lowerBound
          damping.pointer.update(from: own, count: rows.count)
          dso_scale_elements(damping.pointer, ones, -added[column], Int64(rows.count))
          dso_add(products.row(column) + rows.lowerBound, damping.pointer, Int64(rows.count))
          dso_add_products(damping.pointer, own, losses + rows.lowerBound, Int64(rows.count))
        }
      }
    }
  }

  /// The codes in the weight's own order.
  func originalCodes() -> [UInt8] {
    let (columns, ld, order) = (columns, ld, rowOrder)
    // Of no codes the initializer would write the length into the empty array that all threads share.
    guard rows * columns > 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: rows * columns) { target, count in
      codes.withUnsafeBufferPointer { codes in
        inputs.order.withUnsafeBufferPointer { inputs in
          // Every task writes the rows it was given, and only those.
          nonisolated(unsafe) let (target, codes, inputs) = (target, codes, inputs)
          pool.ranges(of: rows, grain: 16) { rows in
            guard let target = target.baseAddress, let codes = codes.baseAddress, let inputs = inputs.baseAddress else { return }
            for row in rows {
              dso_scatter_codes(codes + row, Int64(ld), 1, inputs, Int64(columns), target + Int(order[row]) * columns, Int64(columns))
            }
          }
        }
      }
      count = rows * columns
    }
  }
}
