import CKernels
import ModelGraph
import Tensors

/// A batch's latents and the rotary keys beside them, a row a token.
struct Latents {
  let latents: Matrix
  let rotaryKeys: Matrix
}

/// What makes keys and values of latents.
struct LatentProjection {
  let weight: LoadedParameter
  let bias: [Float]?
  let quantization: ActivationQuantization
}

extension Interpreter {
  /// Attention over latents: those of the batch, or those of a cache that take the batch's in first. What is stored is what is attended to.
  ///
  /// Keys and values are made of the latents again, or the two products move to the other side of attention: q · (W k) = (Wᵀ q) · k, and
  /// Σ p (W v) = W Σ p v. Then latents are one key head that all queries share, and their own values. That is what few queries behind many
  /// tokens want; a prompt has fewer operations the other way (see ``LatentHeads/prefersAbsorbing(_:)``).
  func attend(
    _ queries: Matrix, _ new: Latents, _ projection: LatentProjection, _ heads: LatentHeads, _ layout: SequenceLayout,
    cache: KeyValueCache?, node: Node
  ) throws -> Matrix {
    let form = cache?.quantization ?? keyValues
    let spans = layout.spans(in: cache)
    guard cache != nil || form != .none else {
      return try attend(queries, expand(new, projection, heads, projection.quantization), heads.expanded, spans)
    }
    // Inputs that int8 rounds are stored rounded, so that keys and values are the same whenever they are made.
    let kept = Latents(latents: rounded(new.latents, for: projection), rotaryKeys: new.rotaryKeys)
    let stored: LatentRows
    if let cache {
      stored = cache.latents(for: node.output, rows: cache.length + queries.rows, heads)
      for (index, sequence) in layout.sequences.enumerated() {
        stored.store(
          kept, rows: sequence.row..<sequence.row + sequence.length, at: cache.firstRow(of: index) + cache.length, pool: pool)
      }
      if form == .none, spans.allSatisfy({ $0.keyCount == $0.length }) {
        // The first tokens see what a batch without a cache sees.
        return try attend(queries, expand(new, projection, heads, projection.quantization), heads.expanded, layout.spans(in: nil))
      }
    } else {
      stored = LatentRows(rows: queries.rows, heads, form)
      stored.store(kept, rows: 0..<queries.rows, at: 0, pool: pool)
    }
    let seen = stored.floats(spans, pool: pool)
    if heads.prefersAbsorbing(spans) { return absorb(queries, seen.rows, seen.spans, projection, heads) }
    let all = Latents(seen.rows, seen.spans, heads)
    return try attend(queries, expand(all, projection, heads, .none), heads.expanded, spans.withKeysInARow)
  }

  private func rounded(_ latents: Matrix, for projection: LatentProjection) -> Matrix {
    guard projection.quantization != .none else { return latents }
    return fakeQuantized(
      latents, as: projection.quantization, for: projection.weight,
      scale: projection.quantization == .int8Static ? projection.weight.inputScale : nil)
  }

  /// Keys and values of all heads.
  private func expand(
    _ from: Latents, _ projection: LatentProjection, _ heads: LatentHeads, _ quantization: ActivationQuantization
  ) throws -> KeyValues {
    let expanded = try sharedLinear(from.latents, projection.weight, bias: projection.bias, quantization: quantization)
    let keys = joinHeads(slice(expanded, heads.plainKeys), from.rotaryKeys, heads.keys)
    return .float(keys: keys, values: slice(expanded, heads.values))
  }

  /// - Parameters:
  ///   - rows: latents with their rotary keys behind them.
  ///   - spans: where in these rows the sequences are.
  private func absorb(
    _ queries: Matrix, _ rows: Matrix, _ spans: [SequenceSpan], _ projection: LatentProjection, _ heads: LatentHeads
  ) -> Matrix {
    let mixed = attend(turned(queries, projection, heads), rows, spans, heads)
    let output = Matrix(uninitializedRows: queries.rows, columns: heads.count * heads.valueDimension)
    var weight = projection.weight.view
    projection.bias.withOptionalPointer { bias in
      pool.run(heads.count, scratchBytes: Int(dso_matmul_scratch_bytes(&weight))) { head, scratch in
        let first = head * heads.rowsPerHead + heads.plainDimension
        var view = projection.weight.view.rows(first..<first + heads.valueDimension)
        // Weights of attention add up to 1: a bias of values comes out as it is.
        dso_matvec_f32(
          mixed.pointer + head * heads.rank, Int64(mixed.columns), Int64(mixed.rows), &view, 0, view.n, bias.map { $0 + first },
          output.pointer + head * heads.valueDimension, Int64(output.columns), scratch)
      }
    }
    return output
  }

  /// Queries as latents look to them: what made keys of latents is in the plain features, of which there are as many as in a latent, and the
  /// rotary ones stand behind them. A bias of keys is left out: it adds the same to all scores of a query.
  private func turned(_ queries: Matrix, _ projection: LatentProjection, _ heads: LatentHeads) -> Matrix {
    let output = Matrix(uninitializedRows: queries.rows, columns: heads.count * heads.keptFeatures)
    copyHeads(
      queries, from: heads.plainDimension, step: heads.queryDimension, to: output, at: heads.rank, step: heads.keptFeatures,
      heads: heads.count, width: heads.rotaryDimension)
    // Products with the weight as it lies, so that no transposed copy of it is needed.
    pool.run(heads.count, scratchBytes: Int(dso_gradient_product_scratch_bytes())) { head, scratch in
      let first = head * heads.rowsPerHead
      var view = projection.weight.view.rows(first..<first + heads.plainDimension)
      let (from, to) = (queries.pointer + head * heads.queryDimension, output.pointer + head * heads.keptFeatures)
      let (rows, width, outputs) = (Int64(queries.rows), Int64(queries.columns), Int64(output.columns))
      if queries.rows <= Self.fewRows {
        dso_matvec_nn_f32(from, width, rows, &view, 0, view.k, to, outputs)
      } else {
        dso_matmul_nn_f32(from, width, rows, &view, 0, view.k, 0, to, outputs, scratch)
      }
    }
    return output
  }

  /// The mean of the latents that each head attends to. The heads of a token are to the kernel what queries of one head are, behind all keys:
  /// a block of latents is read once for many of them.
  private func attend(_ queries: Matrix, _ rows: Matrix, _ spans: [SequenceSpan], _ heads: LatentHeads) -> Matrix {
    let output = Matrix(uninitializedRows: queries.rows, columns: heads.count * heads.rank)
    let (width, rank) = (heads.keptFeatures, heads.rank)
    let tokens = spans.flatMap { span in
      (0..<span.length).map { index in
        let count = span.keyCount - span.length + index + 1
        let seen = min(count, heads.slidingWindow ?? count)
        return (row: span.row + index, keyRow: span.keyRow + count - seen, keys: seen)
      }
    }
    // Fewer than four queries add up in another order: no group has fewer, however many threads there are. Larger ones read latents less often.
    let groups = max(1, min(heads.count / 4, (pool.threads + tokens.count - 1) / max(1, tokens.count)))
    pool.run(tokens.count * groups, scratchBytes: Int(dso_attention_scratch_bytes(Int64(width), Int64(rank)))) { task, scratch in
      let token = tokens[task / groups], group = task % groups
      let (first, end) = (group * heads.count / groups, (group + 1) * heads.count / groups)
      let keys = rows.row(token.keyRow)
      dso_attention(
        queries.row(token.row) + first * width, Int64(width), keys, Int64(rows.columns), keys, Int64(rows.columns),
        output.row(token.row) + first * rank, Int64(rank), Int64(end - first), Int64(token.keys), Int64(token.keys), Int64(width),
        Int64(rank), heads.scale, 0, scratch)
    }
    return output
  }
}

extension Latents {
  /// Those that sequences look at, one sequence after the other.
  fileprivate init(_ rows: Matrix, _ spans: [SequenceSpan], _ heads: LatentHeads) {
    let count = spans.reduce(0) { $0 + $1.keyCount }
    latents = Matrix(uninitializedRows: count, columns: heads.rank)
    rotaryKeys = Matrix(uninitializedRows: count, columns: heads.rotaryDimension)
    for (from, to) in zip(spans, spans.withKeysInARow) {
      let seen = from.keyRow..<from.keyRow + from.keyCount
      rows.copyColumns(from: 0, of: seen, to: latents.row(to.keyRow), distance: heads.rank, count: heads.rank)
      rows.copyColumns(
        from: heads.rank, of: seen, to: rotaryKeys.row(to.keyRow), distance: heads.rotaryDimension, count: heads.rotaryDimension)
    }
  }
}

extension LatentHeads {
  /// Whether attending to latents takes fewer multiplications than making keys and values of all of them first. Per head the products take
  /// (plain + value) · rank of them, for each query in one form and for each token seen in the other; each pair of a query and a token takes
  /// 2 rank + rotary of them, or plain + rotary + value.
  func prefersAbsorbing(_ spans: [SequenceSpan]) -> Bool {
    var saved = 0
    for span in spans {
      let pairs = (span.keyCount - span.length + 1...span.keyCount).reduce(0) { $0 + min($1, slidingWindow ?? $1) }
      saved += (span.keyCount - span.length) * rowsPerHead * rank + pairs * (rowsPerHead - 2 * rank)
    }
    return saved > 0
  }
}

extension dso_weights {
  /// Some of the rows as a matrix of their own.
  fileprivate func rows(_ range: Range<Int>) -> dso_weights {
    var part = self
    part.n = Int64(range.count)
    part.data = data?.advanced(by: range.lowerBound * Int(row_bytes))
    guard storage == DSO_STORAGE_QUANTIZED else { return part }
    let first = range.lowerBound * Int((k + group_size - 1) / group_size)
    part.scales = scales?.advanced(by: first)
    part.zero_points = zero_points?.advanced(by: first)
    part.minima = minima?.advanced(by: first)
    return part
  }
}
