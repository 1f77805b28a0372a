import CKernels
import ModelGraph

extension BackwardPass {
  /// Queries, keys and values together, a task for every key-value head of every sequence: it alone adds to its rows.
  func attention(_ node: Node, _ gradient: Matrix, _ attention: Attention) throws {
    let (queries, keys) = (try tape.value(node.inputs[0], of: node), try tape.value(node.inputs[1], of: node))
    let (values, output) = (try tape.value(node.inputs[2], of: node), try tape.value(node.output, of: node))
    let results = [queries, keys, values].map { Matrix(uninitializedRows: $0.rows, columns: $0.columns) }
    let sequences = tape.sequences.sequences
    let shared = attention.queryHeads / attention.keyValueHeads
    let (keyWidth, valueWidth) = (attention.headDimension, attention.valueDimension)
    let longest = sequences.map(\.length).max() ?? 0
    let scratch =
      attention.selection.map { $0.among(keys: longest) }.map { selection in
        max(
          selection.scratchBytes(positions: longest),
          Int(dso_attention_selected_backward_scratch_bytes(Int64(longest), Int64(selection.block), Int64(selection.count))))
      } ?? Int(dso_attention_backward_scratch_bytes(Int64(keyWidth), Int64(valueWidth)))
    pool.run(sequences.count * attention.keyValueHeads, scratchBytes: scratch) { task, scratch in
      let sequence = sequences[task / attention.keyValueHeads]
      let head = task % attention.keyValueHeads
      let (inQueries, inOutput) = (head * shared * keyWidth, head * shared * valueWidth)
      var arguments = dso_attention_gradient(
        queries: queries.row(sequence.row) + inQueries, keys: keys.row(sequence.row) + head * keyWidth,
        values: values.row(sequence.row) + head * valueWidth, output: output.row(sequence.row) + inOutput,
        output_gradient: gradient.row(sequence.row) + inOutput, query_gradient: results[0].row(sequence.row) + inQueries,
        key_gradient: results[1].row(sequence.row) + head * keyWidth,
        value_gradient: results[2].row(sequence.row) + head * valueWidth, ld_queries: Int64(queries.columns),
        ld_keys: Int64(keys.columns), ld_values: Int64(values.columns), ld_output: Int64(output.columns),
        ld_output_gradient: Int64(gradient.columns), ld_query_gradient: Int64(queries.columns),
        ld_key_gradient: Int64(keys.columns), ld_value_gradient: Int64(values.columns), query_heads: Int64(shared),
        q_tokens: Int64(sequence.length), kv_tokens: Int64(sequence.length),
        q_offset: attention.isCausal ? 0 : Int64(sequence.length), head_dim: Int64(keyWidth),
        v_dim: Int64(valueWidth), window: Int64(attention.slidingWindow ?? 0), scale: attention.scale)
      guard let selection = attention.selection?.among(keys: longest) else {
        dso_attention_backward(&arguments, scratch)
        return
      }
      // The choice is made again as the forward pass made it; it has no gradient itself.
      let pooled = PooledKeys(rows: selection.blocks(of: sequence.length), attention)
      pooled.pool(
        0..<selection.blocks(of: sequence.length), of: .float(keys: keys, values: values), from: sequence.row, at: 0, head: head, attention,
        selection)
      var chosen = [Int32](repeating: 0, count: shared * sequence.length * selection.count)
      chosen.withUnsafeMutableBufferPointer { chosen in
        guard let chosen = chosen.baseAddress else { return }
        for query in 0..<shared {
          selection.chosen(
            by: queries.row(sequence.row) + inQueries + query * keyWidth, distance: queries.columns, count: sequence.length, position: 0,
            from: pooled.matrix.pointer + head * keyWidth, pooledDistance: pooled.matrix.columns, width: keyWidth,
            into: chosen + query * sequence.length * selection.count, scratch)
        }
        dso_attention_selected_backward(&arguments, Int64(selection.block), Int64(selection.count), chosen, scratch)
      }
    }
    for (result, input) in zip(results, node.inputs) { contribute(result, to: input) }
  }
}
