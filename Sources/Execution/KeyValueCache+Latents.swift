import CKernels
import ModelGraph

/// Latents of one attention node's tokens, each with its rotary key behind it, in either form.
enum LatentRows: CachedRows {
  case float(Matrix)
  case int8(latents: QuantizedHeads, rotaryKeys: QuantizedHeads)

  init(rows: Int, _ heads: LatentHeads, _ quantization: KeyValueQuantization) {
    switch quantization {
    case .none: self = .float(Matrix(rows: rows, columns: heads.keptFeatures))
    case .int8:
      let groups = quantization.scales(of: heads) - 1
      self = .int8(
        latents: QuantizedHeads(rows: rows, heads: groups, dimension: heads.rank / groups),
        rotaryKeys: QuantizedHeads(rows: rows, heads: 1, dimension: heads.rotaryDimension))
    }
  }

  var rows: Int {
    switch self {
    case .float(let kept): kept.rows
    case .int8(let latents, _): latents.rows
    }
  }

  var bytesPerToken: Int {
    switch self {
    case .float(let kept): kept.columns * MemoryLayout<Float>.stride
    case .int8(let latents, let rotaryKeys): latents.bytesPerToken + rotaryKeys.bytesPerToken
    }
  }

  func copy(from other: LatentRows, rows: Int) {
    switch (self, other) {
    case (.float(let kept), .float(let old)): kept.pointer.update(from: old.pointer, count: rows * kept.columns)
    case (.int8(let latents, let rotaryKeys), .int8(let oldLatents, let oldKeys)):
      latents.copy(from: oldLatents, rows: rows)
      rotaryKeys.copy(from: oldKeys, rows: rows)
    default: break
    }
  }

  /// Stores some rows of a batch from a row on, quantizing them where that is the form.
  func store(_ new: Latents, rows: Range<Int>, at row: Int, pool: ThreadPool) {
    switch self {
    case .float(let kept):
      let rank = new.latents.columns
      for (part, place) in [(new.latents, 0), (new.rotaryKeys, rank)] {
        part.copyColumns(from: 0, of: rows, to: kept.row(row) + place, distance: kept.columns, count: part.columns)
      }
    case .int8(let latents, let rotaryKeys):
      let isWhole = rows == 0..<new.latents.rows
      latents.storeUnsigned(isWhole ? new.latents : new.latents.copy(rows: rows), at: row, pool: pool)
      rotaryKeys.storeUnsigned(isWhole ? new.rotaryKeys : new.rotaryKeys.copy(rows: rows), at: row, pool: pool)
    }
  }

  /// The rows that sequences look at as floats, latent and rotary key in one: as they lie here, or copies of them, and where they then are.
  func floats(_ spans: [SequenceSpan], pool: ThreadPool) -> (rows: Matrix, spans: [SequenceSpan]) {
    guard case .int8(let latents, let rotaryKeys) = self else {
      if case .float(let kept) = self { return (kept, spans) }
      return (Matrix(rows: 0, columns: 0), [])
    }
    let rank = latents.heads * latents.dimension
    let copies = Matrix(uninitializedRows: spans.reduce(0) { $0 + $1.keyCount }, columns: rank + rotaryKeys.dimension)
    let moved = spans.withKeysInARow
    for (old, new) in zip(spans, moved) {
      pool.ranges(of: new.keyCount, grain: max(1, 16_384 / copies.columns)) { range in
        let target = copies.row(new.keyRow + range.lowerBound)
        let first = old.keyRow + range.lowerBound
        latents.dequantize(first..<first + range.count, into: target, distance: copies.columns)
        rotaryKeys.dequantize(first..<first + range.count, into: target + rank, distance: copies.columns)
      }
    }
    return (copies, moved)
  }
}

extension KeyValueQuantization {
  /// Scales of one token's latent and of its rotary key: in int8 the features of a latent share theirs by 64 where that comes out even.
  func scales(of heads: LatentHeads) -> Int {
    switch self {
    case .none: 0
    case .int8: (heads.rank % 64 == 0 ? heads.rank / 64 : 1) + 1
    }
  }
}

extension [SequenceSpan] {
  /// The same queries where the keys of one sequence follow those of the one before it.
  var withKeysInARow: [SequenceSpan] {
    var next = 0
    return map { span in
      defer { next += span.keyCount }
      return SequenceSpan(row: span.row, length: span.length, keyRow: next, keyCount: span.keyCount)
    }
  }
}

extension Matrix {
  /// Copies some columns of some rows.
  func copyColumns(from start: Int, of rows: Range<Int>, to target: UnsafeMutablePointer<Float>, distance: Int, count: Int) {
    dso_copy_heads(
      row(rows.lowerBound) + start, Int64(columns), 0, target, Int64(distance), 0, Int64(rows.count), 1, Int64(count), 0)
  }
}

extension QuantizedHeads {
  /// Quantizes a matrix into the rows from `row` on, to codes that lie as those of weights do.
  fileprivate func storeUnsigned(_ matrix: Matrix, at row: Int, pool: ThreadPool) {
    store(matrix, at: row, pool: pool)
    let new = codes + row * heads * dimension
    dso_exchange_signs(new, new, Int64(matrix.rows * heads * dimension))
  }

  /// The values of rows that ``storeUnsigned(_:at:pool:)`` wrote.
  fileprivate func dequantize(_ range: Range<Int>, into target: UnsafeMutablePointer<Float>, distance: Int) {
    let width = Int64(heads * dimension)
    var view = dso_weights()
    view.storage = DSO_STORAGE_QUANTIZED
    view.bits = 8
    view.data = UnsafeRawPointer(codes)
    (view.row_bytes, view.n, view.k, view.group_size) = (width, Int64(rows), width, Int64(dimension))
    view.scales = UnsafePointer(scales)
    dso_dequantize(&view, Int64(range.lowerBound), Int64(range.upperBound), target, Int64(distance))
  }
}
